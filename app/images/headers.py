"""Reads what an image says of itself, in bounded steps and without decoding it. Pure.

The only place where formats are distinguished and orientation is read. What lies deeper than a few milliseconds of
looking reach is left open here (a header without a size) and asked of a worker, which reads on to the end.
"""

import struct
from collections.abc import Callable, Mapping

from app.images.formats import boxes, jpeg, plain, png, tiff, webp
from app.images.formats.limits import QUICK, THOROUGH, Buffer, Limits, TooFarError
from app.images.formats.signatures import sniff
from app.images.types import Header

HEAD_BYTES = 65_536
"""Enough of an image for its header; only JPEGs with large metadata need more."""
INLINE_BYTES = 2 * 1024 * 1024
"""Images of more bytes than this are not walked through on the event loop: their checksums alone take a millisecond."""

_READERS: Mapping[str, Callable[[Buffer, Limits], Header | None]] = {
    "png": png.read_header,
    "jpeg": jpeg.read_header,
    "webp": webp.read_header,
    "gif": plain.read_gif_header,
    "bmp": lambda data, _: plain.read_bitmap_header(data),
    "tiff": lambda data, _: tiff.read_header(data),
    "avif": boxes.read_header,
    "heic": boxes.read_header,
}


def read_header(data: Buffer, limits: Limits = QUICK) -> Header | None:
    """The header of an image, or None when the bytes are not one or end too early.

    Without a size when it lies beyond the limits, unless they are those of a worker, behind whom nobody looks further.
    """
    format_ = sniff(data)
    reader = _READERS.get(format_ or "")
    if reader is None or format_ is None:
        return None if format_ is None else Header(format_)
    try:
        # Bounded steps: this runs on the event loop, on bytes of strangers.
        header = reader(data, limits)
    except TooFarError:
        return None if limits == THOROUGH else Header(format_)
    except (struct.error, IndexError):
        return None
    # One side alone cannot be 0 in a real image; both are 0 where only a decoder can tell.
    no_area = header is not None and (header.width == 0) != (header.height == 0)
    return None if no_area else header


def is_whole(data: Buffer) -> bool:
    """Whether an image ends as its format says it must: catches truncation without decoding.

    Trailing bytes after the end are forgiven, as decoders forgive them.
    """
    format_ = sniff(data)
    # Near the end, not at it: cameras and editors append bytes, and decoders read past them.
    if format_ == "png":
        return b"IEND\xae\x42\x60\x82" in bytes(data[-512:])
    if format_ == "jpeg":
        return b"\xff\xd9" in bytes(data[-512:])
    if format_ == "webp":
        return len(data) >= int.from_bytes(bytes(data[4:8]), "little") + 8
    if format_ == "gif":
        return b";" in bytes(data[-16:])
    if format_ == "svg":
        return b"</svg>" in bytes(data[-512:])
    return format_ is not None
