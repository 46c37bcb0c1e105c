"""One answer after the other out of the bytes of a connection: its head, its bounds, its body with few copies.

Pure: bytes in, a reply out. `httptools` judges what is HTTP; what is read beyond that is only what an exchange needs.
An answer that cannot be believed (no HTTP, a head without end, two answers to one request, a body that ends early) is
none. Leaves connections to `connection`, and what an answer says to `wire`.
"""

import io
import re
from math import isfinite

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.runware.transport import HTTPReply
from app.runware.unpacking import DamagedError, Unpacker

_MAX_HEAD_BYTES = 64 * 1024
_MAX_FIELDS = 256
# Received at once into memory of its own, which is touched before it is filled: more must have been sent first.
_MAX_ROOM_BYTES = 16 * 1024 * 1024
_MIN_ROOM_BYTES = 32 * 1024
_FIRST_STATUS = 200
_SWITCHING = 101
_GZIP = frozenset({b"gzip", b"x-gzip"})


class BadAnswerError(Exception):
    """What was received is no answer that can be believed."""


class AnswerReader:
    """Reads answers; `begin` comes before each.

    Where `room` is given, the next bytes of the body go there, and `fill` says how many came.
    """

    room: memoryview | None
    reply: HTTPReply | None
    """The answer, once it is whole, or known to be too large."""
    can_reuse: bool
    """Whether its connection may carry another exchange."""

    def __init__(self) -> None:
        self._parser: HttpResponseParser | None = None
        self.begin(0)

    def begin(self, max_bytes: int) -> None:
        """An exchange begins whose answer may have so many bytes, once unpacked."""
        self._max_bytes = max_bytes
        self._head, self._fields, self._head_start = b"", b"", 0
        self._in_head, self._is_whole, self._is_cut, self._is_measured = True, False, False, False
        self._status = 0
        self._retry_after: float | None = None
        self._body: bytes | bytearray = b""
        self._more: io.BytesIO | None = None
        self._unpacker: Unpacker | None = None
        self._size = self._without_news = 0
        self.room, self.reply, self.can_reuse = None, None, False

    def feed(self, data: memoryview) -> bool:
        """Take what was received; whether there is a reply now. Raises BadAnswerError."""
        if self._in_head:
            self._head += bytes(data)
        before = self._size
        try:
            (self._parser or self._new_parser()).feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if self._is_cut:
                return self._cut()
            # Bytes after the answer too: who says more than it was asked may have answered somebody else (0176).
            raise BadAnswerError from None
        if self._is_whole:
            return self._finish()
        # An unfinished field is kept by the parser however long it grows, and so would trailers be.
        if self._in_head or self._size == before:
            self._without_news += len(data)
            if self._without_news > _MAX_HEAD_BYTES:
                raise BadAnswerError
        if not (self._in_head or self._is_measured):
            return self._measure()
        return False

    def fill(self, count: int) -> bool:
        """So many bytes were received into `room`; whether there is a reply now."""
        self._size += count
        if self._size < len(self._body):
            self.room = memoryview(self._body)[self._size :]
            return False
        self.room = None
        return self._finish()

    def end(self) -> None:
        """The other side ended the connection: the end of an answer that has no other. Raises BadAnswerError."""
        has_end = self._field(b"content-length") or self._field(b"transfer-encoding").endswith(b"chunked")
        if self._in_head or has_end:
            raise BadAnswerError
        self.can_reuse = False
        self._finish()

    def close(self) -> None:
        """There are no more answers."""
        # It and its parser hold each other, and connections come and go.
        self._parser = self.room = None

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self._is_whole:
            raise BadAnswerError

    def on_headers_complete(self) -> None:
        """A head was read."""
        assert self._parser is not None  # noqa: S101 - it calls this
        self._status = self._parser.get_status_code()
        end = self._head.find(b"\r\n\r\n", self._head_start) + 4
        fields = self._head[self._head_start : end].lower()
        if end > _MAX_HEAD_BYTES or fields.count(b"\r\n") > _MAX_FIELDS or self._status == _SWITCHING:
            raise BadAnswerError
        if self._status < _FIRST_STATUS:
            # Only that there will be an answer: it begins behind this head, which has no body.
            self._head_start = end
            return
        self._in_head, self._head, self._fields = False, b"", fields
        self.can_reuse = self._parser.should_keep_alive()
        if b"\r\nretry-after:" in fields:
            self._retry_after = _seconds(self._field(b"retry-after"))
        if b"\r\ncontent-encoding:" in fields:
            encoding = self._field(b"content-encoding")
            # Anything else was not asked for, and is taken as it is: some servers name charsets here.
            if encoding in _GZIP or encoding == b"deflate":
                self._unpacker = Unpacker(is_gzip=encoding in _GZIP)

    def on_body(self, piece: bytes) -> None:
        """A part of the body."""
        for part in (piece,) if self._unpacker is None else self._unpacker.pieces(piece):
            self._size += len(part)
            if self._size > self._max_bytes:
                self._is_cut = True
                raise BadAnswerError
            # The usual answer comes in one piece, which is not copied any more.
            if self._more is not None:
                self._more.write(part)
            elif not self._body:
                self._body = part
            else:
                self._more = io.BytesIO()
                self._more.write(self._body)
                self._more.write(part)

    def on_message_complete(self) -> None:
        """The end of an answer."""
        self._is_whole = not self._in_head

    def _new_parser(self) -> HttpResponseParser:
        self._parser = HttpResponseParser(self)
        return self._parser

    def _measure(self) -> bool:
        """Look at how long a body is that did not come at once; whether that is too much already."""
        self._is_measured = True
        length = int(self._field(b"content-length") or b"0")
        if length > self._max_bytes:
            return self._cut()
        if self._unpacker is None and length - self._size >= _MIN_ROOM_BYTES and length <= _MAX_ROOM_BYTES:
            # Past the parser from here on: megabytes are neither cut up nor joined again.
            room = bytearray(length)
            room[: self._size] = self._body if self._more is None else self._more.getbuffer()
            self._body, self._more, self._parser = room, None, None
            self.room = memoryview(room)[self._size :]
        return False

    def _cut(self) -> bool:
        self.reply = HTTPReply(self._status, b"", self._retry_after, is_cut=True)
        self.can_reuse, self._body, self._more, self._parser = False, b"", None, None
        return True

    def _finish(self) -> bool:
        if self._unpacker is not None:
            try:
                self._unpacker.finish()
            except DamagedError:
                raise BadAnswerError from None
        body = self._body if self._more is None else self._more.getvalue()
        self.reply = HTTPReply(self._status, body, self._retry_after)
        self._body, self._more = b"", None
        return True

    def _field(self, name: bytes) -> bytes:
        """The value of a field of the head in lower case, or that of all fields of the name."""
        found = re.findall(rb"\r\n%b:[ \t]*([^\r]*?)[ \t]*(?=\r\n)" % re.escape(name), self._fields)
        return b", ".join(found)


def _seconds(value: bytes) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None
