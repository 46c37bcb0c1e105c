// Images of past requests: looked at without collecting them, and made small where they come with their bytes.

import { el, json, safeAddress } from "./shell.js";

const TYPES = { png: "image/png", jpeg: "image/jpeg", jpg: "image/jpeg", webp: "image/webp", gif: "image/gif", avif: "image/avif", svg: "image/svg+xml" };

/** Whether a request has images that can be looked at. */
export function hasImages(record) {
  return record.images_kept && record.images.length > 0;
}

/** @returns {Promise<{src: string, size: string}[]>} The images; `collect` counts as having them, a look does not. */
export async function imagesOf(id, { collect = false } = {}) {
  const answer = await json(`/v1/requests/${encodeURIComponent(id)}/result${collect ? "" : "?peek=true"}`);
  return answer.data.map((item) => ({
    src: item.url ?? URL.createObjectURL(toBlob(item.b64_json, item.output_format ?? answer.output_format)),
    size: item.size ?? answer.size ?? "",
  }));
}

function toBlob(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: TYPES[format] ?? "application/octet-stream" });
}

/** An image in the page; words in its place where it is gone. */
export function thumbnail({ src }, alt, props = {}) {
  const image = el("img", { src, alt, loading: "lazy", decoding: "async", ...props });
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "gone muted small" }, "image gone")));
  return image;
}

/** A link that saves an image, or opens it where it lies elsewhere. */
export function saveLink({ src }, name) {
  if (safeAddress(src) === null) return null;
  return el("a", { href: src, download: name, target: "_blank", rel: "noopener" }, "Open");
}

/** Fills each of these places once it comes into view. */
export class LazyThumbs {
  constructor() {
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((one) => one.isIntersecting)) {
        this.observer.unobserve(entry.target);
        this.#load(entry.target);
      }
    }, { rootMargin: "200px" });
  }

  /** A place for the first image of a request. */
  place(record) {
    const place = el("span", { class: "thumb", "aria-hidden": "true" });
    place.dataset.id = record.id;
    this.observer.observe(place);
    return place;
  }

  async #load(place) {
    try {
      const [first] = await imagesOf(place.dataset.id);
      if (first) place.append(thumbnail(first, ""));
    } catch {
      // Gone by now: the place stays empty, and the page of the request says why.
    }
  }
}
