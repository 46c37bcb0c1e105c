"""Finds the parts of a multipart form in its bytes while they arrive: where each begins, its headers, its content.

Nothing is copied but what is cut in two. What a part means is `form_parts`' affair, what is kept of it `multipart`'s.
No input or output.
"""

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Protocol

from app.errors import InvalidRequestError

Piece = bytes | memoryview
Lines = tuple[tuple[bytes, bytes], ...]
"""The headers of a part."""

_MAX_BOUNDARY = 256
_MAX_LINES = 8
_MAX_LINE = 4224
_SHORT_HEAD = 256
"""A head of so many bytes is remembered: clients write the same few again and again."""
_NEAR = 4096
"""So far the end of a part is looked for from its beginning: most parts are short texts."""
_SHORT_DELIMITER = 76
"""As long as a delimiter may be by the standard. Bytes made for it make a search for a longer one from the end slow."""
_TOKEN = bytes({*range(0x21, 0x7F)} - {*b'"(),/:;<=>?@[\\]{}'})
_NEW_LINE, _END_MARK, _BLANKS = b"\r\n", b"--", b" \t"
_ENDS, _UNDECIDED = (_NEW_LINE, _END_MARK), (b"", b"\r", b"-")
_CR, _LF = _NEW_LINE


class PartSink(Protocol):
    """What takes the parts of a form."""

    def begin_part(self, lines: Lines) -> None:
        """The headers of a part are there."""
        ...

    def add_content(self, piece: Piece) -> None:
        """The next bytes of the part."""
        ...

    def end_part(self, *, is_last: bool) -> None:
        """The part is whole."""
        ...

    def end(self) -> None:
        """The form is whole; whatever follows says nothing."""
        ...


class _Place(Enum):
    """What comes next."""

    START = "the first delimiter"
    HEAD = "a header, or the end of them"
    CONTENT = "the content of a part"
    PADDING = "blanks behind a delimiter"
    END = "nothing that matters"


class FormScanner:
    """Feed it the body; it raises InvalidRequestError at the first byte that no form has there."""

    def __init__(self, boundary: bytes) -> None:
        if len(boundary) > _MAX_BOUNDARY:
            message = "The boundary of the multipart body is too long: let your HTTP client set Content-Type itself."
            raise InvalidRequestError(message, param="body")
        self._delimiter = b"\r\n--" + boundary
        self._place = _Place.START
        self._lines: list[tuple[bytes, bytes]] = []
        self._rest = b""
        """What cannot be judged before more is there."""

    def feed(self, chunk: bytes, sink: PartSink) -> None:
        """Take the next bytes of the body, and tell `sink` what is in them."""
        data = self._rest + chunk if self._rest else chunk
        self._rest, position, end = b"", 0, len(data)
        while position < end:
            if self._place is _Place.CONTENT:
                position = self._read_content(data, position, sink)
            elif self._place is _Place.HEAD:
                position = self._read_head(data, position, sink)
            elif self._place is _Place.START:
                position = self._read_start(data, position, sink)
            elif self._place is _Place.PADDING:
                position = self._read_padding(data, position, sink)
            else:
                return

    def _wait(self, data: bytes, position: int) -> int:
        """Keep what is left until more is there."""
        self._rest = data[position:]
        return len(data)

    def _read_start(self, data: bytes, position: int, sink: PartSink) -> int:
        if data[position] in _NEW_LINE:  # some clients begin with an empty line
            position = data.find(b"-", position)
            if position < 0:
                return len(data)
        opening = self._delimiter[2:]
        after = position + len(opening)
        if not opening.startswith(data[position:after]):
            raise _malformed()
        mark = data[after : after + 2]
        if mark == _NEW_LINE:
            self._place = _Place.HEAD
        elif mark == _END_MARK:
            self._finish(sink)
        elif mark in _UNDECIDED:
            return self._wait(data, position)
        else:
            raise _malformed()
        return after + 2

    def _read_head(self, data: bytes, position: int, sink: PartSink) -> int:
        if not self._lines and data[position] != _CR:
            end = data.find(b"\r\n\r\n", position, position + _SHORT_HEAD)
            if end > 0:
                self._begin_part(_read_lines(data[position : end + 2]), sink)
                return end + 4
        if data[position] != _CR:
            return self._read_next_line(data, position)
        if position + 1 == len(data):
            return self._wait(data, position)
        if data[position + 1] != _LF:
            raise _malformed()
        self._begin_part(tuple(self._lines), sink)
        return position + 2

    def _begin_part(self, lines: Lines, sink: PartSink) -> None:
        self._place, self._lines = _Place.CONTENT, []
        sink.begin_part(lines)

    def _read_next_line(self, data: bytes, position: int) -> int:
        """Read one header, or wait for the rest of it; what is wrong with its beginning is told at once."""
        end = data.find(b"\r", position)
        line = _read_line(data[position:] if end < 0 else data[position:end], self._lines, is_whole=end >= 0)
        if end < 0 or end + 1 == len(data):
            return self._wait(data, position)
        if data[end + 1] != _LF:
            raise _malformed()
        self._lines.append(line)
        return end + 2

    def _read_content(self, data: bytes, position: int, sink: PartSink) -> int:
        found, mark = self._find_end(data, position)
        if found < 0:
            return self._read_without_end(data, position, sink)
        _add(data, position, found, sink)
        if mark in _UNDECIDED:
            return self._wait(data, found)
        after = found + len(self._delimiter)
        if mark[0] in _BLANKS:
            self._place = _Place.PADDING
            return after
        self._place = _Place.HEAD
        sink.end_part(is_last=mark == _END_MARK)
        if mark == _END_MARK:
            self._finish(sink)
        return after + 2

    def _read_without_end(self, data: bytes, position: int, sink: PartSink) -> int:
        """Content to the end of these bytes, but for the beginning of what may be a delimiter."""
        start = data.rfind(b"\r", max(position, len(data) - len(self._delimiter) + 1))
        if start < 0 or not self._delimiter.startswith(data[start:]):
            start = len(data)
        _add(data, position, start, sink)
        return self._wait(data, start)

    def _find_end(self, data: bytes, position: int) -> tuple[int, bytes]:
        """Where a delimiter begins, and the two bytes behind it; -1 where there is none."""
        while (found := self._find_delimiter(data, position)) >= 0:
            after = found + len(self._delimiter)
            mark = data[after : after + 2]
            if mark in _ENDS or mark in _UNDECIDED or mark[0] in _BLANKS:
                return found, mark
            position = found + 1  # content that looks like a delimiter
        return -1, b""

    def _find_delimiter(self, data: bytes, position: int) -> int:
        delimiter = self._delimiter
        if len(data) - position <= _NEAR or len(delimiter) > _SHORT_DELIMITER:
            return data.find(delimiter, position)
        found = data.find(delimiter, position, position + _NEAR)
        if found >= 0:
            return found
        # From the end: for what is mostly not there that takes half the time.
        found = data.rfind(delimiter, position)
        is_first = found < 0 or data.rfind(delimiter, position, found + 1) < 0
        return found if is_first else data.find(delimiter, position)

    def _read_padding(self, data: bytes, position: int, sink: PartSink) -> int:
        left = data[position:].lstrip(_BLANKS)
        if left.startswith(_NEW_LINE):
            sink.end_part(is_last=False)
            self._place = _Place.HEAD
            return len(data) - len(left) + 2
        if left not in (b"", b"\r"):
            raise _malformed()
        return self._wait(data, len(data) - len(left))

    def _finish(self, sink: PartSink) -> None:
        self._place = _Place.END
        sink.end()


def _add(data: bytes, start: int, end: int, sink: PartSink) -> None:
    if end - start == len(data):
        sink.add_content(data)
    elif end > start:
        sink.add_content(memoryview(data)[start:end])


@lru_cache(maxsize=256)
def _read_lines(block: bytes) -> Lines:
    """The headers in a block of whole lines."""
    lines: list[tuple[bytes, bytes]] = []
    for line in block.split(_NEW_LINE)[:-1]:
        if b"\r" in line:
            raise _malformed()
        lines.append(_read_line(line, lines))
    return tuple(lines)


def _read_line(line: bytes, before: Sequence[tuple[bytes, bytes]], *, is_whole: bool = True) -> tuple[bytes, bytes]:
    """A header; of one that is not whole, what is there of it."""
    name, colon, value = line.partition(b":")
    wrong = name.translate(None, _TOKEN) or (not name and colon) or (is_whole and not colon)
    if wrong or len(line) > _MAX_LINE or len(before) == _MAX_LINES:
        raise _malformed()
    return name, value


def _malformed() -> InvalidRequestError:
    return InvalidRequestError("The multipart body is malformed.", param="body")
