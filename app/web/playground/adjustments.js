// What the model does differently from what was asked, as a list in words.

import { badge, el, fill } from "../shell.js";
import { adjustmentInWords } from "./words.js";

const KINDS = { dropped: "warn", changed: "warn" };

/** @param {HTMLElement} place @param {string} title @param {object[]} adjustments Nothing is shown where there are none. */
export function showAdjustments(place, title, adjustments) {
  place.hidden = adjustments.length === 0;
  if (place.hidden) {
    fill(place);
    return;
  }
  const lines = adjustments.map(adjustmentInWords).map(({ what, mode, sign, reason }) =>
    el("li", {}, badge(sign, KINDS[mode] ?? ""), el("strong", {}, what), el("span", { class: "muted" }, reason)));
  fill(place, el("h3", {}, title), el("ul", { class: "adjustments" }, lines));
}
