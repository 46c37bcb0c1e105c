"""Reads images as Runware made them: what it said of them, their bytes and their headers. Converts nothing."""

import asyncio

import pybase64

from app.domain.answer import DeliveredImage
from app.domain.spec import OutputSpec
from app.domain.words import ImageFormat
from app.egress.download import MAX_BYTES
from app.errors import ProviderError
from app.images.headers import HEAD_BYTES, is_whole, read_header
from app.images.types import Header
from app.runware.members import Image

_HEAD_TEXT = HEAD_BYTES // 3 * 4
_TAIL_TEXT = 1024
_INLINE_TEXT = 256 * 1024
_LARGEST_SIDE = 4096
"""Of an image whose size the model chooses: no tool enlarges beyond."""
_GENEROUS_BYTES = 8
"""A pixel: four channels of 16 bits that cannot be compressed."""
_MAX_LAYERS = 8
_LEAST_BYTES = 32 * 1024 * 1024
_MEASURED = frozenset({ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.GIF})
"""Formats whose header tells the size."""


def max_bytes_of(output: OutputSpec) -> int:
    """How many bytes an image may have: far more than any of its size needs."""
    pixels = output.size[0] * output.size[1] if output.size else _LARGEST_SIDE**2
    layers = _MAX_LAYERS if output.format.native == "TIFF" else 1
    return min(max(pixels * _GENEROUS_BYTES * layers, _LEAST_BYTES), MAX_BYTES)


def broken_image() -> ProviderError:
    """The error for bytes that are no image."""
    return ProviderError("The provider delivered a broken image.", code="broken_image", should_retry=False)


def told(
    image: Image,
    size: tuple[int, int] | None,
    format_: ImageFormat,
    url: str | None = None,
    expires_at: int | None = None,
) -> DeliveredImage:
    """What Runware said of an image; unless it is behind Runware's own link, its address or its bytes are to come."""
    return DeliveredImage(
        # A drawing has no pixels, and of some formats only a decoder knows the size: then there is none to tell.
        size if size is not None and all(size) else None,
        format_,
        image.seed,
        url,
        expires_at,
        image_uuid=image.image_uuid,
        nsfw_content=image.nsfw,
        provider_fields=image.others,
    )


def header_of(data: bytes) -> Header:
    """The header of a whole image."""
    header = read_header(data)
    if header is None or not is_whole(data) or not is_measured(header):
        raise broken_image()
    return header


def is_measured(header: Header) -> bool:
    """Whether a header says how large its image is, where its format does."""
    return header.format not in _MEASURED or header.width > 0


def header_of_text(text: memoryview) -> Header:
    """The header of a whole image in base64, with only its two ends decoded."""
    try:
        head = pybase64.b64decode(text[:_HEAD_TEXT], validate=True)
        header = read_header(head) or read_header(pybase64.b64decode(text, validate=True))
        tail_start = max(0, len(text) - _TAIL_TEXT) // 4 * 4
        tail = pybase64.b64decode(text[tail_start:], validate=True)
    except ValueError:
        raise broken_image() from None
    ends = is_whole(head) if len(text) <= _HEAD_TEXT else whole_ends(head, tail, len(text) // 4 * 3 + 3)
    if header is None or not ends:
        raise broken_image()
    return header


async def decode_text(text: bytes | memoryview) -> bytes:
    """The bytes behind base64; large ones are decoded in a thread."""
    try:
        if len(text) < _INLINE_TEXT:
            return pybase64.b64decode(text, validate=True)
        return await asyncio.to_thread(pybase64.b64decode, text, validate=True)
    except ValueError:
        raise broken_image() from None


def whole_ends(head: bytes, tail: bytes, size: int) -> bool:
    """Whether an image of up to `size` bytes is whole, as far as its two ends tell."""
    if head[:4] == b"RIFF":
        return size >= int.from_bytes(head[4:8], "little") + 8
    return is_whole(head[:2048] + tail)
