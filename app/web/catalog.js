// What the pages know of models, from the list of the API: prices to sort by, modes in words, sizes as shapes.

import { atItsSize, badge, el, svg } from "./shell.js";

const MODE_WORDS = { "text-to-image": "from text", "image-edit": "edits" };
const TOOLS = ["upscaling", "background-removal"];
const KIND_WORDS = {
  automatic: "The model chooses the size itself.",
  unpublished: "Runware publishes no sizes: any is passed on, and Runware judges it.",
};

/** What a model is good for, in words. */
export function modes(model) {
  const tool = TOOLS.find((one) => model.capabilities.includes(one));
  if (tool) return [tool.replace("-", " ")];
  return model.modes.map((mode) => MODE_WORDS[mode] + (model.emulated_modes.includes(mode) ? " (emulated)" : ""));
}

/** The smallest amount that an image is known to cost, or null: to sort and filter by. */
export function lowestPrice(model) {
  const found = String(model.pricing.summary).match(/\d+(?:\.\d+)?/);
  return model.pricing.confidence === "unknown" || !found ? null : Number(found[0]);
}

/** A price with how far it is to be trusted. */
export function price(model) {
  const { confidence, summary } = model.pricing;
  if (confidence === "unknown") return el("span", { class: "muted" }, "price not published");
  return el("span", { class: "price" }, summary + atItsSize(model.pricing), confidence === "estimated" ? [" ", badge("estimated", "warn")] : null);
}

/** Every size of a model that has a fixed list, as [width, height]. */
export function fixedSizes(model) {
  return Object.values(model.sizes.tiers ?? {}).flat().map((size) => size.split("x").map(Number));
}

/** Whether a model makes a size as it is. Null where nobody knows. */
export function makes(model, width, height) {
  const sizes = model.sizes;
  if (sizes.kind === "fixed") return fixedSizes(model).some(([w, h]) => w === width && h === height);
  if (sizes.kind !== "range" && sizes.kind !== "budget") return null;
  const step = sizes.step ?? 1;
  const fits = (side) => side >= (sizes.min_side ?? 1) && side <= (sizes.max_side ?? Infinity) && side % step === 0;
  const [area, aspect] = [width * height, width / height];
  if (aspect < (sizes.min_aspect ?? 0) || aspect > (sizes.max_aspect ?? Infinity)) return false;
  return fits(width) && fits(height) && area >= (sizes.min_pixels ?? 0) && area <= (sizes.max_pixels ?? Infinity);
}

/** The shape of a size, drawn. */
export function shape(width, height, side = 40) {
  const scale = side / Math.max(width, height);
  const [w, h] = [width * scale, height * scale];
  return svg("svg", { viewBox: `0 0 ${side + 2} ${side + 2}`, width: side + 2, height: side + 2, class: "shape", "aria-hidden": "true" },
    svg("rect", { x: 1 + (side - w) / 2, y: 1 + (side - h) / 2, width: w, height: h, rx: 3 }));
}

/** `16:9`, or the nearest ratio that people say. */
export function ratio(width, height) {
  const divide = (a, b) => (b ? divide(b, a % b) : a);
  const common = divide(width, height);
  const [w, h] = [width / common, height / common];
  return w <= 21 && h <= 21 ? `${w}:${h}` : `${(width / height).toFixed(2)}:1`;
}

/** Sizes in one sentence, for models without a list. */
export function sizesInWords(model) {
  const sizes = model.sizes;
  if (KIND_WORDS[sizes.kind]) return KIND_WORDS[sizes.kind];
  const parts = [];
  if (sizes.min_side || sizes.max_side) parts.push(`sides from ${sizes.min_side ?? 1} to ${sizes.max_side ?? "any"} pixels`);
  if (sizes.step > 1) parts.push(`in steps of ${sizes.step}`);
  if (sizes.max_pixels) parts.push(`at most ${(sizes.max_pixels / 1e6).toFixed(1)} megapixels`);
  if (sizes.max_aspect) parts.push(`at most ${sizes.max_aspect} times as wide as high`);
  if (sizes.kind === "tiers") return `Any shape at ${sizes.tiers.join(", ")}.`;
  return parts.length ? `Any size with ${parts.join(", ")}.` : "See the fields below.";
}
