"""Draws the images: deterministic from prompt, seed and size, exactly as large as asked, in the real format.

A generation is a landscape in colors of its own with the prompt on it; an edit is its reference image visibly
recolored, only inside the mask where there is one.
"""

import hashlib
import io
import math
import textwrap
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont, ImageOps

from app.simulator.scenarios import MARKER

_RIDGES = 4
_MAX_CHARS = 240
_QUALITY = 95
_JUMPED = 64


def draw(prompt: str, seed: int, size: tuple[int, int], *, transparent: bool = False) -> Image.Image:
    """An image from text."""
    # From prompt and seed alone: the same request draws the same image, so tests can compare bytes.
    digest = hashlib.sha256(f"{prompt}\x00{seed}".encode("utf-8", "replace")).digest()
    hue = digest[0] / 255
    width, height = size
    sky = Image.linear_gradient("L").resize(size)
    image = ImageOps.colorize(sky, _color(hue, 0.55, 0.35), _color(hue + 0.12, 0.35, 1.0)).convert("RGBA")
    canvas = ImageDraw.Draw(image)
    radius = min(size) * (0.10 + digest[1] / 255 * 0.08)
    x, y = width * (0.2 + 0.6 * digest[2] / 255), height * (0.18 + 0.2 * digest[3] / 255)
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 244, 214, 255))
    for ridge in range(_RIDGES):
        canvas.polygon(_ridge(digest, ridge, size), fill=(*_color(hue + 0.55, 0.45, 0.62 - 0.13 * ridge), 255))
    if transparent:
        alpha = Image.new("L", size, 0)
        ImageDraw.Draw(alpha).ellipse((width * 0.05, height * 0.05, width * 0.95, height * 0.95), fill=255)
        image.putalpha(alpha)
    _write(image, prompt)
    return image if transparent else image.convert("RGB")


def edit(
    reference: Image.Image, mask: Image.Image | None, prompt: str, seed: int, size: tuple[int, int]
) -> Image.Image:
    """A reference image changed as far as the mask allows."""
    original = ImageOps.fit(reference.convert("RGB"), size)
    digest = hashlib.sha256(f"{prompt}\x00{seed}".encode("utf-8", "replace")).digest()
    tone = ImageOps.colorize(
        ImageOps.grayscale(original), _color(digest[0] / 255, 0.8, 0.15), _color(digest[0] / 255 + 0.1, 0.35, 1.0)
    )
    changed = Image.blend(ImageOps.invert(original), tone, 0.75).convert("RGBA")
    _write(changed, prompt)
    result = changed.convert("RGB")
    if mask is None:
        return result
    # Nearest, so that the edge of the mask stays sharp and a test can tell edited pixels from kept ones.
    area = ImageOps.fit(mask.convert("L"), size, Image.Resampling.NEAREST)
    return Image.composite(result, original, area)


def cut_out(reference: Image.Image) -> Image.Image:
    """A reference image with everything outside its middle made transparent."""
    alpha = Image.new("L", reference.size, 0)
    width, height = reference.size
    ImageDraw.Draw(alpha).ellipse((width * 0.1, height * 0.1, width * 0.9, height * 0.9), fill=255)
    cut = reference.convert("RGBA")
    cut.putalpha(alpha)
    return cut


def draw_vector(prompt: str, references: list[Image.Image], seed: int, size: tuple[int, int]) -> bytes:
    """Vector graphics: bars in the colors of the reference, or in colors of the prompt."""
    if references:
        row = references[0].convert("RGB").resize((8, 1))
        colors = [row.getpixel((place, 0)) for place in range(8)]
    else:
        digest = hashlib.sha256(f"{prompt}\x00{seed}".encode("utf-8", "replace")).digest()
        colors = [tuple(digest[place * 3 : place * 3 + 3]) for place in range(8)]
    width, height = size
    bars = "".join(
        f'<rect x="{place * width / 8:g}" width="{width / 8:g}" height="{height}" fill="rgb{color}"/>'
        for place, color in enumerate(colors)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{bars}</svg>'.encode()


def encode(image: Image.Image, format_: str, quality: int | None) -> bytes:
    """The image as PNG, JPG or WEBP."""
    buffer = io.BytesIO()
    if format_ == "PNG":
        image.save(buffer, "PNG", compress_level=1)
    elif format_ == "WEBP":
        image.save(buffer, "WEBP", quality=quality or _QUALITY, method=1)
    else:
        image.convert("RGB").save(buffer, "JPEG", quality=quality or _QUALITY)
    return buffer.getvalue()


# Drawing takes most of the time of a large set of tests; a flat image is made once.
@lru_cache(maxsize=64)
def plain(mode: str, size: tuple[int, int], format_: str, quality: int | None) -> bytes:
    """A flat gray image."""
    return encode(Image.new(mode, size, "gray"), format_, quality)


def _color(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    step = (hue % 1) * 6
    sector, part = int(step) % 6, step - int(step)
    low, falling, rising = (
        value * (1 - saturation),
        value * (1 - saturation * part),
        value * (1 - saturation * (1 - part)),
    )
    red, green, blue = (
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    )[sector]
    return round(red * 255), round(green * 255), round(blue * 255)


def _ridge(digest: bytes, ridge: int, size: tuple[int, int]) -> list[tuple[float, float]]:
    width, height = size
    base = height * (0.52 + 0.12 * ridge)
    first, second = digest[4 + ridge] / 40, digest[8 + ridge] / 25
    points = [
        (
            width * place / _JUMPED,
            base + height * (0.06 * math.sin(first + place / 7) + 0.03 * math.sin(second + place / 2.7)),
        )
        for place in range(_JUMPED + 1)
    ]
    return [*points, (width, height), (0, height)]


def _write(image: Image.Image, prompt: str) -> None:
    """The prompt, legible, on a dark panel at the foot of the image."""
    text = " ".join(MARKER.sub("", prompt).split())[:_MAX_CHARS]
    if not text:
        return
    width, height = image.size
    points = max(9, round(min(width, height) / 24))
    font = ImageFont.load_default(size=points)
    lines = textwrap.wrap(text, max(8, int(width * 0.88 / (points * 0.52))))[
        : max(1, int(height * 0.4 / (points * 1.3)))
    ]
    tall = points * 1.3 * len(lines) + points
    panel = Image.new("RGBA", (width, math.ceil(tall)), (12, 14, 20, 225))
    canvas = ImageDraw.Draw(panel)
    for number, line in enumerate(lines):
        canvas.text((points, points * 0.4 + number * points * 1.3), line, font=font, fill=(255, 255, 255, 255))
    image.alpha_composite(panel, (0, max(0, height - panel.height)))
