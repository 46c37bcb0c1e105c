"""Checks one input image and makes it fit for a model. Runs in a worker process.

An image that is whole, upright, in a format Runware reads and within the limits keeps every pixel as it is, and loses
only its metadata; anything else is decoded, turned, resized and encoded again.
"""

from dataclasses import dataclass

from PIL import Image, ImageFilter, ImageOps

from app.images.color import has_alpha, match_profile, to_rgb
from app.images.convert import encode_image
from app.images.formats.limits import THOROUGH
from app.images.geometry import Dimensions, ImageLimits, Placement, TargetShape, place
from app.images.headers import read_header
from app.images.structure import clean_image
from app.images.types import Header
from app.images.upright import open_upright

_READ_BY_RUNWARE = frozenset({"png", "jpeg", "webp"})
# Deeper samples, and four inks, are read in too many ways to be passed on.
_BITS = 8
_JPEG_QUALITY = 95
# Each step leaves two thirds of the pixels.
_SMALLER = 0.8
# Padding is made of the image at a sixteenth of its size.
_BLUR = 16


@dataclass(frozen=True, slots=True)
class FittedImage:
    """An image fit for the model. `data` is None when the original bytes already are: no metadata, nothing changed.

    `original` is its upright size before, `placement` what was done about its shape.
    """

    data: bytes | None
    format: str
    width: int
    height: int
    original: Dimensions
    placement: Placement


def needs_nothing(header: Header, limits: ImageLimits, target: TargetShape | None = None) -> bool:
    """Whether an image of this header is fit for the model as it is, given that its structure is sound."""
    sides = (header.width, header.height)
    return (
        header.format in _READ_BY_RUNWARE
        and header.color != "cmyk"
        and (header.depth or _BITS) <= _BITS
        and header.orientation == 1
        and not header.animated
        and min(sides) > 0
        and place(sides, limits, target) == Placement(sides, sides)
        and header.width * header.height <= limits.max_pixels
    )


def measure_image(data: bytes, max_pixels: int) -> tuple[int, int]:
    """The upright size of an image whose header only a decoder reads, raising as `fit_image` does."""
    header = read_header(data, THOROUGH)
    if header is not None and header.width and header.height:
        return header.upright
    size = open_upright(data, max_pixels).size
    return size[0], size[1]


def fit_image(
    data: bytes, limits: ImageLimits, overlay: bytes | None = None, target: TargetShape | None = None
) -> FittedImage:
    """`data` within `limits` and in the shape of `target`, with `overlay` drawn over it if given.

    Raises UnreadableImageError for bytes that do not decode and TooManyPixelsError beyond `max_pixels`.
    """
    header = read_header(data, THOROUGH)
    upright = open_upright(data, limits.max_pixels)
    original, placement = upright.size, place(upright.size, limits, target)
    # Untouched where possible: each encoding costs quality, time and memory.
    if overlay is None and header is not None and needs_nothing(header, limits, target):
        # Metadata may hold places and names; what the model does not need does not leave the gateway (0021).
        clean = clean_image(data, THOROUGH)
        if clean.is_sound and (limits.max_bytes is None or len(clean.data) <= limits.max_bytes):
            kept = None if clean.data is data else bytes(clean.data)
            return FittedImage(kept, header.format, *original, original, placement)
    if overlay is not None:
        upright = _draw_over(upright, open_upright(overlay, limits.max_pixels))
    fitted = _put(upright, placement)
    # Lossless first: what the model sees should not be compressed twice without need.
    encoded = encode_image(fitted, "png", None)
    while limits.max_bytes is not None and len(encoded.data) > limits.max_bytes:
        # The format first, the size after: JPEG alone is mostly small enough, and keeps every pixel.
        if encoded.format == "jpeg":
            fitted = fitted.resize((max(1, int(fitted.width * _SMALLER)), max(1, int(fitted.height * _SMALLER))))
        encoded = encode_image(fitted, "jpeg", _JPEG_QUALITY)
    return FittedImage(encoded.data, encoded.format, encoded.width, encoded.height, original, placement)


def blank_image(width: int, height: int) -> bytes:
    """A white PNG."""
    return encode_image(Image.new("RGB", (width, height), "white"), "png", None).data


def _put(image: Image.Image, placement: Placement) -> Image.Image:
    """The image where it lands; what is added around it is its own, blurred, or clear where it has transparency."""
    scaled = image if image.size == placement.inner else image.resize(placement.inner, Image.Resampling.LANCZOS)
    if scaled.size == placement.outer:
        return scaled
    left, top = ((outer - inner) // 2 for outer, inner in zip(placement.outer, placement.inner, strict=True))
    canvas = _surroundings(image, placement) if placement.pads else Image.new(scaled.mode, placement.outer)
    canvas.paste(scaled, (left, top))
    canvas.info = dict(image.info)
    return canvas


def _surroundings(image: Image.Image, placement: Placement) -> Image.Image:
    # Clear, not blurred: around a cut-out object a background would appear that it never had.
    if has_alpha(image):
        return Image.new(image.mode, placement.outer, (255, 0) if image.mode == "LA" else (255, 255, 255, 0))
    small = (max(1, placement.outer[0] // _BLUR), max(1, placement.outer[1] // _BLUR))
    blurred = ImageOps.fit(image, small).filter(ImageFilter.GaussianBlur(2))
    return blurred.resize(placement.outer, Image.Resampling.BICUBIC)


def _draw_over(image: Image.Image, overlay: Image.Image) -> Image.Image:
    base = to_rgb(image)
    drawn = base.convert("RGBA")
    drawn.alpha_composite(match_profile(overlay, base).convert("RGBA").resize(drawn.size))
    made = drawn if has_alpha(base) else drawn.convert("RGB")
    made.info = dict(base.info)
    return made
