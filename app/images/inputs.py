"""Checks one input image and makes it fit for a model. Runs in a worker process.

An image that is whole, upright, in a format Runware reads and within the limits keeps every pixel as it is, and loses
only its metadata; anything else is decoded, turned, resized and encoded again.
"""

from dataclasses import dataclass

from PIL import Image

from app.images.color import has_alpha, match_profile, to_rgb
from app.images.convert import encode_image
from app.images.headers import read_header
from app.images.structure import clean_image
from app.images.types import Header
from app.images.upright import open_upright

_READ_BY_RUNWARE = frozenset({"png", "jpeg", "webp"})
_BITS = 8
"""Deeper samples, and four inks, are read in too many ways to be left to whoever comes next."""
_JPEG_QUALITY = 95
_SMALLER = 0.8


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a model takes: sides in pixels, and bytes; None is no limit. `max_pixels` protects this machine."""

    max_pixels: int
    min_side: int | None = None
    max_side: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FittedImage:
    """An image fit for the model. `data` is None when the original bytes already are: no metadata, nothing changed.

    `resized_from` is the upright size before a resize, else None.
    """

    data: bytes | None
    format: str
    width: int
    height: int
    resized_from: tuple[int, int] | None = None


def needs_nothing(header: Header, limits: ImageLimits) -> bool:
    """Whether an image of this header is fit for the model as it is, given that its structure is sound."""
    sides = (header.width, header.height)
    return (
        header.format in _READ_BY_RUNWARE
        and header.color != "cmyk"
        and (header.depth or _BITS) <= _BITS
        and header.orientation == 1
        and not header.animated
        and min(sides) > 0
        and (limits.min_side is None or limits.min_side <= min(sides))
        and (limits.max_side is None or max(sides) <= limits.max_side)
        and header.width * header.height <= limits.max_pixels
    )


def measure_image(data: bytes, max_pixels: int) -> tuple[int, int]:
    """The upright size of an image whose header only a decoder reads, raising as `fit_image` does."""
    header = read_header(data, thorough=True)
    if header is not None and header.width and header.height:
        return header.upright
    size = open_upright(data, max_pixels).size
    return size[0], size[1]


def fit_image(data: bytes, limits: ImageLimits, overlay: bytes | None = None) -> FittedImage:
    """`data` within `limits`, with `overlay` drawn over it if given.

    Raises UnreadableImageError for bytes that do not decode and TooManyPixelsError beyond `max_pixels`.
    """
    header = read_header(data, thorough=True)
    upright = open_upright(data, limits.max_pixels)
    original = upright.size
    if overlay is None and header is not None and needs_nothing(header, limits):
        clean = clean_image(data, thorough=True)
        if clean.is_sound and (limits.max_bytes is None or len(clean.data) <= limits.max_bytes):
            return FittedImage(None if clean.data is data else bytes(clean.data), header.format, *original)
    fitted = _resize(upright, limits)
    if overlay is not None:
        fitted = _draw_over(fitted, open_upright(overlay, limits.max_pixels))
    encoded = encode_image(fitted, "png", None)
    while limits.max_bytes is not None and len(encoded.data) > limits.max_bytes:
        if encoded.format == "jpeg":
            fitted = fitted.resize((max(1, int(fitted.width * _SMALLER)), max(1, int(fitted.height * _SMALLER))))
        encoded = encode_image(fitted, "jpeg", _JPEG_QUALITY)
    resized = original if (encoded.width, encoded.height) != original else None
    return FittedImage(encoded.data, encoded.format, encoded.width, encoded.height, resized)


def blank_image(width: int, height: int) -> bytes:
    """A white PNG."""
    return encode_image(Image.new("RGB", (width, height), "white"), "png", None).data


def scale_into(size: tuple[int, int], limits: ImageLimits) -> tuple[int, int]:
    """`size` scaled into the limits on its sides, its shape kept; the upper limit wins over the lower."""
    width, height = size
    factor = 1.0
    if limits.min_side is not None:
        factor = max(factor, limits.min_side / min(width, height))
    if limits.max_side is not None:
        factor = min(factor, limits.max_side / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _resize(image: Image.Image, limits: ImageLimits) -> Image.Image:
    size = scale_into(image.size, limits)
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS)


def _draw_over(image: Image.Image, overlay: Image.Image) -> Image.Image:
    base = to_rgb(image)
    drawn = base.convert("RGBA")
    drawn.alpha_composite(match_profile(overlay, base).convert("RGBA").resize(drawn.size))
    made = drawn if has_alpha(base) else drawn.convert("RGB")
    made.info = dict(base.info)
    return made
