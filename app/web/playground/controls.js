// One control per kind of parameter. Each says what it holds (undefined where nothing was set) and can be set.

import { el } from "../shell.js";
import { problemFor } from "./problems.js";
import { labelOf } from "./words.js";

/**
 * @typedef {{node: HTMLElement, control: HTMLElement, problem: HTMLElement, name: string, path: string[],
 *   read: () => unknown, write: (value: unknown) => void}} Control
 */

const MOST_STEPS = 10_000;
let made = 0;

/**
 * @param {import("./schema.js").Parameter} parameter
 * @param {{isBrief?: boolean}} [options] Without the sentence that describes it.
 * @returns {Control}
 */
export function controlOf(parameter, { isBrief = false } = {}) {
  const id = `parameter-${++made}`;
  const label = el("label", { for: id }, labelOf(parameter.name));
  const build = { number: isSlidable(parameter) ? range : number, choice, switch: toggle, text, long, json }[parameter.kind];
  const { control, body = control, read, write } = build(parameter, id);
  control.dataset.parameter = parameter.path.join(".");
  const hint = parameter.description && !isBrief ? el("p", { class: "hint", id: `${id}-hint` }, sentence(parameter.description)) : null;
  if (hint) control.setAttribute("aria-describedby", hint.id);
  const problem = problemFor(control);
  const node = el("div", { class: "field" }, label, body, hint, problem);
  return { node, control, problem, name: parameter.name, path: parameter.path, read, write };
}

/** A slider over billions of seeds would hit none of them. */
function isSlidable({ minimum, maximum, step }) {
  return minimum !== undefined && maximum !== undefined && (maximum - minimum) / step <= MOST_STEPS;
}

function number(parameter, id) {
  const control = el("input", {
    type: "number", id, min: parameter.minimum, max: parameter.maximum, step: parameter.isWhole ? 1 : "any",
    placeholder: parameter.fallback ?? "auto", inputmode: parameter.isWhole ? "numeric" : "decimal",
  });
  return { control, read: () => readNumber(control), write: (value) => writeTo(control, value) };
}

/** A slider with a number field beside it. Untouched, neither sets anything. */
function range(parameter, id) {
  const { minimum, maximum, step, fallback } = parameter;
  const { control, read } = number(parameter, id);
  const start = fallback ?? (minimum + maximum) / 2;
  const slider = el("input", { type: "range", min: minimum, max: maximum, step, "aria-label": `${labelOf(parameter.name)}, slider` });
  const reset = el("button", { type: "button", class: "quiet small", hidden: true, "aria-label": `Reset ${labelOf(parameter.name)}` }, "Reset");
  const show = () => {
    const value = read();
    slider.value = String(value ?? start);
    slider.classList.toggle("unset", value === undefined);
    slider.setAttribute("aria-valuetext", value === undefined ? "not set" : String(value));
    reset.hidden = value === undefined;
  };
  const write = (value) => {
    writeTo(control, value);
    show();
  };
  slider.addEventListener("input", () => write(Number(slider.value)));
  control.addEventListener("input", show);
  reset.addEventListener("click", () => {
    write(undefined);
    // Its reader stays where they were: the button is about to disappear.
    control.focus();
    control.dispatchEvent(new Event("input", { bubbles: true }));
  });
  show();
  return { control, body: el("div", { class: "range" }, slider, control, reset), read, write };
}

function choice(parameter, id) {
  const control = el("select", { id },
    el("option", { value: "" }, "Automatic"),
    parameter.choices.map((one, index) => el("option", { value: String(index) }, String(one))));
  const write = (value) => {
    const index = parameter.choices.indexOf(value);
    control.value = index < 0 ? "" : String(index);
  };
  return { control, read: () => (control.value === "" ? undefined : parameter.choices[Number(control.value)]), write };
}

function toggle(parameter, id) {
  const choices = [true, false];
  const control = el("select", { id },
    el("option", { value: "" }, parameter.fallback === undefined ? "Automatic" : `Automatic (${parameter.fallback ? "on" : "off"})`),
    el("option", { value: "0" }, "On"), el("option", { value: "1" }, "Off"));
  return {
    control,
    read: () => (control.value === "" ? undefined : choices[Number(control.value)]),
    write: (value) => {
      control.value = typeof value === "boolean" ? String(choices.indexOf(value)) : "";
    },
  };
}

function text(parameter, id) {
  const control = el("input", { type: "text", id, maxLength: parameter.maxLength, autocomplete: "off", placeholder: parameter.fallback });
  return { control, read: () => control.value || undefined, write: (value) => writeTo(control, value) };
}

function long(parameter, id) {
  const control = el("textarea", { id, rows: 2, maxLength: parameter.maxLength });
  return { control, read: () => control.value || undefined, write: (value) => writeTo(control, value) };
}

/** Lists and objects nobody has a form for: written as JSON. Text that is none is sent as it is, and refused in words. */
function json(parameter, id) {
  const control = el("textarea", { id, rows: 2, class: "mono", spellcheck: "false", placeholder: parameter.example });
  const read = () => {
    if (!control.value.trim()) return undefined;
    try {
      return JSON.parse(control.value);
    } catch {
      return control.value;
    }
  };
  const write = (value) => {
    control.value = value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  };
  return { control, read, write };
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function readNumber(control) {
  // What is no number is empty to the browser, which marks the field itself.
  return control.value === "" ? undefined : Number(control.value);
}

function writeTo(control, value) {
  control.value = value === undefined || value === null ? "" : String(value);
}
