// The form: what is asked for. Puts its parts together and reads them as one request.

import { el } from "../shell.js";
import { Images } from "./images.js";
import { MaskEditor } from "./mask.js";
import { Parameters } from "./parameters.js";
import { ModelPicker } from "./picker.js";
import { problemFor } from "./problems.js";
import { toRequest } from "./request.js";
import { limitsOf } from "./schema.js";
import { Sizes } from "./sizes.js";
import { coverage, toMask } from "./strokes.js";

const STAND_IN_PROMPT = "an image";
/** These have controls of their own here. */
const OWN = new Set(["model", "prompt", "n", "size"]);

/** What is missing before there is anything to ask for. */
class MissingImageError extends Error {
  constructor() {
    super("This model works on images: add one.");
    this.param = "image";
  }
}

/** What is no number is empty to the browser: left out, something else would be bought than what is seen. */
class NotANumberError extends Error {
  constructor(param) {
    super("This is no number.");
    this.param = param;
  }
}

export class Form {
  #limits = limitsOf({});

  /**
   * @param {import("./problems.js").Problems} problems
   * @param {{onChange: () => void, onModel: (id: string) => void, onSend: () => void}} handlers
   */
  constructor(problems, { onChange, onModel, onSend }) {
    this.picker = new ModelPicker(onModel);
    this.sizes = new Sizes();
    this.parameters = new Parameters(problems);
    this.images = new Images({ onChange: () => this.#onImages(onChange), onMask: (item) => this.#toggleMask(item) });
    this.editor = new MaskEditor((item) => {
      item.mask = null;
      onChange();
    });
    this.editor.node.addEventListener("close", () => {
      if (!this.editor.isOpen) this.#markMasking(false);
    });
    this.prompt = el("textarea", { id: "prompt", rows: 4, placeholder: "What the image shows, or how to change it" });
    this.promptHint = el("span", { class: "hint" });
    this.count = el("input", { id: "n", type: "number", min: 1, max: 10, step: 1, value: 1, inputmode: "numeric" });
    this.node = this.#build(problems);
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
      event.preventDefault();
      // A key held down is one wish.
      if (!event.repeat) onSend();
    });
    this.node.addEventListener("input", (event) => {
      if (event.target === this.prompt) this.#showLength();
      // What is typed into the picker is a search until something is chosen; the brush is no part of the request.
      if (event.target !== this.picker.input && !this.editor.node.contains(event.target)) onChange();
    });
  }

  /** Fit the form to a model. @param {object} schema */
  fit(schema) {
    this.#limits = limitsOf(schema);
    this.parameters.show(schema);
    this.sizes.show(this.#limits.shapes, this.#limits.takesSize);
    this.images.limit(this.#limits);
    this.count.max = String(this.#limits.mostImages);
    this.#showLength();
  }

  /** Set these fields and clear all others; the images stay. @param {Record<string, unknown>} fields */
  write(fields) {
    this.prompt.value = String(fields.prompt ?? "");
    this.count.value = String(fields.n ?? 1);
    this.sizes.value = String(fields.size ?? "");
    this.parameters.write(Object.fromEntries(Object.entries(fields).filter(([name]) => !OWN.has(name))));
    this.#showLength();
  }

  /** What is asked for, without files. */
  readFields() {
    const { value: size } = this.sizes;
    const count = Number(this.count.value || 1);
    return {
      model: this.picker.value,
      ...(this.prompt.value.trim() ? { prompt: this.prompt.value } : {}),
      ...(count === 1 ? {} : { n: count }),
      ...(size && this.#limits.takesSize ? { size } : {}),
      ...this.parameters.read(),
    };
  }

  /** The request as it would be sent. */
  async read() {
    await this.images.settled();
    this.#checkNumbers();
    this.#checkImages();
    return toRequest(this.readFields(), this.images.items, await this.#mask());
  }

  /** One that costs the same and is quick to send: with stand-ins of the same size for images and prompt. */
  async readForPrice() {
    const fields = this.readFields();
    if (!fields.model) return null;
    this.#checkNumbers();
    this.#checkImages();
    if (!fields.prompt && this.#limits.takesPrompt) fields.prompt = STAND_IN_PROMPT;
    const images = this.images.items.map(({ name, blob, standIn }) => ({ name, blob: standIn ?? blob }));
    return toRequest(fields, images, await this.#mask());
  }

  #checkNumbers() {
    const wrong = this.count.validity.badInput ? "n" : this.parameters.findWrongNumber();
    if (wrong) throw new NotANumberError(wrong);
  }

  /** The gateway would name the model, which is not what is wrong here. */
  #checkImages() {
    const modes = this.picker.model?.modes;
    if (modes && !modes.includes("text-to-image") && !this.images.items.length) throw new MissingImageError();
  }

  async #mask() {
    const [first] = this.images.items;
    if (!first?.size || !this.#limits.takesMask || coverage(first.strokes, first.size) === 0) return null;
    first.mask ??= await toMask(first.strokes, first.size);
    return first.mask && { name: "mask.png", blob: first.mask };
  }

  #build(problems) {
    const promptProblem = problemFor(this.prompt);
    const countProblem = problemFor(this.count);
    problems.register(["model"], this.picker.input, this.picker.problem);
    problems.register(["prompt"], this.prompt, promptProblem);
    problems.register(["n"], this.count, countProblem);
    problems.register(["size", "aspect_ratio", "resolution"], this.sizes.input, this.sizes.problem);
    problems.register(["image", "images"], this.images.button, this.images.problem, (param) => this.images.resolve(param));
    problems.register(["mask"], this.editor.canvas, this.editor.problem, () => this.#showMask());
    return el("div", { class: "stack" },
      this.picker.node,
      el("div", { class: "field" },
        el("div", { class: "between" }, el("label", { for: "prompt" }, "Prompt"), this.promptHint), this.prompt, promptProblem),
      this.images.node, this.editor.node, this.sizes.node,
      el("div", { class: "pairs" }, el("div", { class: "field" }, el("label", { for: "n" }, "Number of images"), this.count, countProblem)),
      this.parameters.first, this.parameters.details);
  }

  #showLength() {
    const { promptLength: most, takesPrompt } = this.#limits;
    const length = [...this.prompt.value].length;
    if (!takesPrompt) this.promptHint.textContent = "This model needs none.";
    else this.promptHint.textContent = most && length > most * 0.7 ? `${length} of ${most} characters` : "";
  }

  #onImages(onChange) {
    const [first] = this.images.items;
    this.sizes.follow(Boolean(first));
    if (this.editor.isOpen && (!first?.size || !this.#limits.takesMask)) this.editor.close();
    else if (this.editor.isOpen) this.editor.open(first);
    onChange();
  }

  #toggleMask(item) {
    if (this.editor.isOpen) {
      this.editor.close();
      return;
    }
    this.#markMasking(true);
    this.editor.open(item);
  }

  /** For an error that names the mask: its canvas, or the images where there is none to paint on. */
  #showMask() {
    const [first] = this.images.items;
    if (!first?.size) return this.images.button;
    this.#markMasking(true);
    this.editor.open(first);
    return this.editor.canvas;
  }

  #markMasking(isMasking) {
    this.images.isMasking = isMasking;
    for (const button of this.images.list.querySelectorAll(".mask-button")) {
      button.setAttribute("aria-expanded", String(isMasking));
      // Closed by keyboard, the focus would be nowhere.
      if (!isMasking && (document.activeElement === document.body || this.editor.node.contains(document.activeElement))) button.focus();
    }
  }
}
