// A mask as the strokes it was painted with: drawn at any scale, undone by leaving out the last, saved at full size.

import { toBlob } from "./pixels.js";

/**
 * @typedef {{kind: "brush" | "eraser", size: number, points: [number, number][]} | {kind: "invert" | "clear"}} Stroke
 *   Points and sizes are in pixels of the image.
 */

const SAMPLE = 256;

/**
 * Paint strokes onto a context. What is opaque there is what will be edited.
 * @param {CanvasRenderingContext2D} context @param {Stroke[]} strokes @param {number} scale Of the canvas to the image.
 */
export function paint(context, strokes, scale) {
  for (const stroke of strokes) {
    if (stroke.kind === "clear") context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    else if (stroke.kind === "invert") invert(context);
    else drawLine(context, stroke, scale);
  }
}

/** Where nothing was painted it now is, and the other way round. */
function invert(context) {
  context.save();
  context.globalCompositeOperation = "source-out";
  context.fillStyle = "#000";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.restore();
}

/** @param {number} from The first point that is not drawn yet. */
export function drawLine(context, stroke, scale, from = 0) {
  const points = stroke.points.slice(Math.max(0, from - 1));
  context.save();
  context.globalCompositeOperation = stroke.kind === "eraser" ? "destination-out" : "source-over";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = stroke.size * scale;
  context.strokeStyle = context.fillStyle = "#000";
  context.beginPath();
  // A line of no length would not be drawn at all.
  if (points.length === 1) context.arc(points[0][0] * scale, points[0][1] * scale, context.lineWidth / 2, 0, 2 * Math.PI);
  else for (const [x, y] of points) context.lineTo(x * scale, y * scale);
  if (points.length === 1) context.fill();
  else context.stroke();
  context.restore();
}

/** How much of the image is painted, from 0 to 1. @param {Stroke[]} strokes @param {{width: number, height: number}} size */
export function coverage(strokes, size) {
  if (!strokes.length) return 0;
  const canvas = canvasOf(size, Math.min(1, SAMPLE / Math.max(size.width, size.height)));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  paint(context, strokes, canvas.width / size.width);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let painted = 0;
  for (let place = 3; place < data.length; place += 4) painted += data[place];
  return painted / 255 / (data.length / 4);
}

/** The mask as OpenAI means it, of the size of the image: transparent where to edit. */
export async function toMask(strokes, size) {
  const canvas = canvasOf(size, 1);
  const context = canvas.getContext("2d");
  paint(context, [...strokes, { kind: "invert" }], 1);
  return toBlob(canvas, "image/png");
}

/** An empty canvas for an image of this size. */
export function canvasOf({ width, height }, scale) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  return canvas;
}
