"""Reads format, size and orientation from the first bytes of an image. Pure, and decodes nothing.

Covers every format this gateway delivers or passes on. Formats it only takes in (BMP, TIFF, AVIF input) are named
here and measured by the worker. Header layouts: PNG 1.2, JFIF/EXIF, RFC 9649 (WebP), GIF89a.
"""

import struct
from dataclasses import dataclass

HEAD_BYTES = 65_536
"""Enough of an image for its header; only JPEGs with large metadata need more."""

_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xDA)})
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION_TAG = 0x0112
_SVG_PROLOG = 2048
"""Within so many bytes the root element of an SVG must begin."""
_PNG_ALPHA_TYPES = frozenset({4, 6})
_WEBP_ALPHA = 0x10
_SWAPPING_ORIENTATIONS = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class Header:
    """What an image says of itself. `width` and `height` are 0 where only a decoder can tell.

    `orientation` is EXIF's, 1 to 8. `alpha` is whether it can hold transparency, None where only a decoder can tell.
    """

    format: str
    width: int = 0
    height: int = 0
    orientation: int = 1
    alpha: bool | None = None

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after the EXIF rotation."""
        swap = self.orientation in _SWAPPING_ORIENTATIONS
        return (self.height, self.width) if swap else (self.width, self.height)


def sniff(data: bytes | memoryview) -> str | None:
    """The format by its first bytes: png, jpeg, webp, gif, avif, heic, bmp, tiff, svg; None for anything else."""
    head = bytes(data[:64])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[4:8] == b"ftyp":
        return "avif" if head[8:12] in {b"avif", b"avis"} else "heic"
    if head.startswith(b"BM"):
        return "bmp"
    if head.startswith((b"II*\x00", b"MM\x00*")):
        return "tiff"
    return "svg" if head.lstrip()[:1] == b"<" and b"<svg" in bytes(data[:_SVG_PROLOG]) else None


def inspect(data: bytes | memoryview) -> Header | None:
    """The header of an image, or None when the bytes are not one or end too early."""
    format_ = sniff(data)
    if format_ is None:
        return None
    head = bytes(data[:HEAD_BYTES])
    try:
        if format_ == "png":
            return _read_png(head)
        if format_ == "jpeg":
            return _read_jpeg(bytes(data))
        if format_ == "webp":
            return _read_webp(head)
        if format_ == "gif":
            width, height = struct.unpack_from("<HH", head, 6)
            return Header("gif", width, height)
    except (struct.error, IndexError):
        return None
    return Header(format_)


def _read_png(head: bytes) -> Header | None:
    if head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", head, 16)
    alpha = head[25] in _PNG_ALPHA_TYPES or b"tRNS" in head[: head.find(b"IDAT")]
    return Header("png", width, height, alpha=alpha)


def _read_webp(head: bytes) -> Header | None:
    chunk = head[12:16]
    if chunk == b"VP8X":
        width, height = (1 + int.from_bytes(head[start : start + 3], "little") for start in (24, 27))
        return Header("webp", width, height, alpha=bool(head[20] & _WEBP_ALPHA))
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", head, 21)[0]
        return Header("webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), alpha=bool(bits >> 28 & 1))
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return Header("webp", width & 0x3FFF, height & 0x3FFF, alpha=False)
    return None


def _read_jpeg(data: bytes) -> Header | None:
    position, orientation = 2, 1
    while position + 4 <= len(data):
        if data[position] != 0xFF:  # noqa: PLR2004 - every JPEG marker begins so
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill bytes
            position += 1
            continue
        if marker in _JPEG_STANDALONE:
            position += 2
            continue
        length = struct.unpack_from(">H", data, position + 2)[0]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return Header("jpeg", width, height, orientation, alpha=False)
        if marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\x00\x00":  # noqa: PLR2004 - APP1
            orientation = _read_orientation(data[position + 10 : position + 2 + length])
        position += 2 + length
    return None


def _read_orientation(exif: bytes) -> int:
    """EXIF's orientation out of a TIFF block; 1 when there is none."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        offset = struct.unpack_from(f"{order}I", exif, 4)[0]
        count = struct.unpack_from(f"{order}H", exif, offset)[0]
        for index in range(min(count, 512)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, offset + 2 + 12 * index)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF defines 1 to 8
    except struct.error:
        return 1
    return 1


def is_whole(data: bytes | memoryview) -> bool:
    """Whether an image ends as its format says it must: catches truncation without decoding.

    Trailing bytes after the end are forgiven, as decoders forgive them.
    """
    format_ = sniff(data)
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
