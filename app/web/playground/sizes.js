// The size, chosen by shape among those the model makes, or typed. The text field is the truth; shapes only fill it in.

import { el, fill, svg } from "../shell.js";
import { problemFor } from "./problems.js";
import { sizeInWords } from "./words.js";

const BOX = 30;

export class Sizes {
  #shapes = [];
  #follows = false;

  constructor() {
    this.input = el("input", {
      id: "size", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "automatic", maxLength: 40, list: null,
    });
    this.problem = problemFor(this.input);
    this.hint = el("p", { class: "hint", role: "status" });
    this.tiers = el("div", { class: "segments", role: "radiogroup", "aria-label": "Resolution" });
    this.choices = el("div", { class: "shapes", role: "radiogroup", "aria-label": "Shape" });
    this.custom = el("div", { class: "field" }, el("label", { for: "size" }, "Size"), this.input, this.problem);
    this.node = el("div", { class: "stack tight" },
      el("div", { class: "between" }, el("span", { class: "label" }, "Shape"), this.tiers), this.choices, this.custom, this.hint);
    this.input.addEventListener("input", () => this.#mark());
  }

  /** @param {{ratio: string, resolution?: string, size: string}[]} shapes @param {boolean} takesSize */
  show(shapes, takesSize) {
    const before = this.#shapes.find((one) => one.size === this.value);
    this.#shapes = shapes;
    // What was chosen for another model is that shape here, and not its pixels.
    if (before) this.input.value = nearest(shapes, before)?.size ?? "";
    this.node.hidden = !takesSize;
    const tiers = [...new Set(shapes.map((one) => one.resolution ?? ""))];
    const current = shapes.find((one) => one.size === this.value)?.resolution;
    const shown = current ?? (tiers.includes("1K") ? "1K" : tiers[0] ?? "");
    this.tiers.hidden = tiers.length < 2;
    fill(this.tiers, tiers.map((tier) => this.#segment(tier, tier === shown)));
    this.#showTier(shown);
  }

  /** Say where a size comes from when none is set. @param {boolean} follows Whether it is that of the first image. */
  follow(follows) {
    if (this.#follows === follows) return;
    this.#follows = follows;
    const name = this.choices.querySelector(".automatic");
    if (name) name.textContent = follows ? "As the image" : "Automatic";
  }

  get value() {
    return this.input.value.trim();
  }

  set value(value) {
    this.input.value = value;
    const tier = this.#shapes.find((one) => one.size === value)?.resolution;
    const radio = tier && [...this.tiers.querySelectorAll("input")].find((one) => one.value === tier);
    if (radio) radio.checked = true;
    if (tier) this.#showTier(tier);
    this.#mark();
  }

  /** Tell what the dry run said. @param {string | null} size @param {object[]} adjustments */
  tell(size, adjustments) {
    const changed = adjustments.find((one) => one.param === "size" && one.mode === "changed" && one.applied);
    if (changed) this.hint.textContent = `Nearest this model makes: ${sizeInWords(changed.applied)}.`;
    else if (size) this.hint.textContent = `Images will be ${sizeInWords(size)}.`;
    else this.hint.textContent = "The model decides the size.";
  }

  #segment(tier, checked) {
    const radio = el("input", { type: "radio", name: "resolution", value: tier, checked });
    radio.addEventListener("change", () => {
      // The shape stays when the scale changes.
      const ratio = this.#shapes.find((one) => one.size === this.value)?.ratio;
      this.#showTier(tier);
      const same = this.#shapes.find((one) => one.ratio === ratio && (one.resolution ?? "") === tier)
        ?? this.#shapes.find((one) => (one.resolution ?? "") === tier && one.ratio === "1:1");
      if (same) this.#choose(same.size);
    });
    return el("label", {}, radio, el("span", {}, tier || "Usual"));
  }

  #showTier(tier) {
    const shapes = this.#shapes.filter((one) => (one.resolution ?? "") === tier);
    const automatic = el("span", { class: "automatic" }, this.#follows ? "As the image" : "Automatic");
    fill(this.choices,
      this.#shape("", automatic, null, "", "Automatic"),
      shapes.map((one) => this.#shape(one.size, one.ratio, one.size, sizeInWords(one.size), `${one.ratio}, ${sizeInWords(one.size)}`)));
    this.#mark();
  }

  #shape(value, name, size, measure, label) {
    const radio = el("input", { type: "radio", name: "shape", value, "aria-label": label });
    radio.addEventListener("change", () => this.#choose(value));
    return el("label", { title: measure || null }, radio, el("span", { class: "shape" }, drawn(size), el("span", {}, name), el("span", { class: "measure" }, measure)));
  }

  #choose(value) {
    this.input.value = value;
    this.#mark();
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #mark() {
    for (const radio of this.choices.querySelectorAll("input")) radio.checked = radio.value === this.value;
  }
}

/** The same shape among others, on the same tier where there is one. */
function nearest(shapes, { ratio, resolution }) {
  const same = shapes.filter((one) => one.ratio === ratio);
  return same.find((one) => one.resolution === resolution) ?? same[0];
}

/** A rectangle of this shape, dashed where it is open. */
function drawn(size) {
  const [width, height] = size ? size.split("x").map(Number) : [1, 1];
  const scale = BOX / Math.max(width, height);
  const [w, h] = [Math.max(4, width * scale), Math.max(4, height * scale)];
  return svg("svg", { viewBox: `-2 -2 ${BOX + 4} ${BOX + 4}`, width: BOX + 4, height: BOX + 4, "aria-hidden": "true" },
    svg("rect", { x: (BOX - w) / 2, y: (BOX - h) / 2, width: w, height: h, rx: 2, class: size ? "drawn" : "drawn open" }));
}
