// What was being written, so that a reload or a sign-in does not lose it. Ends with the tab.

const NAME = "spillway.playground.draft";

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
