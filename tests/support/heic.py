"""Gives a HEIC the rotation and mirroring that phones write into it, which no encoder here does."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class _Box:
    name: bytes
    start: int
    body: int
    end: int


def with_transforms(data: bytes, *transforms: tuple[bytes, int]) -> bytes:
    """`data` with properties such as `(b"irot", 1)` for its primary item; as pillow-heif lays its files out."""
    meta = _find(data, 0, len(data), b"meta")
    properties = _find(data, meta.body + 4, meta.end, b"iprp")
    known, used = (_find(data, properties.body, properties.end, name) for name in (b"ipco", b"ipma"))
    count = len(list(_boxes(data, known.body, known.end)))
    entry = used.body + 8  # behind version, flags and the number of entries: the first is the primary item's
    boxes = b"".join(struct.pack(">I4sB", 9, name, value) for name, value in transforms)
    links = bytes(0x80 | count + 1 + index for index in range(len(transforms)))
    changed = bytearray(data)
    _move_items(changed, _find(data, meta.body + 4, meta.end, b"iloc"), len(boxes) + len(links))
    changed[entry + 2] += len(transforms)
    for box, more in ((known, boxes), (used, links), (properties, boxes + links), (meta, boxes + links)):
        struct.pack_into(">I", changed, box.start, box.end - box.start + len(more))
    places = {known.end: boxes, entry + 3 + data[entry + 2]: links}
    for place in sorted(places, reverse=True):
        changed[place:place] = places[place]
    return bytes(changed)


def _move_items(data: bytearray, iloc: _Box, by: int) -> None:
    """Tell the file that what lies behind its boxes has moved."""
    version = data[iloc.body]
    (sizes, count) = struct.unpack_from(">HH", data, iloc.body + 4)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = iloc.body + 8
    for _ in range(count):
        method = struct.unpack_from(">H", data, at + 2)[0] & 15 if version else 0
        at += (6 if version else 4) + base
        (extents,) = struct.unpack_from(">H", data, at)
        at += 2
        for _ in range(extents):
            at += index if version else 0
            if method == 0:
                moved = int.from_bytes(data[at : at + offset], "big") + by
                data[at : at + offset] = moved.to_bytes(offset, "big")
            at += offset + length


def _find(data: bytes, start: int, end: int, name: bytes) -> _Box:
    return next(box for box in _boxes(data, start, end) if box.name == name)


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        (size,) = struct.unpack_from(">I", data, start)
        yield _Box(data[start + 4 : start + 8], start, start + 8, start + size)
        start += size
