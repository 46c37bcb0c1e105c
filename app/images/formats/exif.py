"""Reads the orientation out of EXIF, which is a TIFF without an image, and out of XMP.

The only readers of orientation there are. Absent and senseless values are None, so that the next source is asked.
"""

import re
import struct

from app.images.formats.limits import Buffer

SWAPPING = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""
ORIENTATION_TAG = 0x0112
_ORDERS = {b"II": "<", b"MM": ">"}
_NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Some cameras write the orientation as a byte or a long, though it is a short."""
_MAX_TAGS = 512
_PREFIX = b"Exif\x00\x00"
_XMP = re.compile(rb"""tiff:Orientation(?:\s{0,8}=\s{0,8}["']|>)\s{0,8}([1-8])\s{0,8}["'<]""")
_XMP_BYTES = 1024 * 1024


def read_exif_orientation(block: Buffer) -> int | None:
    """The orientation, 1 to 8, of an EXIF block with or without its usual prefix; None when it tells none."""
    exif = memoryview(block)
    if exif[: len(_PREFIX)] == _PREFIX:
        exif = exif[len(_PREFIX) :]
    order = _ORDERS.get(bytes(exif[:2]))
    if order is None:
        return None
    try:
        (offset,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, offset)
        for entry in range(offset + 2, offset + 2 + 12 * min(count, _MAX_TAGS), 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == ORIENTATION_TAG and kind in _NUMBERS:
                return to_orientation(struct.unpack_from(f"{order}{_NUMBERS[kind]}", exif, entry + 8)[0])
    except struct.error:
        return None
    return None


def to_orientation(value: int) -> int | None:
    """`value` if EXIF defines it."""
    return value if 1 <= value <= 8 else None  # noqa: PLR2004 - EXIF defines 1 to 8


def read_xmp_orientation(packet: Buffer) -> int | None:
    """The orientation in an XMP packet, written as an attribute or as an element."""
    found = _XMP.search(packet, 0, _XMP_BYTES)
    return int(found[1]) if found else None
