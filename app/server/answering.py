"""One request at its connection, received and answered (ASGI's `receive` and `send`).

Owns how an answer is framed and put into bytes, with as few calls of the system as it can be. Which requests are read
is `connection`'s affair, what became of an answer `protocol`'s.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.server.delivery import RequestState

_HTTP_1_0 = "1.0"
_WITHOUT_BODY = frozenset({204, 304})
_JOINED_BYTES = 16_384
"""Up to here one copy is cheaper than a list for the system."""
_IN_VALUES = b"\t" + bytes({*range(0x20, 0x100)} - {0x7F})
_IN_NAMES = bytes({*_IN_VALUES} - {*b'\t ()<>@,;:[]={}\\"'} - {*range(ord("A"), ord("Z") + 1)})
"""What a header may hold: a line break in one would begin another one, or another answer."""
WITH_BODY = "spillway.body_in_start"
"""The extension of ASGI by which a start of an answer may carry all of its `body`, so that it is sent in one call."""
EXTENSIONS: Mapping[str, Mapping[str, object]] = MappingProxyType({WITH_BODY: MappingProxyType({})})
_END = b"\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# The server's own name for it, under which operators look for such lines.
_logger = logging.getLogger("uvicorn.error")

Piece = bytes | memoryview


class Framing(Enum):
    """How a caller learns where the body ends."""

    SIZED = "by its length"
    CHUNKED = "by an empty chunk"
    UNTIL_END = "by the end of the connection"


class AnswerCycle:
    """The head of an answer leaves with the first parts of its body, in one write.

    What waits for a part that is still being made leaves when the loop comes round again.
    """

    more_body = True
    """Whether more of the request's body is to come."""
    disconnected = response_started = response_complete = False
    _held: bytes | None = None
    """The head, and small parts behind it, that leave with the next part."""
    _framing = Framing.SIZED
    _left = 0
    """Bytes of a body of known length that are still to come."""
    _has_news = False
    _news: asyncio.Event | None = None
    """Made when somebody waits: nearly every request is whole when it is looked at."""

    def __init__(
        self,
        scope: Scope,
        state: RequestState,
        transport: asyncio.Transport,
        flow: FlowControl,
        on_response: Callable[[], None],
        *,
        keep_alive: bool,
        waits_to_continue: bool,
    ) -> None:
        self.scope, self.state = scope, state
        self.transport, self.flow = transport, flow
        self.on_response = on_response
        self.keep_alive, self.waiting_for_100_continue = keep_alive, waits_to_continue

    async def run(self, app: ASGIApp) -> None:
        """Answer the request by `app`, and end the connection where it does not."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as fault:  # of whatever kind: a connection left open would have its caller wait forever
            _logger.error("Exception in ASGI application\n", exc_info=fault)  # noqa: TRY400 - as the server says it
        if not self.response_complete and not self.disconnected:
            await self._end_unfinished()
        # What is left of this request must not hold its connection.
        self.on_response = _nothing

    def add_body(self, part: bytes) -> None:
        """A part of the request's body came."""
        state = self.state
        if not state.body:
            state.body = part
        elif isinstance(state.body, bytearray):
            state.body += part
        else:
            state.body = bytearray(state.body) + part
        self._has_news = True
        if self._news is not None:
            self._news.set()

    def end_body(self, *, is_at_hand: bool) -> None:
        """The body is whole; `is_at_hand` says that nothing must happen before it is taken."""
        self.more_body = False
        self.state.is_whole = is_at_hand and not self.waiting_for_100_continue
        self._has_news = True
        if self._news is not None:
            self._news.set()

    def disconnect(self) -> None:
        """Nothing more comes, and nothing that is sent arrives."""
        self.disconnected, self.state.is_whole = True, False
        if self._news is not None:
            self._news.set()

    async def receive(self) -> Message:
        """The next part of the request, or that its caller has left."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(_CONTINUE)
            self.waiting_for_100_continue = False
        if not self._has_news and not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            self._news = self._news or asyncio.Event()
            await self._news.wait()
        self._has_news = False
        if self._news is not None:
            self._news.clear()
        message: Message = {"type": "http.disconnect"}
        if not self.disconnected and not self.response_complete:
            message = {"type": "http.request", "body": bytes(self.state.body), "more_body": self.more_body}
            self.state.body, self.state.is_whole = b"", False
        if not self.more_body:
            # Nobody asks for more, and the end of the connection must be noticed.
            self.flow.resume_reading()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; a start that has a body is all of it (WITH_BODY)."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.response_started:
            self._begin(message["status"], message.get("headers", ()))
            if "body" in message:
                self._go_on(message["body"], more=False)
            else:
                asyncio.get_running_loop().call_soon(self.flush)
        elif kind == "http.response.body" and self.response_started and not self.response_complete:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            problem = f"{kind!r} does not come next in this answer."
            raise RuntimeError(problem)

    async def _end_unfinished(self) -> None:
        if not self.response_started:
            _logger.error("ASGI callable returned without starting response.")
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")]
            headers.append((b"connection", b"close"))
            body = b"Internal Server Error"
            await self.send({"type": "http.response.start", "status": 500, "headers": headers, "body": body})
            return
        _logger.error("ASGI callable returned without completing response.")
        self.flush()
        self.transport.close()

    def flush(self) -> None:
        """Send what waits for the next part."""
        held, self._held = self._held, None
        if held is not None and not self.disconnected:
            self.transport.write(held)

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.response_started, self.waiting_for_100_continue = True, False
        lines = list(headers)
        named = dict(lines)
        odd = b"".join(named).translate(None, _IN_NAMES)
        if odd:
            lines = [(name.lower(), value) for name, value in lines]
            named = dict(lines)
            odd = b"".join(named).translate(None, _IN_NAMES)
        length = named.get(b"content-length")
        if length is None:
            self._choose_framing(status)
        else:
            self._left = int(length)
        if b"connection" in named and _says_close(named[b"connection"]):
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append((b"connection", b"close"))
        if self._framing is Framing.CHUNKED and self.scope["method"] != "HEAD":
            lines.append((b"transfer-encoding", b"chunked"))
        head = STATUS_LINE[status] + _END.join([*map(b": ".join, lines), b"", b""])
        # All at once: what no header may have is in none of them where only our own ends of lines are left.
        if odd or head.translate(None, _IN_VALUES) != _END * (len(lines) + 2):
            problem = "A header of this answer has a character that no header may have."
            raise RuntimeError(problem)
        self._held = head

    def _choose_framing(self, status: int) -> None:
        if status in _WITHOUT_BODY:
            return
        # A caller of HTTP/1.0 would take the sizes of chunks for bytes of the body.
        until_end = self.scope["http_version"] == _HTTP_1_0
        self._framing = Framing.UNTIL_END if until_end else Framing.CHUNKED

    def _go_on(self, body: Piece, *, more: bool) -> None:
        held, self._held = self._held or b"", None
        if self._framing is not Framing.SIZED or self.scope["method"] == "HEAD":
            self._write((held, *self._framed(body, more=more)))
        else:
            self._left -= len(body)
            if self._left < 0:
                problem = "The body of this answer is longer than its length."
                raise RuntimeError(problem)
            if len(held) + len(body) > _JOINED_BYTES:
                self._write((held, body))
            elif more and held:
                self._held = held + body  # until `flush` at the latest, which is to come
            else:
                self.transport.write(held + body)
        if not more:
            self._end()

    def _framed(self, body: Piece, *, more: bool) -> Sequence[Piece]:
        if self.scope["method"] == "HEAD":
            return ()
        if self._framing is Framing.UNTIL_END:
            return (body,)
        chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
        return chunk if more else (*chunk, b"0\r\n\r\n")

    def _write(self, pieces: Sequence[Piece]) -> None:
        if sum(map(len, pieces)) > _JOINED_BYTES:
            self.transport.writelines([piece for piece in pieces if piece])
        elif joined := b"".join(pieces):
            self.transport.write(joined)

    def _end(self) -> None:
        if self._left and self.scope["method"] != "HEAD":
            problem = f"The body of this answer ends {self._left} bytes before its length."
            raise RuntimeError(problem)
        self.response_complete = True
        if self._news is not None:
            self._news.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _nothing() -> None:
    """What a cycle that has ended reports to."""


def _says_close(value: bytes) -> bool:
    return b"close" in [option.strip().lower() for option in value.split(b",")]
