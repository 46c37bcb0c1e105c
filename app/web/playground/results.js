// The runs of this page and their images, each shown the moment it exists, with its time and its cost.

import { at, duration, el, fill, plural } from "../shell.js";
import { showAdjustments } from "./adjustments.js";
import { openComparison, openViewer } from "./viewer.js";
import { costInWords, sizeInWords } from "./words.js";

const MOST_RUNS = 12;
const TICK_MS = 200;

/** All runs, newest first; the oldest leave, and their images with them. */
export class Results {
  /** @type {Run[]} */
  #runs = [];
  /** @type {Tile[]} */
  #compared = [];

  /** @param {{onUse: (blob: Blob, name: string) => void}} handlers */
  constructor({ onUse }) {
    this.onUse = onUse;
    this.list = el("div", { class: "stack" });
    this.compare = el("button", { type: "button", class: "primary", onclick: () => this.#openComparison() }, "Compare");
    this.bar = el("div", { class: "compare-bar", hidden: true, role: "status" }, el("span", {}), this.compare);
    this.empty = el("div", { class: "empty" }, el("p", {}, "Images appear here, each the moment it exists."), el("p", { class: "muted small" }, "Write a prompt and press Generate. Ctrl+Enter works in every field, too."));
    this.node = el("section", { "aria-label": "Results", class: "stack" }, this.empty, this.list, this.bar);
  }

  /** Begin a run of `count` images. @param {number} count @param {string} title @returns {Run} */
  begin(count, title) {
    const run = new Run(this, count, title);
    this.#runs.unshift(run);
    this.list.prepend(run.node);
    this.empty.hidden = true;
    for (const old of this.#runs.splice(MOST_RUNS)) this.#drop(old);
    return run;
  }

  /** Take back a run that never began. @param {Run} run */
  discard(run) {
    run.end();
    this.#runs = this.#runs.filter((one) => one !== run);
    this.#drop(run);
    this.empty.hidden = this.#runs.length > 0;
  }

  /** @param {Tile} tile */
  toggleCompared(tile) {
    if (this.#compared.includes(tile)) this.#compared = this.#compared.filter((one) => one !== tile);
    // A third one takes the place of the first.
    else this.#compared = [...this.#compared, tile].slice(-2);
    for (const run of this.#runs) for (const one of run.tiles) one.markCompared(this.#compared.includes(one));
    this.bar.hidden = this.#compared.length === 0;
    this.bar.firstChild.textContent = this.#compared.length === 2 ? "Two images chosen." : "Choose a second image.";
    this.compare.disabled = this.#compared.length < 2;
  }

  #openComparison() {
    const [left, right] = this.#compared;
    if (right) openComparison(left.shown, right.shown);
  }

  #drop(run) {
    run.node.remove();
    for (const tile of run.tiles) {
      if (this.#compared.includes(tile)) this.toggleCompared(tile);
      tile.release();
    }
  }
}

/** One request and its images. */
export class Run {
  #started = performance.now();
  #said = el("p", { class: "visually-hidden", role: "status" });
  #summary = el("span", { class: "muted small" });
  #link = el("span", { class: "small" });
  #adjusted = el("div", { class: "adjusted", hidden: true });

  constructor(results, count, title) {
    this.results = results;
    this.tiles = Array.from({ length: count }, (_, index) => new Tile(this, index));
    this.problem = el("div", { class: "problem", role: "alert" });
    this.actions = el("div", { class: "row" });
    this.node = el("article", { class: "card run", "aria-label": `Run: ${title}` },
      el("div", { class: "between" }, el("p", { class: "title" }, title), el("span", { class: "row" }, this.#summary, this.#link)),
      el("div", { class: "tiles" }, this.tiles.map((tile) => tile.node)), this.problem, this.actions, this.#adjusted, this.#said);
    // Not announced: a clock that speaks is a nuisance.
    this.timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** @param {string | null} id Of the request, where its record is. */
  name(id) {
    this.id = id;
    fill(this.#link, id ? el("a", { href: at(`requests/${id}`) }, "Request") : null);
  }

  /** @param {import("./run.js").MadeImage} image */
  add(image) {
    const took = this.elapsed;
    const tile = this.tiles[image.index];
    if (!tile || tile.image) return;
    tile.show(image, took);
    showAdjustments(this.#adjusted, "What was adjusted", image.adjustments);
    this.#said.textContent = `Image ${image.index + 1} of ${this.tiles.length} is there after ${duration(took)}, ${costInWords(image.cost)}.`;
  }

  /** The run is over, or paused: what has not come is marked so. @param {string} why */
  end(why = "") {
    clearInterval(this.timer);
    for (const tile of this.tiles) if (!tile.image) tile.miss(why || "Not made");
    const made = this.made.length;
    this.#summary.textContent = made ? `${plural(made, "image")} · ${duration(this.elapsed)} · ${costInWords(this.cost)}` : why;
  }

  /** What the images cost together; null while a part of it is unknown. */
  get cost() {
    const costs = this.made.map((tile) => tile.image.cost);
    // Rounded to nano-dollars, the unit of the ledger: floating point adds digits of its own.
    return costs.includes(null) ? null : Number(costs.reduce((sum, cost) => sum + cost, 0).toFixed(9));
  }

  get made() {
    return this.tiles.filter((tile) => tile.image);
  }

  get elapsed() {
    return performance.now() - this.#started;
  }

  /** Wait again for what is missing. */
  resume() {
    for (const tile of this.tiles) if (!tile.image) tile.wait();
    fill(this.problem);
    fill(this.actions);
    this.timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #tick() {
    const text = `${(this.elapsed / 1000).toFixed(1)} s`;
    for (const tile of this.tiles) if (!tile.image) tile.clock.textContent = text;
  }
}

/** One image, or the place where it will be. */
class Tile {
  /** @type {import("./run.js").MadeImage | null} */
  image = null;

  constructor(run, index) {
    this.run = run;
    this.index = index;
    this.clock = el("span", { class: "clock" }, "0.0 s");
    this.node = el("figure", { class: "tile" });
    this.wait();
  }

  wait() {
    this.node.className = "tile waiting";
    fill(this.node, el("div", { class: "place" }, this.clock), el("figcaption", { class: "muted small" }, `Image ${this.index + 1}`));
  }

  miss(why) {
    this.node.className = "tile missing";
    fill(this.node, el("div", { class: "place" }, why), el("figcaption", { class: "muted small" }, `Image ${this.index + 1}`));
  }

  show(image, took) {
    this.image = image;
    const name = `Image ${this.index + 1}`;
    const facts = [image.size && image.size !== "auto" ? sizeInWords(image.size) : null, duration(took), costInWords(image.cost)];
    this.shown = { name, url: URL.createObjectURL(image.blob), caption: [...facts, image.seed === null ? null : `seed ${image.seed}`].filter(Boolean).join(" · ") };
    const fileName = `spillway-${(this.run.id ?? "image").slice(-8)}-${this.index + 1}.${image.format === "jpeg" ? "jpg" : image.format}`;
    this.compareButton = el("button", { type: "button", class: "quiet small", "aria-pressed": "false", onclick: () => this.run.results.toggleCompared(this) }, "Compare");
    const named = (text) => ({ "aria-label": `${text}: image ${this.index + 1}` });
    this.node.className = "tile";
    fill(this.node,
      el("button", { type: "button", class: "place", "aria-label": `Open image ${this.index + 1}`, onclick: () => this.#open() }, el("img", { src: this.shown.url, alt: name })),
      el("figcaption", { class: "small" }, facts.filter(Boolean).join(" · ")),
      el("div", { class: "row" },
        el("a", { class: "button quiet small", href: this.shown.url, download: fileName, ...named("Download") }, "Download"),
        el("button", { type: "button", class: "quiet small", ...named("Use as input"), onclick: () => this.run.results.onUse(image.blob, fileName) }, "Use as input"),
        this.compareButton));
  }

  markCompared(isCompared) {
    this.compareButton?.setAttribute("aria-pressed", String(isCompared));
    this.node.classList.toggle("compared", isCompared);
  }

  release() {
    if (this.shown) URL.revokeObjectURL(this.shown.url);
  }

  #open() {
    const made = this.run.made;
    openViewer(made.map((tile) => tile.shown), made.indexOf(this));
  }
}
