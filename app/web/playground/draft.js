// What was being written, so that a reload or a sign-in does not lose it. Ends with the tab.

const NAME = "spillway.playground.draft";
const HANDED = "spillway.playground.handed";

/** Leave a prompt for the playground that is opened next. @param {string} query Of its address: it is for that one alone. */
export function handOver(query, prompt) {
  try {
    if (prompt) sessionStorage.setItem(HANDED, JSON.stringify({ query, prompt }));
    else sessionStorage.removeItem(HANDED);
  } catch {
    // Storage is switched off or full: the prompt has to be copied.
  }
}

/** The prompt that was left for the playground at this address, once. @returns {{prompt?: string}} */
export function takeOver(query) {
  try {
    const handed = JSON.parse(sessionStorage.getItem(HANDED) ?? "{}");
    sessionStorage.removeItem(HANDED);
    return handed.query === query ? { prompt: handed.prompt } : {};
  } catch {
    return {};
  }
}

/** Forget what was being written. */
export function forgetDrafts() {
  try {
    for (const name of [NAME, HANDED]) sessionStorage.removeItem(name);
  } catch {
    // Nothing is stored where storage is switched off.
  }
}

export class Draft {
  /**
   * @param {string | undefined} model The one that is asked for; what was set for another is of no use.
   * @returns {Record<string, unknown>}
   */
  read(model) {
    try {
      const { prompt, ...others } = JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
      return { ...(model === undefined || model === others.model ? others : {}), ...(prompt ? { prompt } : {}) };
    } catch {
      return {};
    }
  }

  /** @param {Record<string, unknown>} fields */
  write(fields) {
    try {
      sessionStorage.setItem(NAME, JSON.stringify(fields));
    } catch {
      // Storage is switched off or full: a reload begins anew.
    }
  }
}
