"""Puts chunks, segments and other things into images, as cameras, phones and editors do."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, ImageCms

from tests.support.images import encode, photo


def png_chunk(name: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    """One chunk of a PNG, with a right checksum unless told otherwise."""
    right = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", right)


def png_with(*chunks: bytes, after: bytes = b"", image: bytes | None = None) -> bytes:
    """A PNG with these chunks right behind its header, and bytes behind its end."""
    data = encode(photo(60, 40)) if image is None else image
    return data[:33] + b"".join(chunks) + data[33:] + after


def png_names(data: bytes) -> list[str]:
    """The names of its chunks, in order."""
    return [name.decode("latin1") for name, _ in png_chunks(data)]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of its chunks."""
    position = 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        yield data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with(*segments: bytes, after: bytes = b"", image: bytes | None = None) -> bytes:
    """A JPEG with these segments behind its first one, and bytes behind its end."""
    data = encode(photo(60, 40), "JPEG") if image is None else image
    return data[:20] + b"".join(segments) + data[20:] + after


def webp_chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a WebP."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp_with(*chunks: bytes, after: bytes = b"", image: bytes | None = None, flags: int = 0) -> bytes:
    """A WebP with an extended header and these chunks behind its pixels, and bytes behind its end."""
    data = encode(photo(60, 40), "WEBP", quality=80) if image is None else image
    head = b"" if data[12:16] == b"VP8X" else webp_chunk(b"VP8X", struct.pack("<B3x", flags) + sides(60, 40))
    body = head + data[12:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body + after


def sides(width: int, height: int) -> bytes:
    """Width and height as the extended header of a WebP writes them."""
    return (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def webp_names(data: bytes) -> list[str]:
    """The names of its chunks, in order."""
    names, position = [], 12
    while position + 8 <= len(data):
        names.append(data[position : position + 4].decode("latin1"))
        (length,) = struct.unpack_from("<I", data, position + 4)
        position += 8 + length + length % 2
    return names


def srgb() -> bytes:
    """A color profile for RGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pixels(data: bytes) -> bytes:
    """What an independent look at the bytes sees, color profile and all."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image.convert("RGBA").tobytes()
