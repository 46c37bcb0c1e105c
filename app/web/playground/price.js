// The price before sending: a dry run as its reader types, one at a time, the last one counts.

import { api, el, fill } from "../shell.js";
import { toBody } from "./request.js";
import { priceInWords } from "./words.js";

const PAUSE_MS = 250;

export class Price {
  #timer = 0;
  #running = null;
  #read;
  #tell;

  /**
   * @param {() => Promise<import("./request.js").ImageRequest | null>} read What would be sent; null where there is nothing yet.
   * @param {(said: {estimate?: object, error?: Error}) => void} tell
   */
  constructor(read, tell) {
    this.#read = read;
    this.#tell = tell;
    this.output = el("output", { class: "price", "aria-label": "Price" }, "…");
    this.note = el("span", { class: "muted small" });
    this.node = el("div", { class: "price-box" }, el("span", { class: "label", "aria-hidden": "true" }, "Price"), this.output, this.note);
  }

  /** Ask once its reader pauses. */
  ask() {
    clearTimeout(this.#timer);
    // An answer to what was there before must not be shown any more.
    this.#running?.abort();
    this.node.classList.add("stale");
    this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
  }

  /** There is nothing to ask the price of. */
  clear() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#show("—", "");
  }

  async #ask() {
    const running = new AbortController();
    this.#running = running;
    try {
      const request = await this.#read();
      if (!request || running.signal.aborted) return;
      const response = await api(`${request.path}?dryRun=true`, {
        method: "POST", body: toBody(request, { stream: true }), signal: running.signal,
        // Nobody is asked for a key because they typed.
        quiet: true,
      });
      const estimate = await response.json();
      if (running.signal.aborted) return;
      this.#show(priceInWords(estimate), estimate.reason ?? "");
      this.#tell({ estimate });
    } catch (error) {
      if (running.signal.aborted) return;
      this.#show("—", "");
      this.#tell({ error });
    }
  }

  #show(price, note) {
    this.node.classList.remove("stale");
    fill(this.output, price);
    this.note.textContent = note;
  }
}
