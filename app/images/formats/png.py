"""PNG: its chunks, its header, and the parts that decoding needs.

Kept are the chunks that make pixels and those that say what their colors mean, where they are well formed and stand
where they must. All else goes: EXIF, texts, times, previews, the frames of an animation, and bytes behind the end.
A checksum that is wrong drops a chunk that decoding can do without, and leaves any other to the decoder.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from zlib_ng import zlib_ng

from app.images.formats.exif import OrientationFinder
from app.images.formats.limits import MAX_UNPACKED, Buffer, Limits, TooFarError
from app.images.formats.parts import Part, Structure
from app.images.formats.profile import suits
from app.images.types import Color, Header

_START, _CHUNK, _PREFIX = 8, 12, 8
_HEADER = struct.Struct(">IIBBBBB")
_COLORS: dict[int, Color] = {0: "gray", 2: "rgb", 3: "palette", 4: "gray", 6: "rgb"}
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_WITH_ALPHA = frozenset({4, 6})
_PALETTE = 3
# Chunks that say what colors mean, by the lengths they may have.
_LENGTHS: dict[bytes, frozenset[int]] = {
    b"gAMA": frozenset({4}),
    b"cHRM": frozenset({32}),
    b"sRGB": frozenset({1}),
    b"sBIT": frozenset({1, 2, 3, 4}),
    b"cICP": frozenset({4}),
    b"mDCV": frozenset({24}),
    b"cLLI": frozenset({8}),
    b"tRNS": frozenset(range(1, 257)),
}
_BEFORE_PIXELS = frozenset({*_LENGTHS, b"iCCP", b"PLTE"})
_XMP = b"XML:com.adobe.xmp\x00"
_MAX_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk whose contents lie between `body` and `end`, the checksum behind."""

    name: bytes
    body: int
    end: int

    @property
    def part(self) -> Part:
        """All of it."""
        return Part(self.body - _PREFIX, self.end + 4)


@dataclass(slots=True)
class _Kept:
    """What was kept so far, and whether it is as a decoder wants it."""

    parts: list[Part] = field(default_factory=lambda: [Part(0, _START)])
    names: set[bytes] = field(default_factory=set)
    last: bytes = b""
    sound: bool = True


def read_header(data: Buffer, limits: Limits) -> Header | None:
    """What the chunks say, or None when there is no header. Raises TooFarError."""
    view = memoryview(data)
    if bytes(view[12:16]) != b"IHDR" or len(view) < _START + _PREFIX + _HEADER.size:
        return None
    width, height, depth, kind, _, _, _ = _HEADER.unpack_from(view, 16)
    alpha, pixels, found = kind in _WITH_ALPHA, False, OrientationFinder()
    for chunk in _chunks(view, limits):
        body = view[chunk.body : chunk.end]
        pixels = pixels or chunk.name == b"IDAT"
        alpha = alpha or (chunk.name == b"tRNS" and not pixels)
        if chunk.name == b"eXIf":
            found.ask_exif(body)
        elif chunk.name == b"iTXt" and body[: len(_XMP)] == _XMP:
            found.ask_xmp(body, _text_of)
    return Header("png", width, height, found.orientation, alpha=alpha, color=_COLORS.get(kind), depth=depth)


def read_structure(data: Buffer, limits: Limits) -> Structure:
    """The parts that decoding needs. Raises TooFarError."""
    view = memoryview(data)
    if bytes(view[12:16]) != b"IHDR" or len(view) < _START + _PREFIX + _HEADER.size:
        return Structure((Part(0, len(view)),), is_sound=False)
    kind = view[25]
    kept = _Kept()
    # By the lower case of its first letter a chunk says that decoders may ignore it.
    for chunk in _chunks(view, limits):
        if chunk.name[0] & 0x20:
            if _is_wanted(view, chunk, kept, kind):
                kept.parts.append(chunk.part)
            kept.names.add(chunk.name)  # good or bad, only the first of its name is ever looked at: it may be packed
        else:
            _keep_critical(view, chunk, kept)
    sound = kept.sound and kept.last == b"IEND" and b"IDAT" in kept.names and _is_plain(view, kept.names)
    return Structure(tuple(kept.parts), is_sound=sound)


def _keep_critical(view: memoryview, chunk: _Chunk, kept: _Kept) -> None:
    """Take in a chunk that makes pixels, and note what is wrong with it."""
    known = chunk.name in {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    # Pixels lie in one run of chunks. Anything between them, or a second header, is read differently by each decoder.
    again = chunk.name in kept.names and (chunk.name != b"IDAT" or kept.last != b"IDAT")
    late = chunk.name == b"PLTE" and b"IDAT" in kept.names
    first = (chunk.name == b"IHDR") == (not kept.last)
    kept.sound = kept.sound and known and first and not again and not late and _is_whole(view, chunk)
    kept.parts.append(chunk.part)
    kept.names.add(chunk.name)
    kept.last = chunk.name


def _is_wanted(view: memoryview, chunk: _Chunk, kept: _Kept, kind: int) -> bool:
    """Whether a chunk that decoders may ignore says what the colors mean, and says it as it should."""
    if chunk.name not in _BEFORE_PIXELS or chunk.name in kept.names or b"IDAT" in kept.names:
        return False
    if chunk.name == b"tRNS" and (kind in _WITH_ALPHA or (kind == _PALETTE and b"PLTE" not in kept.names)):
        return False
    # By the standard, what says how colors are meant stands before the palette.
    if chunk.name != b"tRNS" and b"PLTE" in kept.names:
        return False
    if not _is_whole(view, chunk):
        return False
    if chunk.name == b"iCCP":
        return _has_profile(view[chunk.body : chunk.end], _COLORS.get(kind))
    return chunk.end - chunk.body in _LENGTHS[chunk.name]


def _is_plain(view: memoryview, names: set[bytes]) -> bool:
    """Whether the header promises what every decoder reads."""
    width, height, depth, kind, compression, filtering, interlace = _HEADER.unpack_from(view, 16)
    sides = 0 < width < 1 << 31 and 0 < height < 1 << 31
    coded = (compression, filtering) == (0, 0) and interlace in {0, 1}
    return sides and coded and depth in _DEPTHS.get(kind, ()) and (kind != _PALETTE or b"PLTE" in names)


def _is_whole(view: memoryview, chunk: _Chunk) -> bool:
    """Whether the checksum is right."""
    # Not the standard library's: that takes a quarter of a millisecond for a megabyte.
    return zlib_ng.crc32(view[chunk.body - 4 : chunk.end]) == int.from_bytes(view[chunk.end : chunk.end + 4], "big")


def _has_profile(body: memoryview, color: Color | None) -> bool:
    name, end, packed = bytes(body[:_MAX_NAME_CHARS]).partition(b"\x00")
    if not name or not end or not packed or packed[0] != 0:
        return False
    profile = _unpack(body[len(name) + 2 :])
    return profile is not None and suits(profile, color)


def _text_of(body: Buffer) -> Buffer | None:
    """The text of an international text chunk, which may be compressed."""
    if len(body) < len(_XMP) + 2:
        return None
    compressed = body[len(_XMP)] == 1
    texts = bytes(body[len(_XMP) + 2 : len(_XMP) + 2 + 2 * _MAX_NAME_CHARS])
    language_end = texts.find(b"\x00")
    keyword_end = texts.find(b"\x00", language_end + 1)
    if language_end < 0 or keyword_end < 0:
        return None
    text = body[len(_XMP) + 2 + keyword_end + 1 :]
    return _unpack(text) if compressed else text


def _unpack(packed: Buffer) -> bytes | None:
    """What was compressed; None when it is damaged or too much."""
    decoder = zlib.decompressobj()
    try:
        # A few bytes of a text chunk may unpack to gigabytes.
        unpacked = decoder.decompress(packed, MAX_UNPACKED)
    except zlib.error:
        return None
    return unpacked if decoder.eof else None


def _chunks(view: memoryview, limits: Limits) -> Iterator[_Chunk]:
    """All chunks up to the end of the image, or to one that is cut off."""
    position = _START
    for _ in range(limits.steps):
        if position + _CHUNK > len(view):
            return
        length = int.from_bytes(view[position : position + 4], "big")
        name = bytes(view[position + 4 : position + 8])
        end = position + _PREFIX + length
        if end + 4 > len(view):
            return
        yield _Chunk(name, position + _PREFIX, end)
        if name == b"IEND":
            return
        position = end + 4
    raise TooFarError
