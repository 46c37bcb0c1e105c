// The mask editor: an image with a canvas over it, painted by pointer or by keyboard. What a mask is, `strokes` knows.

import { el, fill } from "../shell.js";
import { problemFor } from "./problems.js";
import { canvasOf, coverage, drawLine, paint } from "./strokes.js";

const MOST_PIXELS = 1_600;
const HELP = "Drag to paint what should change. By keyboard: arrows move, space paints, shift with arrows paints along, [ and ] change the brush, E erases, Ctrl+Z undoes.";

export class MaskEditor {
  /** @type {import("./images.js").InputImage | null} */
  #item = null;
  #stroke = null;
  #cursor = [0, 0];
  #scale = 1;
  #onChange;

  /** @param {(item: import("./images.js").InputImage) => void} onChange After each stroke. */
  constructor(onChange) {
    this.#onChange = onChange;
    this.canvas = el("canvas", { tabIndex: 0, role: "application", "aria-label": "Mask", "aria-describedby": "mask-help" });
    this.photo = el("img", { alt: "", draggable: "false" });
    this.brush = el("div", { class: "brush", hidden: true });
    this.stage = el("div", { class: "stage" }, this.photo, this.canvas, this.brush);
    this.size = el("input", { type: "range", id: "brush-width", min: 1, max: 50, value: 12 });
    this.tools = ["brush", "eraser"].map((kind) => el("input", { type: "radio", name: "mask-tool", value: kind, checked: kind === "brush" }));
    this.undoButton = this.#button("Undo", () => this.undo());
    this.said = el("p", { class: "hint", role: "status" });
    this.problem = problemFor(this.canvas);
    this.enlarge = this.#button("Enlarge", () => this.#toggleSize());
    this.node = el("dialog", { id: "mask-editor", class: "mask", "aria-label": "Painting on the image" }, this.#toolbar(), this.stage,
      el("p", { class: "hint", id: "mask-help" }, HELP), this.said, this.problem);
    this.#listen();
  }

  /** @returns {boolean} */
  get isOpen() {
    return this.node.open;
  }

  /** Paint on this image. @param {import("./images.js").InputImage} item */
  open(item) {
    if (this.#item !== item) {
      this.#item = item;
      this.photo.src = item.url;
      this.#scale = Math.min(1, MOST_PIXELS / Math.max(item.size.width, item.size.height));
      const { width, height } = canvasOf(item.size, this.#scale);
      Object.assign(this.canvas, { width, height });
      this.stage.style.setProperty("aspect-ratio", `${width} / ${height}`);
      this.stage.style.setProperty("--ratio", String(width / height));
      this.#cursor = [item.size.width / 2, item.size.height / 2];
    }
    if (!this.node.open) this.node.show();
    this.#redraw();
    this.canvas.focus({ preventScroll: true });
    this.stage.scrollIntoView({ block: "nearest" });
  }

  close() {
    this.node.close();
  }

  undo() {
    if (!this.#item?.strokes.length) return;
    const hadFocus = document.activeElement === this.undoButton;
    this.#item.strokes.pop();
    this.#redraw();
    if (hadFocus && this.undoButton.disabled) this.canvas.focus({ preventScroll: true });
    this.#changed();
  }

  #toolbar() {
    const [brush, eraser] = this.tools;
    return el("div", { class: "toolbar" },
      el("div", { class: "segments", role: "radiogroup", "aria-label": "Tool" },
        el("label", {}, brush, el("span", {}, "Brush")), el("label", {}, eraser, el("span", {}, "Eraser"))),
      el("label", { class: "brush-width", for: "brush-width" }, "Brush width", this.size),
      this.undoButton,
      this.#button("Invert", () => this.#add({ kind: "invert" })),
      this.#button("Clear", () => this.#add({ kind: "clear" })),
      this.enlarge,
      this.#button("Done", () => this.close()));
  }

  #button(name, onclick) {
    return el("button", { type: "button", class: "quiet", onclick }, name);
  }

  #listen() {
    this.canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => this.#end());
    this.canvas.addEventListener("pointerleave", () => {
      this.brush.hidden = true;
    });
    this.canvas.addEventListener("keydown", (event) => this.#onKey(event));
    this.canvas.addEventListener("blur", () => {
      this.brush.hidden = true;
    });
    this.size.addEventListener("input", () => this.#showBrush(this.#cursor));
    this.node.addEventListener("close", () => {
      // It closes for a moment also when it changes its size.
      this.enlarge.textContent = this.node.matches(":modal") ? "Reduce" : "Enlarge";
    });
    // Escape leaves the large view and keeps the mask.
    this.node.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#toggleSize();
    });
  }

  /** The brush in pixels of the image: the same part of any image. */
  get #brushSize() {
    const { width, height } = this.#item.size;
    return Math.max(2, (Math.max(width, height) * Number(this.size.value)) / 150);
  }

  get #tool() {
    return this.tools.find((one) => one.checked).value;
  }

  #pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.#item.size;
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  }

  #begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.#stroke = { kind: this.#tool, size: this.#brushSize, points: [this.#pointOf(event)] };
    drawLine(this.#context, this.#stroke, this.#scale);
  }

  #move(event) {
    this.#cursor = this.#pointOf(event);
    this.#showBrush(this.#cursor);
    if (!this.#stroke) return;
    const from = this.#stroke.points.length;
    // What the pointer did between two frames: without it quick curves have corners.
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const one of passed.length ? passed : [event]) this.#stroke.points.push(this.#pointOf(one));
    drawLine(this.#context, this.#stroke, this.#scale, from);
  }

  #end() {
    if (!this.#stroke) return;
    const stroke = this.#stroke;
    this.#stroke = null;
    this.#item.strokes.push(stroke);
    this.#changed();
  }

  #onKey(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in arrows) {
      const step = this.#brushSize / 2;
      const { width, height } = this.#item.size;
      const before = [...this.#cursor];
      this.#cursor = this.#cursor.map((one, axis) => Math.min(Math.max(0, one + arrows[event.key][axis] * step), [width, height][axis]));
      if (event.shiftKey) this.#add({ kind: this.#tool, size: this.#brushSize, points: [before, [...this.#cursor]] });
    } else if (event.key === " ") this.#add({ kind: this.#tool, size: this.#brushSize, points: [[...this.#cursor]] });
    else if (event.key === "[") this.size.stepDown(2);
    else if (event.key === "]") this.size.stepUp(2);
    else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else if (event.key.toLowerCase() === "e" && !event.ctrlKey) this.tools[this.#tool === "brush" ? 1 : 0].checked = true;
    else return;
    event.preventDefault();
    this.#showBrush(this.#cursor);
  }

  #add(stroke) {
    if (!this.#item) return;
    this.#item.strokes.push(stroke);
    paint(this.#context, [stroke], this.#scale);
    this.#changed();
  }

  get #context() {
    return this.canvas.getContext("2d");
  }

  #redraw() {
    const context = this.#context;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    paint(context, this.#item.strokes, this.#scale);
    this.#tell();
  }

  #changed() {
    this.#tell();
    this.#onChange(this.#item);
  }

  #tell() {
    const share = coverage(this.#item.strokes, this.#item.size);
    this.undoButton.disabled = !this.#item.strokes.length;
    fill(this.said, share === 0 ? "Nothing is painted yet: the whole image may change." : `${percent(share)} of the image will be edited.`);
  }

  #showBrush([x, y]) {
    if (!this.#item) return;
    const { width, height } = this.#item.size;
    const part = (this.#brushSize / width) * 100;
    for (const [name, value] of [["left", (x / width) * 100], ["top", (y / height) * 100], ["width", part]]) this.brush.style.setProperty(name, `${value}%`);
    this.brush.hidden = false;
  }

  #toggleSize() {
    const isLarge = this.node.matches(":modal");
    this.node.close();
    if (isLarge) this.node.show();
    else this.node.showModal();
    this.canvas.focus({ preventScroll: true });
  }
}

function percent(share) {
  return share < 0.01 ? "Less than 1 %" : `${Math.round(share * 100)} %`;
}
