// What the records of requests say, in words for people.

import { badge, el, prose } from "./shell.js";

const STATUS_KINDS = { queued: "", processing: "warn", completed: "good", partial: "warn", failed: "bad" };
const MODE_KINDS = { changed: "warn", dropped: "bad", converted: "good", emulated: "good" };
const MODE_WORDS = { changed: "changed to the nearest", dropped: "has no equivalent", converted: "made by this gateway", emulated: "made by other means" };

/** How far a request is. */
export function statusBadge(status) {
  return badge(status, STATUS_KINDS[status] ?? "");
}

/** What differs from what was asked, one sentence each. */
export function adjustments(list) {
  return el("ul", { class: "plain" }, list.map((one) => el("li", {},
    el("div", { class: "row" }, el("code", {}, one.param), badge(one.mode, MODE_KINDS[one.mode] ?? ""),
      one.requested === null && one.applied === null ? el("span", {}, MODE_WORDS[one.mode] ?? "")
        : el("span", {}, shown(one.requested), " → ", shown(one.applied))),
    el("p", { class: "muted small" }, prose(one.reason)))));
}

function shown(value) {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
