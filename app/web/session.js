// The key of whoever uses the pages: asked for once, kept by the browser alone, and sent as a header.
// Owns storage and the dialog; leaves requests to api.js.

import { el } from "./dom.js";
import { forgetDrafts } from "./playground/draft.js";
import { HistoryStore } from "./playground/store.js";

const NAME = "spillway.key";
/** @type {Promise<boolean> | null} One dialog at a time, however many requests were refused at once. */
let asking = null;
/** Where storage is switched off, the key lives as long as the page. */
let held = "";
/** Whose key is asked for; the frame says otherwise where callers pay themselves. */
export const wording = { whose: "an API key of this gateway" };

/** @returns {string} The key, or "" where there is none. */
export function readKey() {
  try {
    return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? held;
  } catch {
    return held;
  }
}

/** Forget the key, in this tab and for good, and what was made under it: whoever signs in next is somebody else. */
export async function signOut() {
  forget();
  forgetDrafts();
  await new HistoryStore().clear();
}

function forget() {
  held = "";
  try {
    sessionStorage.removeItem(NAME);
    localStorage.removeItem(NAME);
  } catch {
    // Nothing is stored where storage is switched off.
  }
}

function keep(key, remember) {
  forget();
  try {
    (remember ? localStorage : sessionStorage).setItem(NAME, key);
  } catch {
    held = key;
  }
  // The frame may have been drawn before anybody was asked.
  document.dispatchEvent(new Event("signed-in"));
}

/**
 * Ask for a key.
 * @param {string} reason What the gateway said, or why it is asked for.
 * @returns {Promise<boolean>} Whether one was given.
 */
export function signIn(reason = "") {
  asking ??= ask(reason).finally(() => {
    asking = null;
  });
  return asking;
}

function ask(reason) {
  const field = el("input", {
    type: "password", id: "sign-in-key", autocomplete: "off", spellcheck: false, required: true, maxLength: 512,
  });
  const remember = el("input", { type: "checkbox", id: "sign-in-remember" });
  const problem = el("p", { class: "problem", role: "alert" }, reason);
  const form = el("form", { method: "dialog" },
    el("h2", { id: "sign-in-title" }, "Sign in"),
    el("p", { class: "muted" }, `Paste ${wording.whose}. It stays in this browser and is sent to this gateway only.`),
    problem,
    el("label", { for: "sign-in-key" }, "API key"),
    field,
    el("label", { class: "check", for: "sign-in-remember" }, remember, "Remember on this device"),
    el("div", { class: "row end" },
      el("button", { type: "button", class: "quiet", onclick: () => dialog.close("") }, "Cancel"),
      el("button", { type: "submit", class: "primary" }, "Sign in")),
  );
  const dialog = el("dialog", { class: "sign-in", "aria-labelledby": "sign-in-title" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const key = field.value.trim();
    // A header carries printable ASCII only; anything else was not copied from a key.
    if (!/^[\x21-\x7e]+$/.test(key)) {
      problem.textContent = "This is not a key: it has spaces or other characters that keys do not have.";
      field.focus();
      return;
    }
    keep(key, remember.checked);
    dialog.close("signed-in");
  });
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "signed-in");
    });
  });
}
