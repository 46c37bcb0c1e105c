"""JPEG: its segments, its header, and the parts that decoding needs.

Kept are the frame with its tables and scans, JFIF's and Adobe's segments in their plain form, and a color profile.
All else goes: EXIF, XMP, comments, previews, gain maps, and whatever stands behind the end of the first image.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from app.images.formats.exif import OrientationFinder
from app.images.formats.limits import Buffer, Limits, TooFarError
from app.images.formats.parts import Part, Structure
from app.images.formats.profile import suits
from app.images.types import Color, Header

_EOI, _SOS = 0xD9, 0xDA
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
# Not markers: bytes that belong to nothing, and the coded pixels behind a start of scan.
_JUNK, _SCAN = -1, -2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive, Huffman coded: what every decoder reads.
_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_NEEDED = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, _SOS, _EOI, _SCAN}
# APPn, JPGn and comments: whatever of them is not kept, no decoder misses.
_DROPPED = frozenset({*range(0xE0, 0xFF)})
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
_COLORS: dict[int, Color] = {1: "gray", 3: "rgb", 4: "cmyk"}
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
# Searched at a time, so that other threads get their turn in between.
_WINDOW = 128 * 1024
_MAX_SCANS = 256
_FRAME_BYTES = 6
_EIGHT_BITS = 8
_JFIF, _ADOBE, _ICC = b"JFIF\x00", b"Adobe", b"ICC_PROFILE\x00"
_EXIF, _XMP = b"Exif\x00", b"http://ns.adobe.com/xap/1.0/\x00"
_JFIF_BYTES, _ADOBE_BYTES, _ICC_PREFIX = 14, 12, 14


@dataclass(frozen=True, slots=True)
class _Segment:
    """A marker at `start` with its contents from `body` to `end`."""

    marker: int
    start: int
    body: int
    end: int


def read_header(data: Buffer, limits: Limits) -> Header | None:
    """What the segments before the first scan say, or None when there is no frame. Raises TooFarError."""
    view = memoryview(data)
    found, frame = OrientationFinder(), None
    for segment in _segments(view, limits):
        body = view[segment.body : segment.end]
        if segment.marker in _FRAMES and frame is None:
            frame = body
        elif segment.marker == _APP1 and body[: len(_EXIF)] == _EXIF:
            found.ask_exif(body)
        elif segment.marker == _APP1 and body[: len(_XMP)] == _XMP:
            found.ask_xmp(body)
        elif segment.marker in {_SOS, _EOI}:
            break
    if frame is None or len(frame) < _FRAME_BYTES:
        return None
    depth, height, width, components = struct.unpack_from(">BHHB", frame)
    color = _COLORS.get(components)
    return Header("jpeg", width, height, found.orientation, alpha=False, color=color, depth=depth)


def read_structure(data: Buffer, limits: Limits) -> Structure:
    """The parts that decoding needs. Raises TooFarError."""
    view = memoryview(data)
    parts = [Part(0, 2)]
    profile: dict[Part, None] = {}
    frames: list[_Segment] = []
    scans, sound, ended = 0, True, False
    for segment in _segments(view, limits):
        marker, body = segment.marker, view[segment.body : segment.end]
        scans += marker == _SOS
        # Exactly one frame before the pixels: with two of them decoders may show different images.
        sound = sound and (marker in _NEEDED or marker in _DROPPED) and (marker != _SOS or len(frames) == 1)
        if marker in _FRAMES:
            frames.append(segment)
        part = _kept(segment, body)
        if part is not None:
            parts.append(part)
        if part is not None and marker == _APP2:
            profile[part] = None
        if marker == _EOI:
            ended = True
            break
    color = _color_of_plain(view, frames)
    first = next(iter(profile), None)
    if first is not None and not suits(view[first.start + 4 + _ICC_PREFIX : first.end], color):
        # A profile for other colors than the frame's makes decoders disagree about every pixel.
        parts = [part for part in parts if part not in profile]
    return Structure(tuple(parts), is_sound=sound and ended and color is not None and 0 < scans <= _MAX_SCANS)


def _kept(segment: _Segment, body: memoryview) -> Part | None:
    """What stays of a segment."""
    marker = segment.marker
    if marker in _NEEDED or (marker == _APP2 and body[: len(_ICC)] == _ICC):
        return Part(segment.start, segment.end)
    if marker == _APP0 and body[:5] == _JFIF and len(body) >= _JFIF_BYTES:
        if len(body) == _JFIF_BYTES:
            return Part(segment.start, segment.end)
        return Part(data=b"\xff\xe0\x00\x10" + bytes(body[:12]) + b"\x00\x00")  # without the preview that follows
    if marker == _APP14 and body[:5] == _ADOBE and len(body) >= _ADOBE_BYTES:
        if len(body) == _ADOBE_BYTES:
            return Part(segment.start, segment.end)
        return Part(data=b"\xff\xee\x00\x0e" + bytes(body[:_ADOBE_BYTES]))
    return None


def _color_of_plain(view: memoryview, frames: list[_Segment]) -> Color | None:
    """The color of the only frame, None unless it is one that every decoder reads."""
    # Lossless and arithmetic coding are legal, but not every decoder knows them: those are decoded and encoded anew.
    if len(frames) != 1 or frames[0].marker not in _PLAIN_FRAMES or frames[0].end - frames[0].body < _FRAME_BYTES:
        return None
    depth, height, width, components = struct.unpack_from(">BHHB", view, frames[0].body)
    return _COLORS.get(components) if depth == _EIGHT_BITS and min(width, height) > 0 else None


def _segments(view: memoryview, limits: Limits) -> Iterator[_Segment]:
    """All segments, the coded pixels between them included, until the bytes end or a segment is cut off."""
    position, skipped = 2, 0
    for _ in range(limits.steps):
        start = _find(_MARKER, view, position, position + limits.reach - skipped)
        if start is None:
            if len(view) - position > limits.reach - skipped:
                raise TooFarError
            return
        # Bytes between segments are searched one by one, so how many of them is bounded too.
        skipped += start - position
        if not _is_fill(view[position:start]):
            yield _Segment(_JUNK, position, position, start)
        segment = _segment_at(view, start)
        if segment.end > len(view):
            return
        yield segment
        position = segment.end
        # Coded pixels have no length: they end at the next marker that is no restart and no stuffed byte.
        if segment.marker == _SOS:
            position = _find(_END_OF_SCAN, view, segment.end, len(view)) or len(view)
            yield _Segment(_SCAN, segment.end, segment.end, position)
    raise TooFarError


def _segment_at(view: memoryview, start: int) -> _Segment:
    """The segment whose marker stands at `start`; it may end behind the bytes there are."""
    marker = view[start + 1]
    if marker in _ALONE:
        return _Segment(marker, start, start + 2, start + 2)
    length = int.from_bytes(view[start + 2 : start + 4], "big") if start + 4 <= len(view) else len(view)
    if length < 2:  # noqa: PLR2004 - a length counts itself
        return _Segment(_JUNK, start, start, start + 2)
    return _Segment(marker, start, start + 4, start + 2 + length)


def _is_fill(skipped: memoryview) -> bool:
    return len(skipped) == 0 or not bytes(skipped).strip(b"\xff")


def _find(pattern: re.Pattern[bytes], view: memoryview, start: int, stop: int) -> int | None:
    """Where `pattern` is found first, looking no further than `stop`."""
    stop = min(stop, len(view))
    for window in range(start, stop, _WINDOW):
        found = pattern.search(view, window, min(window + _WINDOW + 1, stop))
        if found is not None:
            return found.start()
    return None
