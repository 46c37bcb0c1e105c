// The history of this browser as a strip: what was asked, what came, and a way back to it.

import { ago, at, el, fill, plural } from "../shell.js";
import { HistoryStore } from "./store.js";
import { costInWords } from "./words.js";

export class History {
  #store = new HistoryStore();
  #urls = [];
  #onUse;

  /** @param {(entry: import("./store.js").Entry) => void} onUse */
  constructor(onUse) {
    this.#onUse = onUse;
    this.list = el("ul", { class: "history" });
    this.clearButton = el("button", { type: "button", class: "quiet small", onclick: () => this.#confirm() }, "Clear history");
    this.node = el("section", { class: "card", "aria-label": "History", hidden: true },
      el("div", { class: "between" }, el("h2", {}, "History of this browser"), this.clearButton), this.list);
    this.#show();
  }

  /** @param {import("./store.js").Entry} entry */
  async add(entry) {
    await this.#store.add(entry);
    await this.#show();
  }

  async #show() {
    const entries = await this.#store.list();
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.node.hidden = entries.length === 0;
    fill(this.list, entries.map((entry) => this.#entry(entry)));
  }

  #entry(entry) {
    const urls = entry.thumbnails.map((blob) => URL.createObjectURL(blob));
    this.#urls.push(...urls);
    const prompt = String(entry.fields.prompt ?? entry.fields.model ?? "");
    const facts = [entry.fields.model, plural(entry.count, "image"), costInWords(entry.cost), ago(entry.at / 1000)];
    return el("li", {},
      el("div", { class: "thumbnails", "aria-hidden": "true" }, urls.map((url) => el("img", { src: url, alt: "" }))),
      el("div", { class: "about" }, el("p", { class: "prompt" }, prompt), el("p", { class: "muted small" }, facts.join(" · ")),
        el("div", { class: "row" },
          el("button", { type: "button", class: "small", "aria-label": `Use again: ${prompt}`, onclick: () => this.#onUse(entry) }, "Use again"),
          el("a", { class: "small", href: at(`requests/${entry.id}`) }, "Request"),
          el("button", { type: "button", class: "quiet small", "aria-label": `Forget: ${prompt}`, onclick: () => this.#remove(entry.id) }, "Forget"))));
  }

  async #remove(id) {
    await this.#store.remove(id);
    await this.#show();
    this.clearButton.focus();
  }

  #confirm() {
    const dialog = el("dialog", { "aria-labelledby": "clear-title" }, el("form", { method: "dialog" },
      el("h2", { id: "clear-title" }, "Clear the history?"),
      el("p", { class: "muted" }, "It is kept in this browser only. Requests and images at the gateway stay."),
      el("div", { class: "row end" },
        el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Keep it"),
        el("button", { type: "submit", class: "danger", value: "clear" }, "Clear"))));
    dialog.addEventListener("close", async () => {
      dialog.remove();
      if (dialog.returnValue !== "clear") return;
      await this.#store.clear();
      await this.#show();
    });
    document.body.append(dialog);
    dialog.showModal();
  }
}
