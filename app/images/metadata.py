"""Takes what an image says of its maker out of its bytes, without touching a pixel. Pure.

Where a photograph was taken and with what is nobody's business upstream. Color profiles and what decoding needs stay.
Layouts: JPEG segments, PNG chunks, RFC 9649 (WebP).
"""

import struct

from app.images.headers import sniff

_JPEG_DROPPED = frozenset({0xE1, 0xED, 0xFE})  # EXIF and XMP, IPTC, comments
_JPEG_SCAN = 0xDA
_PNG_DROPPED = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_WEBP_DROPPED = frozenset({b"EXIF", b"XMP "})
_WEBP_FLAGS = 0x08 | 0x04
_WEBP_HEADER, _PNG_SIGNATURE = 12, 8


def strip_metadata(data: bytes) -> bytes:
    """`data` without metadata; the very same object when there is none, or when the format is not one of the three."""
    strip = {"jpeg": _strip_jpeg, "png": _strip_png, "webp": _strip_webp}.get(sniff(data) or "")
    if strip is None:
        return data
    try:
        kept = strip(data)
    except (struct.error, IndexError):
        return data
    return data if len(kept) == len(data) else kept


def _strip_jpeg(data: bytes) -> bytes:
    pieces, position = [data[:2]], 2
    while position + 4 <= len(data) and data[position] == 0xFF:  # noqa: PLR2004 - every marker begins so
        marker = data[position + 1]
        if marker == _JPEG_SCAN:
            break
        end = position + 2 + struct.unpack_from(">H", data, position + 2)[0]
        if marker not in _JPEG_DROPPED:
            pieces.append(data[position:end])
        position = end
    return b"".join([*pieces, data[position:]])


def _strip_png(data: bytes) -> bytes:
    pieces, position = [data[:_PNG_SIGNATURE]], _PNG_SIGNATURE
    while position + 12 <= len(data):
        end = position + 12 + struct.unpack_from(">I", data, position)[0]
        if data[position + 4 : position + 8] not in _PNG_DROPPED:
            pieces.append(data[position:end])
        position = end
    return b"".join([*pieces, data[position:]])


def _strip_webp(data: bytes) -> bytes:
    pieces, position = [], _WEBP_HEADER
    while position + 8 <= len(data):
        name = data[position : position + 4]
        size = struct.unpack_from("<I", data, position + 4)[0]
        end = position + 8 + size + size % 2
        chunk = data[position:end]
        if name == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_FLAGS]) + chunk[9:]
        if name not in _WEBP_DROPPED:
            pieces.append(chunk)
        position = end
    body = b"".join(pieces)
    return data[:4] + struct.pack("<I", len(body) + 4) + data[8:12] + body
