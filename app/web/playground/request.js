// What the form says, as a request to the gateway: which endpoint, which fields, as JSON or as a form. Pure.

/**
 * @typedef {{name: string, blob: Blob}} NamedFile
 * @typedef {{path: string, fields: Record<string, unknown>, images: NamedFile[], mask: NamedFile | null}} ImageRequest
 */

export const GENERATIONS = "/v1/images/generations";
export const EDITS = "/v1/images/edits";

/**
 * @param {Record<string, unknown>} fields What was set; everything else is absent.
 * @param {NamedFile[]} images With any of them it is an edit.
 * @param {NamedFile | null} mask
 * @returns {ImageRequest}
 */
export function toRequest(fields, images, mask) {
  return { path: images.length ? EDITS : GENERATIONS, fields, images, mask: images.length ? mask : null };
}

/**
 * What is sent: a plain object, which travels as JSON, or a form where there are files.
 * @param {ImageRequest} request
 * @param {Record<string, unknown>} [more] Fields of this way of sending, such as `stream`.
 */
export function toBody(request, more = {}) {
  const fields = { ...request.fields, ...more };
  if (!request.images.length) return fields;
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, toText(value));
  for (const image of request.images) form.append("image[]", image.blob, image.name);
  if (request.mask) form.append("mask", request.mask.blob, request.mask.name);
  return form;
}

/** A value in a form: text as it is, anything else as JSON, which the gateway reads back. */
export function toText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A key under which the gateway knows a repeated request again, made without what only secure pages have. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `playground-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
