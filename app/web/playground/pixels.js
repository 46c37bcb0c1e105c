// Images as the browser reads them: how large they are, small copies, and stand-ins for asking the price.

const LARGEST_SIDE = 16_384;

/** The size as people see it, turned upright; null where this browser cannot read the format. @param {Blob} blob */
export async function measure(blob) {
  try {
    const bitmap = await createImageBitmap(blob);
    const size = { width: bitmap.width, height: bitmap.height };
    bitmap.close();
    return size;
  } catch {
    return null;
  }
}

/** A flat image of this size in a few kilobytes. The price of an edit depends on no more of its images. */
export async function standIn({ width, height }) {
  if (Math.max(width, height) > LARGEST_SIDE) return null;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#808080";
  context.fillRect(0, 0, width, height);
  return toBlob(canvas, "image/png");
}

/** A copy of at most `side` pixels; null where the image cannot be read. @param {Blob} blob */
export async function thumbnail(blob, side = 192) {
  try {
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await toBlob(canvas, "image/webp", 0.8);
  } catch {
    return null;
  }
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<Blob | null>} */
export function toBlob(canvas, type, quality) {
  return new Promise((resolve) => {
    canvas.toBlob(resolve, type, quality);
  });
}
