// Prices and adjustments in words.

import { money } from "../shell.js";

const SIGN = { changed: "changed", converted: "converted", emulated: "emulated", dropped: "not possible" };

const LABELS = { output_format: "Format", output_compression: "Compression", num_inference_steps: "Steps" };

/** The price of a dry run, short. @param {object} estimate The gateway's answer. */
export function priceInWords(estimate) {
  const { total_cost_micros: total, lowest_cost_micros: lowest, confidence } = estimate;
  if (total === null) return "unknown";
  const most = money(total / 1e6);
  if (lowest !== null && lowest !== total) return `${money(lowest / 1e6)} to ${most}`;
  return confidence === "estimated" ? `about ${most}` : most;
}

/** What it cost in the end; null where a part is unknown yet. */
export function costInWords(cost) {
  return cost === null || cost === undefined ? "cost not known yet" : money(cost);
}

/** @returns {{what: string, mode: string, sign: string, reason: string}} An adjustment for people. */
export function adjustmentInWords({ param, requested, applied, mode, reason }) {
  const from = requested === null ? "" : ` ${short(requested)}`;
  const to = applied === null ? "" : ` → ${short(applied)}`;
  return { what: `${param}${from}${to}`, mode, sign: SIGN[mode] ?? mode, reason };
}

/** `1024x1024` as people write it. */
export function sizeInWords(size) {
  return size.replace(/^(\d+)x(\d+)$/, "$1 × $2");
}

/** `guidance_scale` and `maskMargin` as labels. */
export function labelOf(name) {
  if (name in LABELS) return LABELS[name];
  const words = name
    .replace(/_/g, " ")
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .split(" ")
    .map((word) => (/^[A-Z]{2,}$/.test(word) ? word : word.toLowerCase()))
    .join(" ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function short(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
