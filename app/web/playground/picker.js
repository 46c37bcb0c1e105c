// The model picker: a combobox that searches names, creators, prices and what models can do.

import { atItsSize, badge, el, fill } from "../shell.js";
import { problemFor } from "./problems.js";

const PAGE = 8;
const MODES = { "text-to-image": "from text", "image-edit": "edits" };

const AIR = /^[^\s@]+:[^\s@]+@[^\s@]+$/;

/** What is typed is a search, and names no model yet. */
class UnchosenModelError extends Error {
  constructor(typed) {
    super(`No model is called “${typed}”: choose one of the list.`);
    this.param = "model";
  }
}

export class ModelPicker {
  #models = [];
  #shown = [];
  #active = -1;
  #chosen = "";
  /** Whether the text is a search of its reader, and not the name of what is chosen. */
  #isTyped = false;
  #choose;

  /** @param {(id: string) => void} onChoose */
  constructor(onChoose) {
    this.#choose = onChoose;
    this.input = el("input", {
      id: "model", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", "aria-expanded": "false",
      "aria-controls": "model-list", "aria-autocomplete": "list", placeholder: "Search by name, creator, price, “edit”, “mask” …",
    });
    this.problem = problemFor(this.input);
    this.list = el("ul", { id: "model-list", role: "listbox", "aria-label": "Choices", hidden: true });
    this.found = el("p", { class: "visually-hidden", role: "status" });
    this.facts = el("div", { class: "facts-line" });
    this.node = el("div", { class: "field" }, el("label", { for: "model" }, "Model"),
      el("div", { class: "combo" }, this.input, this.list), this.found, this.facts, this.problem);
    this.#listen();
  }

  /** @param {object[]} models As `GET /v1/models` lists them. */
  offer(models) {
    this.#models = models.map((model) => ({ model, text: searchText(model) }));
    this.#showChosen();
  }

  get value() {
    return this.#chosen;
  }

  /** @returns {object | undefined} What the list says of the chosen model; nothing of one it does not name. */
  get model() {
    return this.#find(this.#chosen);
  }

  set value(id) {
    this.#chosen = id;
    this.#showChosen();
  }

  /** Take what is typed or marked, before something is bought from what was chosen earlier. */
  settle() {
    if (!this.#isTyped) return;
    const id = this.#shown[this.#active]?.id ?? this.#named();
    if (!id) throw new UnchosenModelError(this.input.value.trim());
    this.#take(id);
  }

  /** @returns {string | undefined} The model that the typed text names in full: one of the list, or any by its AIR id. */
  #named() {
    if (!this.#isTyped) return undefined;
    const typed = this.input.value.trim();
    const wanted = typed.toLowerCase();
    const isShown = this.#models.find(({ model }) => model.name?.toLowerCase() === wanted)?.model;
    return (this.#find(typed) ?? isShown)?.id ?? (AIR.test(typed) ? typed : undefined);
  }

  /** Open the list with a search. */
  search(text) {
    this.input.focus();
    this.input.value = text;
    this.#open();
  }

  #find(name) {
    const wanted = name.toLowerCase();
    const named = ({ model }) => [model.id, model.air, ...(model.aliases ?? [])].some((one) => one?.toLowerCase() === wanted);
    return (this.#models.find(({ model }) => model.id === name) ?? this.#models.find(named))?.model;
  }

  #listen() {
    this.input.addEventListener("click", () => {
      if (!this.#isOpen) this.#open(true);
    });
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("input", () => {
      this.#isTyped = true;
      this.#open();
    });
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    this.input.addEventListener("blur", () => {
      const id = this.#named();
      if (id) this.#take(id);
      this.#close();
      this.#showChosen();
    });
    // Before the blur: a press on an option must not close the list under it.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const index = [...this.list.children].indexOf(event.target.closest("li"));
      if (index >= 0) this.#take(this.#shown[index].id);
    });
  }

  #onKey(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE };
    if (event.key in steps) {
      event.preventDefault();
      if (!this.#isOpen) return this.#open(true);
      return event.altKey && event.key === "ArrowUp" ? this.#close() : this.#move(steps[event.key]);
    }
    if (event.key === "Escape" && this.#isOpen) {
      event.preventDefault();
      this.#close();
      return this.#showChosen();
    }
    if (event.key === "Enter" && (this.#isOpen || this.#isTyped)) {
      event.preventDefault();
      const typed = this.input.value.trim();
      // A name that is nobody's here may still be one that Runware knows.
      const id = this.#shown[this.#active]?.id ?? this.#find(typed)?.id ?? this.#shown[0]?.id ?? typed;
      if (id) this.#take(id);
    }
  }

  #open(all = false) {
    const words = all ? [] : this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.#shown = this.#models.filter(({ text }) => words.every((word) => text.includes(word))).map(({ model }) => model);
    fill(this.list, this.#shown.map((model, index) => option(model, index, model.id === this.#chosen)));
    this.#active = -1;
    this.input.removeAttribute("aria-activedescendant");
    this.list.hidden = this.#shown.length === 0;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.found.textContent = `${this.#shown.length} models`;
    if (all) this.#activate(this.#shown.findIndex((model) => model.id === this.#chosen));
    else this.list.scrollTop = 0;
  }

  #move(step) {
    const last = this.#shown.length - 1;
    const next = this.#active + step;
    const wraps = Math.abs(step) === 1 && (next < 0 || next > last);
    this.#activate(wraps ? (step > 0 ? 0 : last) : Math.min(Math.max(next, 0), last));
  }

  #activate(index) {
    this.list.children[this.#active]?.classList.remove("active");
    this.#active = index;
    const item = this.list.children[index];
    if (!item) return;
    item.classList.add("active");
    item.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", item.id);
  }

  #take(id) {
    this.#close();
    this.value = id;
    this.#choose(id);
  }

  #close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  get #isOpen() {
    return !this.list.hidden;
  }

  #showChosen() {
    const model = this.model;
    this.#isTyped = false;
    this.input.value = model?.name ?? this.#chosen;
    fill(this.facts, model ? [el("code", {}, model.id), ...badges(model)] : null);
  }
}

function option(model, index, isChosen) {
  return el("li", { id: `model-option-${index}`, role: "option", "aria-selected": String(isChosen) },
    el("span", { class: "name" }, model.name),
    el("span", { class: "price" }, model.pricing?.summary ?? "unknown"),
    el("span", { class: "muted small" }, [model.creator, model.id].filter(Boolean).join(" · ")),
    el("span", { class: "tags" }, badges(model, false)));
}

function badges(model, withPrice = true) {
  const modes = (model.modes ?? []).filter((mode) => !(model.emulated_modes ?? []).includes(mode)).map((mode) => MODES[mode] ?? mode);
  const mask = (model.capabilities ?? []).includes("inpainting") ? ["mask"] : [];
  const summary = model.pricing?.summary ?? "unknown";
  const price = withPrice ? [summary === "unknown" ? badge("price unknown") : badge(`${summary} an image${atItsSize(model.pricing)}`, "good")] : [];
  const status = model.status && model.status !== "live" ? [badge(model.status, "warn")] : [];
  return [...price, ...[...modes, ...mask].map((one) => badge(one)), ...status];
}

function searchText(model) {
  const words = [
    model.name, model.id, model.air, model.creator, ...(model.aliases ?? []), ...(model.modes ?? []), ...(model.capabilities ?? []),
    model.pricing?.summary, model.description, model.capabilities?.includes("inpainting") ? "mask" : null,
  ];
  return words.filter(Boolean).join(" ").toLowerCase();
}
