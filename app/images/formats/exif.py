"""Reads the orientation out of EXIF, which is a TIFF without an image, and out of XMP.

The only readers of orientation there are. Absent and senseless values are None, so that the next source is asked.
"""

import re
import struct
from collections.abc import Callable

from app.images.formats.limits import Buffer

SWAPPING = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""
ORIENTATION_TAG = 0x0112
_ORDERS = {b"II": "<", b"MM": ">"}
# Some cameras write the orientation as a byte or a long, though it is a short.
_NUMBERS = {1: "B", 3: "H", 4: "I"}
_MAX_TAGS = 512
_PREFIX = b"Exif\x00\x00"
_XMP = re.compile(rb"""tiff:Orientation(?:\s{0,8}=\s{0,8}["']|>)\s{0,8}([1-8])\s{0,8}["'<]""")
_XMP_BYTES = 1024 * 1024


class OrientationFinder:
    """Asks the first EXIF and the first XMP of a file, and no other: an image may carry thousands."""

    def __init__(self) -> None:
        self._exif: int | None = None
        self._xmp: int | None = None
        self._asked: set[str] = set()

    def ask_exif(self, block: Buffer) -> None:
        """Look into a block of EXIF."""
        # Only the first: to look at all of them would let one file cost seconds.
        if "exif" not in self._asked:
            self._asked.add("exif")
            self._exif = read_exif_orientation(block)

    def ask_xmp(self, packet: Buffer, unpack: Callable[[Buffer], Buffer | None] | None = None) -> None:
        """Look into a packet of XMP, unpacked first where it must be."""
        if "xmp" not in self._asked:
            self._asked.add("xmp")
            text = packet if unpack is None else unpack(packet)
            self._xmp = None if text is None else read_xmp_orientation(text)

    @property
    def orientation(self) -> int:
        """What EXIF says, else XMP, else 1: as it is stored."""
        return self._exif or self._xmp or 1


def read_exif_orientation(block: Buffer) -> int | None:
    """The orientation, 1 to 8, of an EXIF block with or without its usual prefix; None when it has none."""
    exif = memoryview(block)
    if exif[: len(_PREFIX)] == _PREFIX:
        exif = exif[len(_PREFIX) :]
    order = _ORDERS.get(bytes(exif[:2]))
    if order is None:
        return None
    try:
        (offset,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, offset)
        # Bounded: the count comes from the file and may claim anything.
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
    # A pattern, no XML parser: packets are broken often, and parsers can be made to expand them.
    found = _XMP.search(packet, 0, _XMP_BYTES)
    return int(found[1]) if found else None
