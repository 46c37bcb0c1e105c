"""WebP (RFC 9649): its chunks, its header, and the parts that decoding needs.

Kept are the coded image, its alpha, a color profile and an animation's frames. All else goes: EXIF, XMP, unknown
chunks, and whatever stands behind the end that the file itself states.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from app.images.formats.exif import OrientationFinder
from app.images.formats.limits import Buffer, Limits, TooFarError
from app.images.formats.parts import Part, Structure
from app.images.formats.profile import suits
from app.images.types import Header

_HEAD, _PREFIX = 12, 8
_ICC, _ALPHA, _EXIF, _XMP, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_NEEDED = frozenset({_LOSSY, _LOSSLESS, b"ALPH", b"ANIM", b"ANMF"})
_LOSSY_HEAD, _LOSSLESS_HEAD, _EXTENDED_BYTES = 10, 5, 10
_KEY_FRAME = b"\x9d\x01\x2a"
_LOSSLESS_SIGNATURE = 0x2F


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk whose contents lie between `body` and `end`; the next begins at `next`."""

    name: bytes
    body: int
    end: int
    next: int


def read_header(data: Buffer, limits: Limits) -> Header | None:
    """What the chunks say, or None when there is no image among them. Raises TooFarError."""
    view = memoryview(data)
    size: tuple[int, int] | None = None
    alpha = animated = False
    found = OrientationFinder()
    for chunk in _chunks(view, limits):
        body = view[chunk.body : chunk.end]
        if chunk.name == _EXTENDED and size is None and len(body) >= _EXTENDED_BYTES:
            size = _read_canvas(body)
            alpha, animated = bool(body[0] & _ALPHA), bool(body[0] & _ANIMATION)
        elif chunk.name in {_LOSSY, _LOSSLESS} and size is None:
            size = _read_size(chunk.name, body)
            alpha = chunk.name == _LOSSLESS and size is not None and bool(body[4] >> 4 & 1)
        elif chunk.name == b"EXIF":
            found.ask_exif(body)
        elif chunk.name == b"XMP ":
            found.ask_xmp(body)
    if size is None:
        return None
    return Header("webp", *size, found.orientation, alpha=alpha, color="rgb", depth=8, animated=animated)


def read_structure(data: Buffer, limits: Limits) -> Structure:
    """The parts that decoding needs. Raises TooFarError."""
    view = memoryview(data)
    chunks = list(_chunks(view, limits))
    # A list of what is needed, not of what is not: chunks that nobody knows yet may say anything.
    kept = [chunk for chunk in chunks if chunk.name in _NEEDED]
    images = [chunk for chunk in kept if chunk.name in {_LOSSY, _LOSSLESS}]
    if len(images) != 1 or chunks[-1].next < _end(view):
        return Structure((Part(0, len(view)),), is_sound=False)  # an animation, or cut off: the decoder judges
    size = _read_size(images[0].name, view[images[0].body : images[0].end])
    canvas, flags = _read_extended(view, chunks[0])
    # Without an extended header decoders read nothing but the image, so a profile or alpha beside it means nothing.
    if canvas is None:
        kept = images
    else:
        profiles = [chunk for chunk in chunks if chunk.name == b"ICCP" and suits(view[chunk.body : chunk.end], "rgb")]
        kept = [*profiles[:1], *kept]
        # The flags must say what is left: a flag for a chunk that is not there may make a decoder refuse the file.
        flags = flags & _ALPHA | (_ICC if profiles else 0)
    return Structure(_assemble(view, kept, canvas, flags), is_sound=size is not None and canvas in {None, size})


def _assemble(view: memoryview, kept: list[_Chunk], canvas: tuple[int, int] | None, flags: int) -> tuple[Part, ...]:
    """A file of these chunks alone, behind an extended header where there was one."""
    parts: list[Part] = []
    if canvas is not None:
        sides = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
        parts.append(Part(data=_EXTENDED + struct.pack("<IB3x", _EXTENDED_BYTES, flags) + sides))
    for chunk in kept:
        parts.append(Part(chunk.body - _PREFIX, min(chunk.next, len(view))))
        if chunk.next > len(view):
            parts.append(Part(data=b"\x00"))  # the byte that makes its length even was left out
    size = sum(part.end - part.start if part.data is None else len(part.data) for part in parts)
    parts.insert(0, Part(data=b"RIFF" + struct.pack("<I", size + 4) + b"WEBP"))
    return tuple(parts)


def _read_extended(view: memoryview, chunk: _Chunk) -> tuple[tuple[int, int] | None, int]:
    """Canvas and flags of the extended header, (None, 0) where the file has none."""
    body = view[chunk.body : chunk.end]
    if chunk.name != _EXTENDED or len(body) < _EXTENDED_BYTES:
        return None, 0
    return _read_canvas(body), body[0]


def _read_canvas(body: memoryview) -> tuple[int, int]:
    width, height = (1 + int.from_bytes(body[start : start + 3], "little") for start in (4, 7))
    return width, height


def _read_size(name: bytes, body: memoryview) -> tuple[int, int] | None:
    """The size that the coded image itself states."""
    if name == _LOSSY:
        if len(body) < _LOSSY_HEAD or body[0] & 1 or body[3:6] != _KEY_FRAME:
            return None
        width, height = struct.unpack_from("<HH", body, 6)
        width, height = width & 0x3FFF, height & 0x3FFF
        return (width, height) if width and height else None
    if len(body) < _LOSSLESS_HEAD or body[0] != _LOSSLESS_SIGNATURE or body[4] >> 5:
        return None
    (bits,) = struct.unpack_from("<I", body, 1)
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def _end(view: memoryview) -> int:
    """Where the file says that it ends."""
    return 8 + int.from_bytes(view[4:8], "little")


def _chunks(view: memoryview, limits: Limits) -> Iterator[_Chunk]:
    """All chunks up to the end that the file states, or to one that is cut off."""
    position, stop = _HEAD, min(len(view), _end(view))
    for _ in range(limits.steps):
        if position + _PREFIX > stop:
            return
        length = int.from_bytes(view[position + 4 : position + 8], "little")
        end = position + _PREFIX + length
        if end > stop:
            return
        yield _Chunk(bytes(view[position : position + 4]), position + _PREFIX, end, end + length % 2)
        position = end + length % 2
    raise TooFarError
