// What was being written, so that a reload or a sign-in does not lose it. Ends with the tab.

const NAME = "spillway.playground.draft";

export class Draft {
  /** @returns {Record<string, unknown>} */
  read() {
    try {
      return JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
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
