"""Checks one input picture and makes it fit for a model. Runs in a worker process.

A picture that is whole, upright, in a format Runware reads and within the limits keeps every pixel as it is, and loses
only its metadata; anything else is decoded, turned, resized and encoded again.
"""

from dataclasses import dataclass

from PIL import Image, ImageOps

from app.images.convert import encode_picture, has_alpha, open_picture
from app.images.inspect import inspect
from app.images.metadata import strip_metadata

_READ_BY_RUNWARE = frozenset({"png", "jpeg", "webp"})
_JPEG_QUALITY = 95
_SMALLER = 0.8


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a model takes: sides in pixels, and bytes; None is no limit. `max_pixels` protects this machine."""

    max_pixels: int
    min_side: int | None = None
    max_side: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FittedPicture:
    """A picture fit for the model. `data` is None when the original bytes already are: no metadata, nothing changed.

    `resized_from` is the upright size before a resize, else None.
    """

    data: bytes | None
    format: str
    width: int
    height: int
    resized_from: tuple[int, int] | None = None


def measure_picture(data: bytes, max_pixels: int) -> tuple[int, int]:
    """The upright size of a picture whose header only a decoder reads, raising as `fit_picture` does."""
    size = ImageOps.exif_transpose(open_picture(data, max_pixels)).size
    return size[0], size[1]


def fit_picture(data: bytes, limits: PictureLimits, overlay: bytes | None = None) -> FittedPicture:
    """`data` within `limits`, with `overlay` drawn over it if given.

    Raises UnreadablePictureError for bytes that do not decode and TooManyPixelsError beyond `max_pixels`.
    """
    picture = open_picture(data, limits.max_pixels)
    header = inspect(data)
    upright = ImageOps.exif_transpose(picture)
    original = upright.size
    fitted = _resize(upright, limits)
    if overlay is not None:
        fitted = _draw_over(fitted, open_picture(overlay, limits.max_pixels))
    untouched = (
        overlay is None
        and fitted.size == original
        and header is not None
        and header.orientation == 1
        and header.format in _READ_BY_RUNWARE
        and not getattr(picture, "is_animated", False)
        and len(data) <= (limits.max_bytes or len(data))
    )
    if untouched and header is not None:
        stripped = strip_metadata(data)
        return FittedPicture(None if stripped is data else stripped, header.format, *original)
    encoded = encode_picture(fitted, "png", None)
    while limits.max_bytes is not None and len(encoded.data) > limits.max_bytes:
        if encoded.format == "jpeg":
            fitted = fitted.resize((max(1, int(fitted.width * _SMALLER)), max(1, int(fitted.height * _SMALLER))))
        encoded = encode_picture(fitted, "jpeg", _JPEG_QUALITY)
    resized = original if (encoded.width, encoded.height) != original else None
    return FittedPicture(encoded.data, encoded.format, encoded.width, encoded.height, resized)


def blank_picture(width: int, height: int) -> bytes:
    """A white PNG."""
    return encode_picture(Image.new("RGB", (width, height), "white"), "png", None).data


def _resize(picture: Image.Image, limits: PictureLimits) -> Image.Image:
    """The picture scaled into the limits on its sides, its shape kept; the upper limit wins over the lower."""
    width, height = picture.size
    factor = 1.0
    if limits.min_side is not None:
        factor = max(factor, limits.min_side / min(width, height))
    if limits.max_side is not None:
        factor = min(factor, limits.max_side / max(width, height))
    if factor == 1.0:
        return picture
    size = tuple(max(1, round(side * factor)) for side in (width, height))
    if picture.mode not in {"RGB", "RGBA", "L", "LA"}:
        picture = picture.convert("RGBA" if has_alpha(picture) else "RGB")
    resized = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    resized.info = dict(picture.info)
    return resized


def _draw_over(picture: Image.Image, overlay: Image.Image) -> Image.Image:
    ground = picture.convert("RGBA")
    ground.alpha_composite(overlay.convert("RGBA").resize(ground.size))
    return ground if has_alpha(picture) else ground.convert("RGB")
