"""Images made to take a decoder far more than their size, made on the spot."""

import functools
import io
import random
import struct
import zlib

from PIL import Image
from pillow_heif import register_heif_opener

from tests.support.images import png


def progressive_jpeg(width: int, height: int, scans: int) -> bytes:
    """A gray JPEG whose last scan comes again and again, each costing a walk over all its blocks."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), 128).save(buffer, "JPEG", progressive=True, quality=50)
    data = buffer.getvalue()
    start = data.rfind(b"\xff\xda")
    return data[:-2] + data[start:-2] * scans + b"\xff\xd9"


def chattering_tiff(rows: int = 60_000, width: int = 64) -> bytes:
    """A fax of nonsense: a complaint of its decoder for every row, megabytes of them."""
    data = random.Random(1).randbytes(2700)
    values = {256: width, 257: rows, 258: 1, 259: 2, 262: 0, 273: 8, 277: 1, 278: rows, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4 if value > 1 else 3, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(values)) + entries + bytes(4)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def thin_png(width: int, height: int = 1) -> bytes:
    """An empty gray PNG of any size, in little space."""
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@functools.cache
def lying_boxes(format_: str, real: int, says: int) -> bytes:
    """A HEIC (`HEIF`) or `AVIF` whose header says another size than it holds."""
    register_heif_opener()
    buffer = io.BytesIO()
    Image.new("RGB", (real, real), (10, 200, 10)).save(buffer, format_, quality=10)
    told, wanted = struct.pack(">II", real, real), struct.pack(">II", says, says)
    return buffer.getvalue().replace(told, wanted)


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A tiny PNG that says it is enormous."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png()[33:]
