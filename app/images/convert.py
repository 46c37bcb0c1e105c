"""Decodes and encodes images with Pillow. Runs in a worker process; everything that crosses is plain values.

Promises bytes in exactly the format asked for. Settings are those measured fastest at no visible cost (0161): PNG
level 1, GIF by octree, WebP method 2, AVIF speed 8. Leaves orientation, limits and masks to `inputs` and `masks`.
"""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from PIL import Image, ImageFile
from pillow_heif import register_heif_opener

from app.images.color import has_alpha, to_plain, to_rgb, to_srgb
from app.images.errors import TooManyPixelsError, UnreadableImageError

READABLE = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")
"""The decoders that are ever tried; none that runs other programs."""
DEFAULT_QUALITY = 85


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as bytes, with what they are."""

    data: bytes
    format: str
    width: int
    height: int


def open_image(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, fully decoded, raising UnreadableImageError or TooManyPixelsError."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = None  # our own limit is checked before anything is decoded
    register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A fixed list: Pillow knows formats whose decoders start other programs.
            image = Image.open(io.BytesIO(data), formats=READABLE)
            _refuse_above(max_pixels, image)
            image.load()
    except TooManyPixelsError:
        raise
    except Exception as error:  # on damaged bytes decoders raise whatever they like
        raise UnreadableImageError from error
    return image


def _refuse_above(max_pixels: int, image: Image.Image) -> None:
    if image.width * image.height > max_pixels:
        raise TooManyPixelsError


def encode_image(image: Image.Image, format_: str, quality: int | None) -> EncodedImage:
    """The image as png, jpeg, webp, gif or avif, `quality` 0 to 100, without metadata but with its color profile."""
    chosen = DEFAULT_QUALITY if quality is None else quality
    image = _PREPARE.get(format_, to_rgb)(image)
    profile = image.info.get("icc_profile")
    options = dict(options_of(format_, chosen))
    if profile:
        options["icc_profile"] = profile
    buffer = io.BytesIO()
    image.save(buffer, format=format_.upper(), **options)
    return EncodedImage(buffer.getvalue(), format_, image.width, image.height)


def options_of(format_: str, quality: int) -> Mapping[str, object]:
    """What an encoder is told."""
    # Chosen by `python -m benchmarks.conversions`: the next better one costs twice the time for a few percent of size.
    match format_:
        case "png":
            return {"compress_level": 1}
        case "jpeg":
            return {"quality": quality}
        case "webp":
            return {"quality": quality, "method": 2}
        case "avif":
            return {"quality": quality, "speed": 8}
        case _:
            return {}


def convert(data: bytes, format_: str, quality: int | None, max_pixels: int) -> EncodedImage:
    """`data` in another format, raising UnreadableImageError or TooManyPixelsError."""
    return encode_image(open_image(data, max_pixels), format_, quality)


def _flatten(image: Image.Image) -> Image.Image:
    """Without transparency, on white."""
    plain = to_plain(image)
    if not has_alpha(plain):
        return plain
    mode = "L" if plain.mode == "LA" else "RGB"
    flat = Image.new(mode, plain.size, "white")
    flat.paste(plain.convert(mode), mask=plain.getchannel("A"))
    flat.info = dict(plain.info)
    return flat


def _to_palette(image: Image.Image) -> Image.Image:
    """256 colors by octree, with one of them for what is mostly transparent."""
    srgb = to_srgb(image)
    if not has_alpha(srgb):
        return srgb.quantize(256, method=Image.Quantize.FASTOCTREE)
    # One color is kept free for what is transparent.
    palette = srgb.convert("RGB").quantize(255, method=Image.Quantize.FASTOCTREE)
    hidden = srgb.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)  # noqa: PLR2004 - half
    palette.paste(255, mask=hidden)
    palette.info["transparency"] = 255
    return palette


# What a format needs before it can be written; the others take RGB, with or without transparency.
_PREPARE = MappingProxyType({"png": to_plain, "jpeg": _flatten, "gif": _to_palette})
