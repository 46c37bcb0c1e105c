"""TIFF and BigTIFF: the header of the first page, and what betrays a camera's raw file.

The decoder turns pages by itself and stumbles over odd tags, so it is given a page with nothing but what makes pixels.
"""

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from app.images.formats.exif import ORIENTATION_TAG, to_orientation
from app.images.formats.limits import Buffer
from app.images.types import Color, Header

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_SUBFILE, _WIDTH, _HEIGHT, _DEPTH, _PHOTOMETRIC, _EXTRA = 254, 256, 257, 258, 262, 338
_SUB_PAGES, _DNG_VERSION = 330, 50706
_REDUCED = 1
# Color filter array and linear raw.
_RAW_PHOTOMETRICS = frozenset({32803, 34892})
_COLORS: dict[int, Color] = {0: "gray", 1: "gray", 2: "rgb", 3: "palette", 5: "cmyk", 6: "rgb", 8: "lab"}
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MAX_TAGS = 4096
_BIG = 43
_SHORTEST = 16
# The tags that make pixels. Orientation is none of them: the decoder must not turn.
_NEEDED = frozenset(
    {
        *range(256, 260),  # size, depth, compression
        262,  # what the numbers mean
        266,  # order of bits
        *range(273, 285),  # strips, samples, planes
        *range(292, 294),  # options of fax codings
        *range(301, 302),  # transfer
        *range(317, 326),  # predictor, white, primaries, palette, tiles
        *range(332, 337),  # inks
        *range(338, 348),  # extra samples, their kind and limits, tables of JPEG
        *range(512, 522),  # JPEG as it was first put into TIFF
        *range(529, 533),  # luma and chroma
        34675,  # color profile
    }
) - {ORIENTATION_TAG}


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written, where the first page is named, and the forms of counters, pointers and entries."""

    order: str
    head: int
    counter: str
    pointer: str
    entry: int


def read_header(data: Buffer) -> Header | None:
    """What the first page says, or None when it says no size."""
    tags = _read_tags(memoryview(data))
    if _WIDTH not in tags or _HEIGHT not in tags:
        return None
    orientation = to_orientation(tags.get(ORIENTATION_TAG, 1)) or 1
    color = _COLORS.get(tags.get(_PHOTOMETRIC, -1))
    alpha = _EXTRA in tags and tags[_EXTRA] in {1, 2}
    return Header(
        "tiff", tags[_WIDTH], tags[_HEIGHT], orientation, alpha=alpha, color=color,
        depth=tags.get(_DEPTH, 1),
    )  # fmt: skip


def name_raw(data: Buffer) -> str | None:
    """What to call a camera's raw file, whose first page is a thumbnail or undeveloped; None for any other TIFF."""
    tags = _read_tags(memoryview(data))
    if _DNG_VERSION in tags:
        return "a DNG, a camera's raw file"
    thumbnail = _SUB_PAGES in tags and tags.get(_SUBFILE, 0) & _REDUCED == _REDUCED
    raw = data[8:10] == b"CR" or thumbnail or tags.get(_PHOTOMETRIC, 0) in _RAW_PHOTOMETRICS
    return "a camera's raw file" if raw else None


def reduce_page(data: Buffer) -> Buffer:
    """`data` with a first page that has no tags but those that make pixels, and no other page."""
    view = memoryview(data)
    layout = _layout_of(view)
    if layout is None:
        return data
    (page,) = struct.unpack_from(layout.pointer, view, layout.head)
    first = page + struct.calcsize(layout.counter)
    (count,) = struct.unpack_from(layout.counter, view, page)
    entries = [bytes(view[at : at + layout.entry]) for at in _entries(layout, first, count)]
    kept = [entry for entry in entries if struct.unpack_from(f"{layout.order}H", entry)[0] in _NEEDED]
    directory = struct.pack(layout.counter, len(kept)) + b"".join(kept) + struct.pack(layout.pointer, 0)
    if len(kept) == count and view[page : page + len(directory)] == directory:
        return data
    changed = bytearray(data)
    end = min(len(changed), page + len(directory))
    changed[page:end] = directory[: end - page]
    return bytes(changed)


def _read_tags(view: memoryview) -> Mapping[int, int]:
    """The whole numbers among the tags of the first page; none when the page lies outside the file."""
    layout = _layout_of(view)
    tags: dict[int, int] = {}
    if layout is None:
        return tags
    try:
        (page,) = struct.unpack_from(layout.pointer, view, layout.head)
        (count,) = struct.unpack_from(layout.counter, view, page)
        for at in _entries(layout, page + struct.calcsize(layout.counter), count):
            name, kind = struct.unpack_from(f"{layout.order}HH", view, at)
            if kind not in _NUMBERS:
                continue
            with contextlib.suppress(struct.error, OverflowError):  # one that points nowhere spoils no other
                tags.setdefault(name, _first_number(layout, view, at + 4, f"{layout.order}{_NUMBERS[kind]}"))
    except (struct.error, OverflowError):
        return tags
    return tags


def _first_number(layout: _Layout, view: memoryview, at: int, form: str) -> int:
    """The first value of a tag, which stands in the entry itself if all of them fit in there."""
    (number,) = struct.unpack_from(layout.pointer, view, at)
    size = struct.calcsize(layout.pointer)
    inside = number * struct.calcsize(form) <= size
    position = at + size if inside else struct.unpack_from(layout.pointer, view, at + size)[0]
    (value,) = struct.unpack_from(form, view, position)
    return int(value)


def _layout_of(view: memoryview) -> _Layout | None:
    order = "<" if bytes(view[:1]) == b"I" else ">"
    if len(view) < _SHORTEST:
        return None
    if struct.unpack_from(f"{order}H", view, 2)[0] == _BIG:
        return _Layout(order, 8, f"{order}Q", f"{order}Q", 20)
    return _Layout(order, 4, f"{order}H", f"{order}I", 12)


def _entries(layout: _Layout, first: int, count: int) -> range:
    return range(first, first + layout.entry * min(count, _MAX_TAGS), layout.entry)
