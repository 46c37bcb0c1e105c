"""What sends a task with images: its JSON, with their base64 made piece by piece while it leaves, each time anew.

The base64 of an image never exists as a whole: it would be a third more than the image, held until the answer comes
(0208). Pure.
"""

from collections.abc import Iterator, Sequence

import pybase64

from app.images.types import ImageBytes

PIECE_BYTES = 256 * 1024
"""Smaller ones cost more calls than the cache of the processor saves."""
_AT_ONCE = PIECE_BYTES // 4 * 3
"""A multiple of three, so that the base64 of pieces is that of the whole."""


class TaskBody:
    """JSON of which some spans are the base64 of images; the same bytes each time it is sent."""

    __slots__ = ("_size", "_spans")

    def __init__(self, spans: Sequence[bytes | ImageBytes]) -> None:
        self._spans = spans
        self._size = sum(len(span) if isinstance(span, bytes) else (len(span) + 2) // 3 * 4 for span in spans)

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes | memoryview]:
        """All of it, in pieces of at most PIECE_BYTES."""
        for span in self._spans:
            if isinstance(span, bytes):
                yield from pieces_of(span)
                continue
            view = memoryview(span.data)
            for start in range(0, len(view), _AT_ONCE):
                yield pybase64.b64encode(view[start : start + _AT_ONCE])


Body = bytes | TaskBody
"""What is sent to Runware."""


def pieces_of(body: Body) -> Iterator[bytes | memoryview]:
    """A body in pieces of at most PIECE_BYTES."""
    if isinstance(body, TaskBody):
        yield from body.pieces()
    elif len(body) <= PIECE_BYTES:
        yield body
    else:
        view = memoryview(body)
        for start in range(0, len(view), PIECE_BYTES):
            yield view[start : start + PIECE_BYTES]
