"""One answer on its connection: framed, and written with as few calls of the system as it can be.

Owns how an answer is put into bytes. Which requests are read is `connection`'s affair, what became of an answer
`protocol`'s.
"""

import asyncio
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent

_HTTP_1_0 = "1.0"
_WITHOUT_BODY = frozenset({204, 304})
_JOINED_BYTES = 16_384
"""Up to here one copy is cheaper than a list for the system."""
_IN_VALUES = b"\t" + bytes({*range(0x20, 0x100)} - {0x7F})
_IN_NAMES = bytes({*_IN_VALUES} - {*b'\t ()<>@,;:[]={}\\"'})
"""What a header may hold: a line break in one would begin another one, or another answer."""

Piece = bytes | memoryview


class Framing(Enum):
    """How a caller learns where the body ends."""

    SIZED = "by its length"
    CHUNKED = "by an empty chunk"
    UNTIL_END = "by the end of the connection"


class AnswerCycle(RequestResponseCycle):
    """uvicorn's, but the head leaves with the first part of the body, in one write.

    A head whose body is still being made leaves when the loop comes round again.
    """

    loop: asyncio.AbstractEventLoop
    _head: bytes | None = None
    _framing = Framing.SIZED
    _left = 0
    """Bytes of a body of known length that are still to come."""

    async def run_asgi(self, app: "ASGI3Application") -> None:
        """Answer the request by `app`, and end the connection where it does not."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as fault:  # of whatever kind: a connection left open would have its caller wait forever
            self.logger.error("Exception in ASGI application\n", exc_info=fault)  # noqa: TRY400 - as uvicorn says it
        if not self.response_complete and not self.disconnected:
            await self._end_unfinished()
        # What is left of this request must not hold its connection.
        self.on_response = _nothing

    async def receive(self) -> "ASGIReceiveEvent":
        """The next part of the request, or that its caller has left."""
        is_here = self.message_event.is_set() and not self.waiting_for_100_continue
        if not is_here or self.disconnected or self.response_complete:
            message = await super().receive()
        else:
            # The usual request came as a whole, and there is nothing to wait for.
            self.message_event.clear()
            message = {"type": "http.request", "body": bytes(self.body), "more_body": self.more_body}
            self.body = bytearray()
        if not self.more_body:
            # Nobody asks for more, and the end of the connection must be noticed.
            self.flow.resume_reading()
        return message

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a part of the answer."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._begin(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            problem = f"{message['type']!r} does not come next in this answer."
            raise RuntimeError(problem)

    async def _end_unfinished(self) -> None:
        if not self.response_started:
            self.logger.error("ASGI callable returned without starting response.")
            await self.send_500_response()
            return
        self.logger.error("ASGI callable returned without completing response.")
        self.flush()
        self.transport.close()

    def flush(self) -> None:
        """Send a head that waits for its body."""
        head, self._head = self._head, None
        if head is not None and not self.disconnected:
            self.transport.write(head)

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.response_started, self.waiting_for_100_continue = True, False
        lines = [(name.lower(), value) for name, value in headers]
        _refuse_control_characters(lines)
        named = dict(lines)
        self._choose_framing(status, named.get(b"content-length"))
        if b"close" in [option.strip().lower() for option in named.get(b"connection", b"").split(b",")]:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append((b"connection", b"close"))
        if self._framing is Framing.CHUNKED and self.scope["method"] != "HEAD":
            lines.append((b"transfer-encoding", b"chunked"))
        self._head = b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n"])
        self.loop.call_soon(self.flush)

    def _choose_framing(self, status: int, length: bytes | None) -> None:
        if length is not None or status in _WITHOUT_BODY:
            self._left = int(length or b"0")
        elif self.scope["http_version"] == _HTTP_1_0:
            # Such a caller would take the sizes of chunks for bytes of the body.
            self._framing = Framing.UNTIL_END
        else:
            self._framing = Framing.CHUNKED

    def _go_on(self, body: Piece, *, more: bool) -> None:
        head, self._head = self._head, None
        pieces: list[Piece] = [] if head is None else [head]
        pieces += self._framed(body, more=more)
        self._write(pieces)
        if more:
            return
        if self._left and self.scope["method"] != "HEAD":
            problem = f"The body of this answer ends {self._left} bytes before its length."
            raise RuntimeError(problem)
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _framed(self, body: Piece, *, more: bool) -> Sequence[Piece]:
        if self.scope["method"] == "HEAD":
            return ()
        if self._framing is Framing.CHUNKED:
            chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            return chunk if more else (*chunk, b"0\r\n\r\n")
        if self._framing is Framing.SIZED:
            self._left -= len(body)
            if self._left < 0:
                problem = "The body of this answer is longer than its length."
                raise RuntimeError(problem)
        return (body,) if body else ()

    def _write(self, pieces: Sequence[Piece]) -> None:
        if not pieces:
            return
        if sum(map(len, pieces)) <= _JOINED_BYTES:
            self.transport.write(b"".join(pieces))
        else:
            self.transport.writelines(pieces)


def _nothing() -> None:
    """What a cycle that has ended reports to."""


def _refuse_control_characters(lines: Sequence[tuple[bytes, bytes]]) -> None:
    names, values = zip(*lines, strict=True) if lines else ((), ())
    if b"".join(names).translate(None, _IN_NAMES) or b"".join(values).translate(None, _IN_VALUES):
        problem = "A header of this answer has a character that no header may have."
        raise RuntimeError(problem)
