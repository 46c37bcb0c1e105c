// How values are shown. Unknown stays unknown: it is never shown as zero.

/** US dollars with every digit that counts. @param {number | string | null | undefined} value */
export function money(value) {
  if (value === null || value === undefined || value === "" || Number.isNaN(Number(value))) return "unknown";
  const amount = Number(value);
  const [whole, fraction = ""] = Math.abs(amount).toFixed(9).split(".");
  const digits = fraction.replace(/0+$/, "").padEnd(2, "0");
  return `${amount < 0 ? "−" : ""}$${group(whole)}.${digits}`;
}

/** ` at 512x512` where the price of a model is known for that size alone, else nothing. @param {object} pricing */
export function atItsSize(pricing) {
  if (pricing.per_image || pricing.per_edit) return "";
  const sizes = new Set([
    ...Object.keys(pricing.per_size ?? {}), ...(pricing.quality_size ? [pricing.quality_size] : []),
    ...Object.values(pricing.per_quality_size ?? {}).flatMap((one) => Object.keys(one)),
  ]);
  return sizes.size === 1 ? ` at ${[...sizes][0]}` : "";
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return "unknown";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** A moment, as the reader's own clock shows it. @param {number | null | undefined} seconds */
export function moment(seconds) {
  if (seconds === null || seconds === undefined) return "never";
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** How long ago a moment was, in one word or two. */
export function ago(seconds, now = Date.now() / 1000) {
  const past = Math.max(0, now - seconds);
  if (past < 5) return "just now";
  if (past < 60) return `${Math.floor(past)} s ago`;
  if (past < 3600) return `${Math.floor(past / 60)} min ago`;
  if (past < 86_400) return `${Math.floor(past / 3600)} h ago`;
  return `${Math.floor(past / 86_400)} d ago`;
}

/** A whole number, with thousands apart. */
export function count(value) {
  return value === null || value === undefined ? "unknown" : group(String(value));
}

/** `1 image`, `2 images`. */
export function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

function group(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ",");
}
