// The images to edit: dropped, pasted or picked, put in order, removed. Leaves painting on them to the mask editor.

import { el, fill } from "../shell.js";
import { measure, standIn } from "./pixels.js";
import { problemFor } from "./problems.js";

const ACCEPTED = "image/png,image/jpeg,image/webp,image/gif,image/avif,image/heic,image/heif,image/bmp,image/tiff,.heic,.tif,.tiff";
const MOVED = "application/x-spillway-image";

/**
 * @typedef {{name: string, blob: Blob, url: string, size: {width: number, height: number} | null, standIn: Blob | null,
 *   strokes: object[]}} InputImage
 */

export class Images {
  /** @type {InputImage[]} */
  items = [];
  /** Whether the mask editor is open, which its button says. */
  isMasking = false;
  /** Ends when everything that was handed over is among the items. @type {Promise<unknown>} */
  #reading = Promise.resolve();
  #onChange;
  #onMask;
  #limits = { takesImages: true, mostInputs: 16, takesMask: true };

  /** @param {{onChange: () => void, onMask: (item: InputImage, button: HTMLElement) => void}} handlers */
  constructor({ onChange, onMask }) {
    this.#onChange = onChange;
    this.#onMask = onMask;
    this.picker = el("input", { type: "file", id: "images", accept: ACCEPTED, multiple: true, class: "visually-hidden", tabIndex: -1, "aria-label": "Images" });
    this.button = el("button", { type: "button", onclick: () => this.picker.click() }, "Add images");
    this.problem = problemFor(this.button);
    this.list = el("ol", { class: "inputs", "aria-label": "Inputs in order" });
    this.note = el("p", { class: "hint" });
    this.said = el("p", { class: "visually-hidden", role: "status" });
    this.node = el("section", { class: "drop", "aria-label": "Inputs" },
      el("div", { class: "between" }, el("div", {}, this.button, this.picker), el("span", { class: "hint" }, "or drop, or paste")),
      this.list, this.note, this.said, this.problem);
    this.picker.addEventListener("change", () => {
      this.add([...this.picker.files]);
      // The same file may be picked again.
      this.picker.value = "";
    });
    this.#listenToPage();
  }

  /** @param {{takesImages: boolean, mostInputs: number, takesMask: boolean}} limits Of the chosen model. */
  limit(limits) {
    this.#limits = limits;
    this.#show();
  }

  /** @param {Blob[]} files @param {boolean} first Whether they go before those that are there. */
  async add(files, first = false) {
    const images = files.filter((file) => file.type.startsWith("image/") || /\.(heic|heif|avif|tiff?)$/i.test(file.name ?? ""));
    if (!images.length) {
      if (files.length) this.#say("That is no image.");
      return;
    }
    const items = Promise.all(images.map((blob, index) => this.#read(blob, index)));
    // One after the other: what is dropped first stands first, however large it is.
    this.#reading = this.#reading.catch(() => {}).then(async () => this.#put(await items, first));
    await this.#reading;
  }

  /** Wait for what was handed over and is still being read. */
  async settled() {
    await this.#reading;
  }

  /** @returns {Promise<InputImage>} */
  async #read(blob, index) {
    const size = await measure(blob);
    const name = blob.name ?? `image-${this.items.length + index + 1}.${(blob.type.split("/")[1] ?? "png").replace("jpeg", "jpg").replace("svg+xml", "svg")}`;
    return { name, blob, url: URL.createObjectURL(blob), size, standIn: size && (await standIn(size)), strokes: [] };
  }

  #put(items, first) {
    this.items = first ? [...items, ...this.items] : [...this.items, ...items];
    this.#say(`${items.map((one) => one.name).join(", ")} added. ${this.items.length} in all.`);
    this.#changed();
  }

  clear() {
    for (const item of this.items) URL.revokeObjectURL(item.url);
    this.items = [];
    this.#changed();
  }

  /** The image that `image[1]` names; the control itself for `image`. @param {string} param */
  resolve(param) {
    const index = Number(/\[(\d+)\]/.exec(param)?.[1] ?? 0);
    const item = this.list.children[index];
    if (/\[\d+\]/.test(param)) item?.classList.add("wrong");
    return item?.querySelector("button") ?? this.button;
  }

  /** Show what changed in an item, such as its mask. */
  refresh() {
    this.#show();
  }

  #listenToPage() {
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    document.addEventListener("dragenter", (event) => {
      if (hasFiles(event)) document.body.classList.toggle("dragging", ++depth > 0);
    });
    document.addEventListener("dragleave", (event) => {
      if (hasFiles(event)) document.body.classList.toggle("dragging", --depth > 0);
    });
    document.addEventListener("dragover", (event) => {
      // Anywhere: a file that misses its place would replace the page.
      if (hasFiles(event)) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      depth = 0;
      document.body.classList.remove("dragging");
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    });
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
      // Copied from a document, text comes with an image of itself: in a field the text is meant.
      const isText = event.target.closest?.("input, textarea") && event.clipboardData.types.includes("text/plain");
      if (!files.length || isText) return;
      event.preventDefault();
      this.add(files);
    });
  }

  #show() {
    fill(this.list, this.items.map((item, index) => this.#entry(item, index)));
    this.list.hidden = !this.items.length;
    const { takesImages, mostInputs } = this.#limits;
    if (this.items.length && !takesImages) this.note.textContent = "This model takes no images: choose one that edits.";
    else if (this.items.length > mostInputs) this.note.textContent = `This model takes ${mostInputs === 1 ? "one image" : `at most ${mostInputs} images`}.`;
    else this.note.textContent = "";
  }

  #entry(item, index) {
    const entry = el("li", { draggable: "true" },
      // Not to be dragged by itself: that would be the image, and not its place in the list.
      el("img", { src: item.url, alt: "", draggable: "false", class: item.size ? null : "unreadable" }),
      el("div", { class: "about" }, el("span", { class: "name" }, item.name),
        el("span", { class: "muted small" }, item.size ? `${item.size.width} × ${item.size.height}` : "no preview")),
      el("div", { class: "row" },
        this.#maskButton(item, index),
        this.#mover(index, -1, "↑", `Move ${item.name} earlier`),
        this.#mover(index, 1, "↓", `Move ${item.name} later`),
        el("button", { type: "button", class: "quiet icon", "aria-label": `Remove ${item.name}`, onclick: () => this.#remove(index) }, "✕")));
    entry.addEventListener("dragstart", (event) => event.dataTransfer.setData(MOVED, String(index)));
    entry.addEventListener("dragover", (event) => {
      if (event.dataTransfer.types.includes(MOVED)) event.preventDefault();
    });
    entry.addEventListener("drop", (event) => {
      const from = event.dataTransfer.getData(MOVED);
      if (from === "") return;
      event.preventDefault();
      this.#move(Number(from), index);
    });
    return entry;
  }

  /** Only the first image has a mask, and only where the browser can show what is painted on. */
  #maskButton(item, index) {
    if (index > 0 || !item.size || !this.#limits.takesMask) return null;
    const button = el("button", { type: "button", class: "mask-button", "aria-expanded": String(this.isMasking), "aria-controls": "mask-editor" }, "Mask");
    button.addEventListener("click", () => this.#onMask(item, button));
    return button;
  }

  #mover(index, step, sign, name) {
    const isPossible = index + step >= 0 && index + step < this.items.length;
    if (!isPossible) return null;
    return el("button", { type: "button", class: "quiet icon", "aria-label": name, onclick: () => this.#move(index, index + step) }, sign);
  }

  #move(from, to) {
    const [item] = this.items.splice(from, 1);
    this.items.splice(to, 0, item);
    this.#changed();
    this.#say(`${item.name} is image ${to + 1} now.`);
    // The focus follows the image, on the button that was pressed or its neighbor at the end of the list.
    const label = to > from ? "later" : "earlier";
    const buttons = [...this.list.children[to].querySelectorAll("button")];
    (buttons.find((one) => one.ariaLabel?.endsWith(label)) ?? buttons.find((one) => one.ariaLabel?.startsWith("Move")))?.focus();
  }

  #remove(index) {
    const [item] = this.items.splice(index, 1);
    URL.revokeObjectURL(item.url);
    this.#changed();
    this.#say(`${item.name} removed.`);
    (this.list.children[Math.min(index, this.items.length - 1)]?.querySelector("button") ?? this.button).focus();
  }

  #say(text) {
    this.said.textContent = text;
  }

  #changed() {
    this.#show();
    this.#onChange();
  }
}
