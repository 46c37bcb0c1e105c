"""GIF and BMP, which are always decoded: their sizes."""

import struct

from app.images.formats.limits import Buffer, Limits, TooFarError
from app.images.types import Header

_OLD_BITMAP = 12
_COLOR_TABLE, _EXTENSION, _FRAME = 0x80, 0x21, 0x2C


def read_gif_header(data: Buffer, limits: Limits) -> Header:
    """The size of the canvas, or of a first frame that goes beyond it. Raises struct.error when the bytes end early."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    left, top, across, down = struct.unpack_from("<HHHH", data, _first_frame(data, 13 + _table(flags), limits))
    # Decoders enlarge the canvas for a frame that does not fit; the limit of pixels must count what they will make.
    return Header("gif", max(width, left + across), max(height, top + down), color="palette", depth=8)


def _first_frame(data: Buffer, position: int, limits: Limits) -> int:
    """Where the first frame says its place and size: behind extensions, which are chains of blocks."""
    in_extension = False
    for _ in range(limits.steps):
        (kind,) = struct.unpack_from("<B", data, position)
        if in_extension:
            position, in_extension = position + 1 + kind, kind > 0
        elif kind == _FRAME:
            return position + 1
        elif kind == _EXTENSION:
            position, in_extension = position + 2, True
        else:
            position += 1  # decoders skip what they do not know
    raise TooFarError


def _table(flags: int) -> int:
    """The bytes of a color table."""
    return 3 << (flags & 7) + 1 if flags & _COLOR_TABLE else 0


def read_bitmap_header(data: Buffer) -> Header:
    """The size, also of one that is stored from the top. Raises struct.error when the bytes end before."""
    (length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if length == _OLD_BITMAP else "<ii", data, 18)
    return Header("bmp", abs(width), abs(height))
