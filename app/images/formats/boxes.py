"""HEIC and AVIF (ISO base media files): size and orientation of the primary image, from its boxes.

A header describes the pixels as our decoders hand them over. The one for HEIC applies the file's own rotation and
mirroring, so that nothing is left to do; the one for AVIF does not. Where the file states neither, EXIF is asked, then
XMP. Layouts: ISO 14496-12 (boxes), ISO 23008-12 (items and their properties).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.images.formats.exif import read_exif_orientation, read_xmp_orientation
from app.images.formats.limits import Buffer, Limits, TooFarError
from app.images.types import Header

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
)
_MAX_BRANDS_END = 256
# Larger descriptions of an image are left to the decoder.
_MAX_META = 1024 * 1024
_MAX_ITEM = 1024 * 1024
_XMP_TYPE = b"application/rdf+xml"
# Quarters counterclockwise as an orientation.
_TURNS = {1: 8, 2: 3, 3: 6}
# Quarters counterclockwise and the axis of a mirroring after them as an orientation.
_MIRRORED_TURNS = {(0, 0): 4, (0, 1): 2, (1, 0): 5, (1, 1): 7, (2, 0): 2, (2, 1): 4, (3, 0): 7, (3, 1): 5}


@dataclass(frozen=True, slots=True)
class _Box:
    """A box whose contents lie between `body` and `end`."""

    name: bytes
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class _Item:
    """An item of the file: its id, where its type is named, and where that entry ends."""

    id: int
    name: int
    end: int


class _Cursor:
    """Reads numbers one after the other, raising struct.error beyond the end."""

    def __init__(self, view: memoryview, position: int, end: int, steps: int) -> None:
        self._view = view
        self._end = end
        self._steps = steps
        self.position = position

    def take(self, size: int) -> int:
        """The next number of `size` bytes."""
        self._steps -= 1
        start, self.position = self.position, self.position + size
        if self.position > self._end or self._steps < 0:
            raise struct.error
        return int.from_bytes(self._view[start : self.position], "big")


def brand_of(head: Buffer) -> str | None:
    """The format, avif or heic, by the brands a file claims; None for a film or anything else in such boxes."""
    major = bytes(head[8:12])
    others = bytes(head[16 : min(int.from_bytes(head[:4], "big"), _MAX_BRANDS_END)])
    brands = {others[start : start + 4] for start in range(0, len(others), 4)}
    # Encoders put a general HEIF brand first and name AVIF among the compatible ones: all brands count.
    if major in _AVIF_BRANDS or (major in _HEIF_BRANDS and brands & _AVIF_BRANDS):
        return "avif"
    return "heic" if major in _HEIF_BRANDS else None


def read_header(data: Buffer, limits: Limits) -> Header | None:
    """What the boxes say; without a size where only the decoder can tell. Raises TooFarError."""
    view = memoryview(data)
    format_ = brand_of(view[:_MAX_BRANDS_END])
    if format_ is None:
        return None
    for box in _boxes(view, 0, len(view), limits.steps):
        # What the file claims of its length is not read before it is known to be small: it comes from a stranger.
        if box.name == b"meta" and box.end - box.body <= _MAX_META:
            try:
                return _read_meta(view, box, format_, limits.steps)
            except struct.error:
                return Header(format_)
    return Header(format_)


def hide_exif(data: Buffer, limits: Limits) -> Buffer:
    """`data` without the name of its EXIF, so that no decoder reads or rewrites it. Raises TooFarError."""
    view = memoryview(data)
    meta = next((box for box in _boxes(view, 0, len(view), limits.steps) if box.name == b"meta"), None)
    if meta is None:
        return data
    names = [
        start
        for box in _boxes(view, meta.body + 4, meta.end, limits.steps)
        if box.name == b"iinf"
        for start in _exif_names(view, box, limits.steps)
    ]
    if not names:
        return data
    hidden = bytearray(data)
    for start in names:
        # Renamed, not cut out: every position that the file states further on stays right.
        hidden[start : start + 4] = b"free"
    return bytes(hidden)


def _exif_names(view: memoryview, iinf: _Box, steps: int) -> Iterator[int]:
    for item in _items(view, iinf, steps):
        if bytes(view[item.name : item.name + 4]) == b"Exif":
            yield item.name


def _read_meta(view: memoryview, meta: _Box, format_: str, steps: int) -> Header:
    boxes = {box.name: box for box in _boxes(view, meta.body + 4, meta.end, steps)}
    if b"pitm" not in boxes or b"iprp" not in boxes:
        return Header(format_)
    cursor = _full_box(view, boxes[b"pitm"], steps)
    primary = cursor.take(2 if view[boxes[b"pitm"].body] == 0 else 4)
    properties = _read_properties(view, boxes[b"iprp"], primary, steps)
    size = _read_size(view, properties, format_)
    # The file's own properties win over EXIF: that is how decoders read it, and phones write both.
    angle, axis = (view[properties[name].body] if name in properties else None for name in (b"irot", b"imir"))
    if angle is None and axis is None:
        return Header(format_, *size, _read_described(view, boxes, steps) or 1)
    angle = (angle or 0) & 3
    orientation = _TURNS.get(angle, 1) if axis is None else _MIRRORED_TURNS[angle, axis & 1]
    # The HEIC decoder turns by itself; to turn once more would be wrong.
    header = Header(format_, *size, orientation)
    return header if format_ == "avif" else Header(format_, *header.upright)


def _read_size(view: memoryview, properties: Mapping[bytes, _Box], format_: str) -> tuple[int, int]:
    """The coded size; (0, 0) where it is not stated, or where the decoder cuts a part out."""
    if b"ispe" not in properties or (format_ == "heic" and b"clap" in properties):
        return 0, 0
    width, height = struct.unpack_from(">II", view, properties[b"ispe"].body + 4)
    return width, height


def _read_properties(view: memoryview, iprp: _Box, item: int, steps: int) -> Mapping[bytes, _Box]:
    """The properties of an item by name."""
    known: list[_Box] = []
    indexes: list[int] = []
    for box in _boxes(view, iprp.body, iprp.end, steps):
        if box.name == b"ipco":
            known = list(_boxes(view, box.body, box.end, steps))
        elif box.name == b"ipma":
            indexes += _read_associations(view, box, item, steps)
    # Indexes count from 1, and 0 stands for none.
    return {known[index - 1].name: known[index - 1] for index in indexes if 1 <= index <= len(known)}


def _read_associations(view: memoryview, ipma: _Box, item: int, steps: int) -> list[int]:
    cursor = _full_box(view, ipma, steps)
    wide_ids, wide_indexes = view[ipma.body] > 0, view[ipma.body + 3] & 1
    for _ in range(cursor.take(4)):
        owner = cursor.take(4 if wide_ids else 2)
        size, mask = (2, 0x7FFF) if wide_indexes else (1, 0x7F)
        indexes = [cursor.take(size) & mask for _ in range(cursor.take(1))]
        if owner == item:
            return indexes
    return []


def _read_described(view: memoryview, boxes: Mapping[bytes, _Box], steps: int) -> int | None:
    """The orientation in the file's EXIF, else in its XMP."""
    if b"iinf" not in boxes or b"iloc" not in boxes:
        return None
    exif, xmp = _find_items(view, boxes[b"iinf"], steps)
    places = _read_places(view, boxes, steps)
    found = None
    if exif in places:
        block = view[places[exif][0] :][: min(places[exif][1], _MAX_ITEM)]
        found = read_exif_orientation(block[4 + int.from_bytes(block[:4], "big") :])
    if found is None and xmp in places:
        found = read_xmp_orientation(view[places[xmp][0] :][: places[xmp][1]])
    return found


def _find_items(view: memoryview, iinf: _Box, steps: int) -> tuple[int | None, int | None]:
    """The ids of the EXIF and the XMP item."""
    exif = xmp = None
    for item in _items(view, iinf, steps):
        rest = bytes(view[item.name : min(item.end, item.name + 256)])
        if rest[:4] == b"Exif" and exif is None:
            exif = item.id
        elif rest[:4] == b"mime" and _XMP_TYPE in rest and xmp is None:
            xmp = item.id
    return exif, xmp


def _items(view: memoryview, iinf: _Box, steps: int) -> Iterator[_Item]:
    """All items that say their type."""
    for box in _boxes(view, iinf.body + (6 if view[iinf.body] == 0 else 8), iinf.end, steps):
        version = view[box.body] if box.name == b"infe" and box.end > box.body else 0
        if version < 2:  # noqa: PLR2004 - earlier versions name no type
            continue
        cursor = _full_box(view, box, steps)
        yield _Item(cursor.take(2 if version == 2 else 4), cursor.position + 2, box.end)  # noqa: PLR2004


def _read_places(view: memoryview, boxes: Mapping[bytes, _Box], steps: int) -> Mapping[int | None, tuple[int, int]]:
    """Where the items lie that lie in one piece: start and length by id."""
    iloc = boxes[b"iloc"]
    cursor, version = _full_box(view, iloc, steps), view[iloc.body]
    sizes = cursor.take(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    inside = boxes[b"idat"].body if b"idat" in boxes else 0
    places: dict[int | None, tuple[int, int]] = {}
    for _ in range(cursor.take(2 if version < 2 else 4)):  # noqa: PLR2004 - ids of four bytes
        item = cursor.take(2 if version < 2 else 4)  # noqa: PLR2004
        method = cursor.take(2) & 15 if version else 0
        cursor.take(2)
        base = cursor.take(base_size)
        extents = []
        for _ in range(cursor.take(2)):
            cursor.take(index_size if version else 0)
            extents.append((cursor.take(offset_size), cursor.take(length_size)))
        # Items in several pieces are left alone: what is looked for is small and lies in one.
        if len(extents) == 1 and method in {0, 1}:
            places[item] = (base + extents[0][0] + (inside if method else 0), extents[0][1])
    return places


def _full_box(view: memoryview, box: _Box, steps: int) -> _Cursor:
    """Behind the version and flags of a box."""
    if box.end - box.body < 4:  # noqa: PLR2004 - that is what version and flags take
        raise struct.error
    return _Cursor(view, box.body + 4, box.end, steps)


def _boxes(view: memoryview, start: int, stop: int, steps: int) -> Iterator[_Box]:
    """The boxes that follow one another, until one is cut off."""
    position = start
    for _ in range(steps):
        if position + 8 > stop:
            return
        size, head = int.from_bytes(view[position : position + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(view[position + 8 : position + 16], "big"), 16
        end = stop if size == 0 else position + size
        # A box that ends before it begins would lead in circles, and one beyond its parent outside of it.
        if size and (size < head or end > stop):
            return
        yield _Box(bytes(view[position + 4 : position + 8]), position + head, end)
        position = end
    raise TooFarError
