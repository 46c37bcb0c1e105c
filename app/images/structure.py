"""Checks an image's structure and leaves only what decoding needs of its bytes, without touching a pixel. Pure.

Where a photograph was taken and with what is nobody's business upstream; nor are the films, previews and depth maps
that phones hide in their files. A chunk that decoding does not need never makes an image unreadable: it is dropped
before any decoder sees it.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.images.formats import boxes, jpeg, png, tiff, webp
from app.images.formats.limits import QUICK, Buffer, Limits, TooFarError
from app.images.formats.parts import Structure, join_parts
from app.images.formats.signatures import sniff

_READERS: Mapping[str, Callable[[Buffer, Limits], Structure]] = {
    "png": png.read_structure,
    "jpeg": jpeg.read_structure,
    "webp": webp.read_structure,
}


@dataclass(frozen=True, slots=True)
class CleanImage:
    """An image reduced to what decoding needs; the very bytes that came in when that is all there was.

    `is_sound` says that its structure is right to the end, so that the bytes may be handed on without being decoded,
    `is_deep` that this could not be judged within the limits.
    """

    data: Buffer
    is_sound: bool
    is_deep: bool = False


def clean_image(data: Buffer, limits: Limits = QUICK) -> CleanImage:
    """`data` to be decoded or passed on. What lies beyond the limits is not called sound."""
    try:
        return _clean(data, sniff(data), limits)
    except TooFarError:
        return CleanImage(data, is_sound=False, is_deep=True)
    except (struct.error, IndexError):
        return CleanImage(data, is_sound=False)


def _clean(data: Buffer, format_: str | None, limits: Limits) -> CleanImage:
    # Never called sound: these formats have more ways to hide something than is checked here, so they are decoded.
    if format_ == "tiff":
        return CleanImage(tiff.reduce_page(data), is_sound=False)
    if format_ in {"avif", "heic"}:
        return CleanImage(boxes.hide_exif(data, limits), is_sound=False)
    reader = _READERS.get(format_ or "")
    if reader is None:
        return CleanImage(data, is_sound=False)
    structure = reader(data, limits)
    return CleanImage(join_parts(data, structure.parts), is_sound=structure.is_sound)
