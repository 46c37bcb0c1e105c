"""One connection of a caller: which requests on it are read, and how.

Owns what happens before an application sees a request. Times are `pacing`'s affair, what became of answers
`protocol`'s.
"""

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

import httptools
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from app.errors import GatewayError, HeadTooLargeError, InvalidRequestError
from app.server.answering import EXTENSIONS, AnswerCycle
from app.server.delivery import REQUEST, RequestState
from app.server.pacing import PacedProtocol, Reading

_OFFERING = frozenset({b"upgrade", b"http2-settings"})
"""Headers, and members of `Connection`, that offer another protocol."""
_PIECE_BYTES = 8 * 1024
"""What the parser is given at once outside of a body: it keeps an unfinished field however long it grows."""
_FIELD_OVERHEAD = 4
_REMEMBERED = 64
"""Callers ask for the same few targets; bounded, because anybody can ask for others."""
_PARTS_AT_ONCE = 1024
"""Parts of a body that are read before others have their turn: chunks of a byte each would keep the loop."""


class GatewayProtocol(PacedProtocol):
    """Reads every request as HTTP/1.1, also one that offers to go on in another protocol (RFC 9110, section 7.8).

    The parser ends at the head of such a request and leaves its body unread; a server that does not take the offer
    has to read it. So the head is given to a new parser, without the offer.

    Heads are bounded before they are kept, trailers are not kept at all, and requests sent ahead stay with the system
    until those before them are answered.
    """

    url = b""
    _refusal: GatewayError | None = None
    _rest = memoryview(b"")
    _body_left = _parts = 0
    _goes_on = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self.headers: list[tuple[bytes, bytes]] = []
        limits = self.shared.limits
        self._near_limit = limits.head_bytes - limits.head_fields * _FIELD_OVERHEAD - _PIECE_BYTES
        self.parser = self._new_parser()

    def data_received(self, data: bytes) -> None:
        """Bytes from the caller."""
        if not self.refused:
            self._feed(memoryview(bytes(self._rest) + data) if self._rest else memoryview(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection."""
        super().connection_lost(exc)
        del self.parser  # the two hold each other

    def on_response_complete(self) -> None:
        """An answer was written: what was sent ahead has its turn."""
        super().on_response_complete()
        if self._rest:
            self._go_on()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._unsettled:
            self.settle()
        self.reading, self.url, self.headers = Reading.HEAD, b"", []
        self._body_left = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or one behind the body, which nobody here reads."""
        # Trailers: kept as header fields they could claim what the head did not (0010).
        if self.reading is Reading.HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """A head was read; one with an offer will come again without it."""
        # Counted only where it comes near: what came since anything was understood is all of a head, but for the piece
        # of its beginning.
        if (self.unclear > self._near_limit or len(self.headers) > self.shared.limits.head_fields) and self._is_over():
            self._refuse_head()
        if self.parser.should_upgrade():
            return
        version, state = self.parser.get_http_version(), RequestState(self.headers)
        # A target that cannot be read is refused here, while what is being answered is still none of this request's.
        scope, expected = self._scope_of(version, state), state.headers.get(b"expect")
        self.reading, self.unclear = Reading.BODY, 0
        length = state.headers.get(b"content-length")
        if length is not None:
            self._body_left = int(length)
        cycle = AnswerCycle(
            scope,
            state,
            self.transport,
            self.flow,
            self.on_response_complete,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            waits_to_continue=expected is not None and _waits_to_continue(self.headers),
        )
        self.take(cycle)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self.unclear = 0
        self._parts += 1
        size = len(body)
        self._body_left -= size
        self._body_bytes += size
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.add_body(body)
            if len(cycle.state.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        self._was_paused = self._was_paused or self.flow.read_paused

    def on_message_complete(self) -> None:
        """A request was read."""
        if self.parser.should_upgrade():
            return
        self.reading, self.unclear = Reading.NOTHING, 0
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.end_body(is_at_hand=not self.flow.read_paused)

    def _scope_of(self, version: str, state: RequestState) -> Scope:
        path, raw_path, query = _read_target(self.url)
        return {
            "type": "http",
            "asgi": self._asgi,
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "extensions": EXTENSIONS,
            "state": self.app_state.copy(),
            REQUEST: state,
        }

    def _feed(self, rest: memoryview) -> None:
        """Parse as far as requests may be read; the rest waits until the last of them is answered."""
        until = self._parts + _PARTS_AT_ONCE
        try:
            while rest and not self.pipeline and self._parts < until:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self._rest = memoryview(b"")
            # Of a head that is wrong twice its size is told: it came first.
            if self._refusal is None and self.reading is Reading.HEAD and self._is_over():
                self._refusal = self._too_large()
            self.refuse(self._refusal or InvalidRequestError("This is not a valid HTTP/1.1 request.", param="body"))
            return
        self._rest = rest
        self.flow.held = bool(rest)
        if rest:
            # Backpressure: what waits stays with the system, which makes the sender wait, not in our memory.
            self.flow.pause_reading()
            if not self.pipeline and not self._goes_on:
                self._goes_on = True
                self.loop.call_soon(self._have_a_turn)
        elif self.flow.read_paused and not self.pipeline and not self._is_backed_up:
            self.flow.resume_reading()
        self.update()

    def _have_a_turn(self) -> None:
        self._goes_on = False
        self._go_on()

    def _go_on(self) -> None:
        if self._rest and not self.pipeline and not self.refused and not self.transport.is_closing():
            self._feed(self._rest)

    @property
    def _is_backed_up(self) -> bool:
        """Whether an application has yet to take what was read of a body: the rest stays with the system."""
        cycle = self.cycle
        if self.reading is not Reading.BODY or cycle is None or cycle.response_complete:
            return False
        return len(cycle.state.body) > HIGH_WATER_LIMIT

    def _parse(self, data: memoryview) -> memoryview:
        """Parse one piece, and return what is left; a piece ends where a body of known length does."""
        # Small pieces only where the parser keeps what it reads; known bodies pass in one (0010).
        size = max(_PIECE_BYTES, self._body_left)
        piece, rest = data[:size], data[size:]
        self.unclear += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            self._decline()
            return data[offer.args[0] :]
        limits = self.shared.limits
        if self.unclear > limits.head_bytes or (
            self.reading is Reading.HEAD and len(self.headers) > limits.head_fields
        ):
            self._refuse_head()
        return rest

    def _is_over(self) -> bool:
        """Whether what is known of a head is too large."""
        limits, fields = self.shared.limits, self.headers
        size = len(self.url) + sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields)
        return size > limits.head_bytes or len(fields) > limits.head_fields

    def _refuse_head(self) -> None:
        self._refusal = self._too_large()
        raise httptools.HttpParserError

    def _too_large(self) -> HeadTooLargeError:
        return HeadTooLargeError(self.shared.limits.head_bytes, self.shared.limits.head_fields)

    def _decline(self) -> None:
        """Read the current head again as one that offers nothing."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        # A tunnel has no body to read and no answer of ours.
        if method == b"CONNECT":
            raise httptools.HttpParserError
        lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode()), *self._fields_without_offer(), b"", b""]
        self.parser = self._new_parser()
        self.parser.feed_data(b"\r\n".join(lines))

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # Requests may be sent ahead; what follows one that ends the connection is not read.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _fields_without_offer(self) -> Iterator[bytes]:
        for name, value in self.headers:
            if name == b"connection":
                kept = [option.strip() for option in value.split(b",") if option.strip().lower() not in _OFFERING]
                yield b"connection: " + b", ".join(kept)
            elif name not in _OFFERING:
                yield name + b": " + value


def _waits_to_continue(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)


@lru_cache(_REMEMBERED)
def _read_target(url: bytes) -> tuple[str, bytes, bytes]:
    """The path, as it is meant and as it was sent, and the query."""
    target = httptools.parse_url(url)
    path = target.path.decode("ascii")
    return unquote(path) if "%" in path else path, target.path, target.query or b""
