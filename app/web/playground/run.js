// One request carried out: sent, streamed, and told image by image. Knows no page.

import { ApiError, api } from "../shell.js";
import { readEvents } from "./events.js";
import { toBody } from "./request.js";

const TYPES = { svg: "image/svg+xml" };

/**
 * @typedef {{index: number, blob: Blob, format: string, size: string, seed: number | null, cost: number | null, adjustments: object[]}} MadeImage
 */

/** What went wrong after the answer had begun. */
export class BrokenStreamError extends Error {
  constructor() {
    super("The connection broke. What was sent goes on at the gateway: continue to collect it, nothing is bought twice.");
    this.name = "BrokenStreamError";
  }
}

/**
 * Send a request and yield what comes of it.
 * @param {import("./request.js").ImageRequest} request
 * @param {string} key Under which a repetition joins this very request.
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{id: string} | {image: MadeImage} | {error: ApiError}>}
 */
export async function* carryOut(request, key, signal) {
  const response = await api(request.path, {
    method: "POST",
    body: toBody(request, { stream: true }),
    headers: { Accept: "text/event-stream", "Idempotency-Key": key },
    signal,
  });
  const id = response.headers.get("x-request-id");
  yield { id };
  let expected = request.fields.n ?? 1;
  try {
    for await (const event of readEvents(response.body)) {
      const said = parse(event.data);
      if (said?.error) {
        yield { error: new ApiError(response.status, said.error, id) };
        return;
      }
      if (!said?.type?.endsWith(".completed")) continue;
      expected -= 1;
      yield { image: toImage(said) };
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new BrokenStreamError();
  }
  if (expected > 0) throw new BrokenStreamError();
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Not the gateway's: something in between has spoken.
    return null;
  }
}

/** @returns {MadeImage} */
function toImage(said) {
  const format = said.output_format ?? "png";
  return {
    index: said.index ?? 0,
    blob: new Blob([bytesOf(said.b64_json)], { type: TYPES[format] ?? `image/${format}` }),
    format,
    size: said.size ?? "",
    seed: said.seed ?? null,
    cost: said.metadata?.cost ?? null,
    adjustments: said.metadata?.adjustments ?? [],
  };
}

function bytesOf(base64) {
  // Newer browsers decode it themselves, much faster.
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes;
}
