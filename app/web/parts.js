// Small parts that several pages are made of.

import { el, fill } from "./dom.js";

/** A text with a button that copies it. @param {string} text @param {string} what Its name, as in "Copy curl". */
export function copyable(text, what) {
  const button = el("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text)) ? "Copied" : "Select and copy";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
  // It scrolls sideways by itself, so it must be reachable by keyboard.
  return el("div", { class: "code" }, el("pre", { tabIndex: 0, role: "region", "aria-label": what }, text), button);
}

async function copy(text) {
  try {
    // Absent on plain http beyond this machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

let groups = 0;

/**
 * Panels of which one is shown.
 * @param {string} label
 * @param {{name: string, content: Node}[]} panels
 */
export function tabs(label, panels) {
  const group = `tabs-${++groups}`;
  const buttons = panels.map((panel, index) => el("button", {
    role: "tab", id: `${group}-${index}`, "aria-controls": `${group}-panel-${index}`, type: "button",
    onclick: () => choose(index),
  }, panel.name));
  const shown = panels.map((panel, index) => el("div", {
    role: "tabpanel", id: `${group}-panel-${index}`, "aria-labelledby": `${group}-${index}`,
  }, panel.content));
  const list = el("div", { role: "tablist", "aria-label": label }, buttons);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    choose(next);
    buttons[next].focus();
  });
  const choose = (index) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === index));
      button.tabIndex = at === index ? 0 : -1;
      shown[at].hidden = at !== index;
    });
  };
  choose(0);
  return el("div", { class: "tabs" }, list, shown);
}

/** A sentence that stands out. @param {"info" | "good" | "warn" | "bad"} kind */
export function notice(kind, ...content) {
  return el("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, content);
}

/** A text of the gateway's own, in which backticks stand around code. @returns {(string | Node)[]} */
export function prose(text) {
  return String(text).split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

/** What the gateway refused, with the id that leads its operator to the cause. */
export function failure(error) {
  const id = error.requestId ? el("span", { class: "muted" }, ` Request id: ${error.requestId}`) : null;
  return notice("bad", el("strong", {}, error.param ? `${error.param}: ` : ""), prose(error.message), id);
}

/** A word in a colored box. @param {"" | "good" | "warn" | "bad"} kind */
export function badge(text, kind = "") {
  return el("span", { class: `badge ${kind}` }, text);
}

/** A place that says it is loading, then shows what came or what failed. @param {() => Promise<Node | Node[]>} load */
export function later(load) {
  const place = el("div", { class: "stack", "aria-busy": "true" }, el("p", { class: "muted" }, "Loading …"));
  load().then((content) => fill(place, content), (error) => fill(place, failure(error))).finally(() => {
    place.removeAttribute("aria-busy");
  });
  return place;
}
