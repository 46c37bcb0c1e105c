"""GIF and BMP: sizes, which stand at a fixed place."""

import struct

from app.images.formats.limits import Buffer
from app.images.types import Header

_OLD_BITMAP = 12


def read_gif_header(data: Buffer) -> Header:
    """The size of the canvas. Raises struct.error when the bytes end before."""
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("gif", width, height, color="palette", depth=8)


def read_bitmap_header(data: Buffer) -> Header:
    """The size, also of one that is stored from the top. Raises struct.error when the bytes end before."""
    (length,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if length == _OLD_BITMAP else "<ii", data, 18)
    return Header("bmp", abs(width), abs(height))
