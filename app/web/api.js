// Talks to the gateway: the key, the prefix a proxy may put before everything, and errors as the API means them.

import { readKey, signIn } from "./session.js";

/** Where the gateway begins: a proxy may serve it under a path. */
export const root = new URL("../", import.meta.url);

/** What the gateway refused, in its own words. `status` is 0 where it did not answer. */
export class ApiError extends Error {
  constructor(status, { message, param = null, code = null } = {}, requestId = null) {
    super(message || `The gateway answered with status ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.param = param;
    this.code = code;
    this.requestId = requestId;
    /** The whole answer, where it was JSON. @type {any} */
    this.body = null;
  }
}

/** An address of this gateway, such as `at("models")`. */
export function at(path) {
  return new URL(path.replace(/^\/+/, ""), root).href;
}

/** What the address names below a page of its own, or "". What was escaped wrongly stays as it is: it names nothing. */
export function namedBelow(page) {
  const base = `${new URL(at(page)).pathname}/`;
  if (!location.pathname.startsWith(base)) return "";
  const name = location.pathname.slice(base.length).replace(/\/+$/, "");
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * Ask the gateway.
 * @param {string} path Such as `/v1/models`.
 * @param {{method?: string, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal, quiet?: boolean}} [options]
 *   A plain object as `body` is sent as JSON. `quiet` asks for no key where one is missing.
 * @returns {Promise<Response>} Throws ApiError for everything that is no success.
 */
export async function api(path, options = {}) {
  const response = await send(path, options);
  if (response.ok) return response;
  const error = await toError(response);
  const refused = error.status === 401 && error.code === "invalid_api_key" && !options.quiet;
  // Asked once more with another key, as often as its owner wants to try.
  if (refused && (await signIn(readKey() ? error.message : ""))) return api(path, options);
  throw error;
}

/** The JSON of an answer. */
export async function json(path, options = {}) {
  return (await api(path, options)).json();
}

async function send(path, { method = "GET", body, headers = {}, signal }) {
  const key = readKey();
  const plain = body !== undefined && (body === null || Object.getPrototypeOf(body) === Object.prototype);
  try {
    return await fetch(at(path), {
      method,
      headers: {
        // Never text/html, which would be answered with this page.
        Accept: "application/json",
        ...(key ? { Authorization: `Bearer ${key}` } : {}),
        // Also without a body: a gateway that asks for no key takes only what no other page can send unasked (0011).
        ...(plain || (body === undefined && method !== "GET") ? { "Content-Type": "application/json" } : {}),
        ...headers,
      },
      body: plain ? JSON.stringify(body) : body,
      signal,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The gateway does not answer. Is it running?" });
  }
}

async function toError(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // Something between here and the gateway answered in its own way: the status is all there is.
  }
  const error = new ApiError(response.status, body?.error ?? {}, response.headers.get("x-request-id"));
  error.body = body;
  return error;
}
