"""Decodes and encodes pictures with Pillow. Runs in a worker process; everything that crosses is plain values.

Promises bytes in exactly the format asked for. Settings are those measured fastest at no visible cost: PNG level 1,
GIF by octree, AVIF speed 8. Leaves orientation, limits and masks to `inputs` and `masks`.
"""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageFile, UnidentifiedImageError
from pillow_heif import register_heif_opener

READABLE = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")
"""The decoders that are ever tried; none that runs other programs."""
DEFAULT_QUALITY = 85
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA"})


class UnreadablePictureError(Exception):
    """The bytes are not a whole picture in a format we read."""


class TooManyPixelsError(Exception):
    """The picture has more pixels than allowed."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A picture as bytes, with what they are."""

    data: bytes
    format: str
    width: int
    height: int


def open_picture(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, fully decoded, raising UnreadablePictureError or TooManyPixelsError."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = None  # our own limit is checked before anything is decoded
    register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=READABLE)
            _refuse_above(max_pixels, picture)
            picture.load()
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        MemoryError,
        IndexError,
        KeyError,
    ) as error:
        raise UnreadablePictureError from error
    return picture


def _refuse_above(max_pixels: int, picture: Image.Image) -> None:
    if picture.width * picture.height > max_pixels:
        raise TooManyPixelsError


def has_alpha(picture: Image.Image) -> bool:
    """Whether the picture can carry transparency."""
    return picture.mode in _ALPHA_MODES or "transparency" in picture.info


def encode_picture(picture: Image.Image, format_: str, quality: int | None) -> EncodedPicture:
    """The picture as png, jpeg, webp, gif or avif, `quality` 0 to 100, without metadata but with its color profile."""
    profile = picture.info.get("icc_profile")
    chosen = DEFAULT_QUALITY if quality is None else quality
    if format_ == "jpeg":
        picture = _flatten(picture)
    elif picture.mode not in {"RGB", "RGBA", "L", "LA"}:
        picture = picture.convert("RGBA" if has_alpha(picture) else "RGB")
    options: dict[str, object] = {"icc_profile": profile} if profile and format_ != "gif" else {}
    if format_ == "png":
        options["compress_level"] = 1
    elif format_ == "jpeg":
        options |= {"quality": chosen, "optimize": False}
    elif format_ == "webp":
        options |= {"quality": chosen, "method": 2}
    elif format_ == "avif":
        options |= {"quality": chosen, "speed": 8}
    elif format_ == "gif":
        picture = _to_palette(picture)
    buffer = io.BytesIO()
    picture.save(buffer, format=format_.upper(), **options)
    return EncodedPicture(buffer.getvalue(), format_, picture.width, picture.height)


def convert(data: bytes, format_: str, quality: int | None, max_pixels: int) -> EncodedPicture:
    """`data` in another format, raising UnreadablePictureError or TooManyPixelsError."""
    return encode_picture(open_picture(data, max_pixels), format_, quality)


def _flatten(picture: Image.Image) -> Image.Image:
    if not has_alpha(picture):
        return picture if picture.mode in {"RGB", "L"} else picture.convert("RGB")
    rgba = picture.convert("RGBA")
    ground = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    ground.alpha_composite(rgba)
    return ground.convert("RGB")


def _to_palette(picture: Image.Image) -> Image.Image:
    """256 colors by octree, with one of them for what is mostly transparent."""
    if not has_alpha(picture):
        return picture.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE)
    rgba = picture.convert("RGBA")
    palette = rgba.convert("RGB").quantize(255, method=Image.Quantize.FASTOCTREE)
    hidden = rgba.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)  # noqa: PLR2004 - half
    palette.paste(255, mask=hidden)
    palette.info["transparency"] = 255
    return palette
