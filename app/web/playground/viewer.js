// Images seen large: one alone, or two beside each other and one over the other.

import { el } from "../shell.js";

/** @typedef {{name: string, url: string, caption: string}} Shown */

/** Open an image. Arrow keys go on to its neighbors. @param {Shown[]} images @param {number} start */
export function openViewer(images, start) {
  let current = start;
  const photo = el("img", { class: "large" });
  const caption = el("p", { class: "muted", role: "status" });
  const step = (by) => show((current + by + images.length) % images.length);
  const show = (index) => {
    current = index;
    const { name, url, caption: text } = images[index];
    photo.src = url;
    photo.alt = name;
    caption.textContent = images.length > 1 ? `${index + 1} of ${images.length} · ${text}` : text;
  };
  const turn = images.length > 1
    ? [el("button", { type: "button", "aria-label": "Previous image", onclick: () => step(-1) }, "←"),
      el("button", { type: "button", "aria-label": "Next image", onclick: () => step(1) }, "→")]
    : [];
  const dialog = openDialog("viewer", "Image", photo, caption, turn);
  dialog.addEventListener("keydown", (event) => {
    if (images.length > 1 && event.key === "ArrowLeft") step(-1);
    if (images.length > 1 && event.key === "ArrowRight") step(1);
  });
  show(start);
}

/** Compare two images. @param {Shown} left @param {Shown} right */
export function openComparison(left, right) {
  const slider = el("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Where one image ends and the other begins", hidden: true });
  const sides = [left, right].map((one) => el("figure", {}, el("img", { src: one.url, alt: one.name }), el("figcaption", { class: "muted" }, `${one.name} · ${one.caption}`)));
  const pair = el("div", { class: "pair" }, sides);
  const move = () => pair.style.setProperty("--edge", `${slider.value}%`);
  slider.addEventListener("input", move);
  const mode = el("button", { type: "button", "aria-pressed": "false" }, "One over the other");
  mode.addEventListener("click", () => {
    const isOver = pair.classList.toggle("over");
    mode.setAttribute("aria-pressed", String(isOver));
    slider.hidden = !isOver;
    move();
  });
  move();
  openDialog("viewer comparison", "Comparison", pair, slider, [mode]);
}

function openDialog(className, label, content, below, buttons) {
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = el("dialog", { class: className, "aria-label": label }, content, below, el("div", { class: "row end" }, buttons, close));
  // A click beside the image closes it; the browser gives the focus back to where it was.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  close.focus();
  return dialog;
}
