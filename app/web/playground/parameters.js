// The model's own parameters as controls, built from its schema. Owns their values while the model changes.

import { el, fill } from "../shell.js";
import { controlOf } from "./controls.js";
import { parametersOf } from "./schema.js";
import { labelOf } from "./words.js";

export class Parameters {
  /** @type {import("./controls.js").Control[]} */
  #controls = [];

  /** @param {import("./problems.js").Problems} problems */
  constructor(problems) {
    this.problems = problems;
    this.first = el("div", { class: "pairs" });
    this.more = el("div", { class: "stack" });
    this.count = el("span", { class: "muted small" });
    this.details = el("details", { class: "more" }, el("summary", {}, "More settings ", this.count));
    // In the page only while they are seen: some models have hundreds, and their names resemble those above.
    this.details.addEventListener("toggle", () => this.#unfold());
    this.more.addEventListener("input", () => this.#showCount());
  }

  /** Build the controls of a model. What both models know keeps its value. @param {object} schema */
  show(schema) {
    const kept = new Map(this.#controls.map((one) => [one.path.join("."), one.read()]));
    this.problems.forget(kept.keys());
    this.#controls = [];
    const { first, more } = parametersOf(schema);
    fill(this.first, first.map((one) => this.#build(one, { isBrief: true })));
    const single = more.filter((one) => one.kind !== "group");
    const groups = more.filter((one) => one.kind === "group");
    fill(this.more, el("div", { class: "pairs" }, single.map((one) => this.#build(one))), groups.map((one) => this.#build(one)));
    this.details.hidden = more.length === 0;
    for (const control of this.#controls) {
      const value = kept.get(control.path.join("."));
      if (value !== undefined) control.write(value);
    }
    this.#showCount();
  }

  /** What was set, nested as the API wants it. */
  read() {
    const values = {};
    for (const control of this.#controls) {
      const value = control.read();
      if (value === undefined) continue;
      let place = values;
      for (const name of control.path.slice(0, -1)) place = place[name] ??= {};
      place[control.path.at(-1)] = value;
    }
    return values;
  }

  /** @returns {string | undefined} The name of the first parameter whose field holds what is no number. */
  findWrongNumber() {
    return this.#controls.find(({ control }) => control.validity.badInput)?.path.join(".");
  }

  /** Set these and clear all others. @param {Record<string, unknown>} values */
  write(values) {
    for (const control of this.#controls) control.write(control.path.reduce((place, name) => place?.[name], values));
    this.#showCount();
  }

  #build(parameter, options) {
    if (parameter.kind === "group") {
      const members = parameter.members.map((one) => this.#build(one));
      return el("details", { class: "more" }, el("summary", {}, labelOf(parameter.name)), el("div", { class: "pairs" }, members));
    }
    const control = controlOf(parameter, options);
    this.#controls.push(control);
    this.problems.register([control.path.join(".")], control.control, control.problem, () => this.#reveal(control));
    return control.node;
  }

  #reveal({ control, node }) {
    if (this.more.contains(node)) {
      this.details.open = true;
      this.#unfold();
    }
    return control;
  }

  #unfold() {
    if (!this.details.open) this.more.remove();
    // Put in a second time, it would lose the focus.
    else if (!this.more.isConnected) this.details.append(this.more);
  }

  #showCount() {
    const set = this.#controls.filter((one) => this.more.contains(one.node) && one.read() !== undefined).length;
    this.count.textContent = set ? `${set} set` : "";
  }
}
