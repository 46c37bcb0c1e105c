"""One connection of a caller: which requests on it are read, and how.

Owns what happens before an application sees a request. Times are `pacing`'s affair, what became of answers
`protocol`'s.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.errors import GatewayError, HeadTooLargeError, InvalidRequestError
from app.server.delivery import state_of
from app.server.pacing import PacedProtocol, Reading

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_OFFERING = frozenset({b"upgrade", b"http2-settings"})
"""Headers, and members of `Connection`, that offer another protocol."""
_PIECE_BYTES = 8 * 1024
"""What the parser is given at once outside of a body: it keeps an unfinished field however long it grows."""
_FIELD_OVERHEAD = 4
_PARTS_AT_ONCE = 1024
"""Parts of a body that are read before others have their turn: chunks of a byte each would keep the loop."""


class GatewayProtocol(PacedProtocol):
    """Reads every request as HTTP/1.1, also one that offers to go on in another protocol (RFC 9110, section 7.8).

    The parser ends at the head of such a request and leaves its body unread; a server that does not take the offer
    has to read it. So the head is given to a new parser, without the offer.

    Heads are bounded before they are kept, trailers are not kept at all, and requests sent ahead stay with the system
    until those before them are answered.
    """

    _refusal: GatewayError | None = None
    _rest = memoryview(b"")
    _head_bytes = _fields = _body_left = _parts = 0
    _goes_on = False

    def data_received(self, data: bytes) -> None:
        """Bytes from the caller."""
        if self.refused:
            return
        self._unset_keepalive_if_required()
        self._feed(memoryview(bytes(self._rest) + data) if self._rest else memoryview(data))

    def on_response_complete(self) -> None:
        """An answer was written: what was sent ahead has its turn."""
        super().on_response_complete()
        self._go_on()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self.reading = Reading.HEAD
        self._head_bytes = self._fields = self._body_left = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or one behind the body, which nobody here reads."""
        # Trailers: kept as header fields they could claim what the head did not (0010).
        if self.reading is not Reading.HEAD:
            return
        self._fields += 1
        self._count_head(len(name) + len(value) + _FIELD_OVERHEAD)
        if name.lower() == b"content-length":
            self._body_left = int(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head was read; one with an offer will come again without it."""
        if not self.parser.should_upgrade():
            self.reading, self.unclear = Reading.BODY, 0
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self.unclear = 0
        self._parts += 1
        self._body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request was read."""
        if not self.parser.should_upgrade():
            self.reading, self.unclear = Reading.NOTHING, 0
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        """Answer a request."""
        self.running = cycle
        state_of(cast("Scope", cycle.scope)).transport = cycle.transport
        super()._start_asgi_task(cycle, app)

    def _feed(self, rest: memoryview) -> None:
        """Parse as far as requests may be read; the rest waits until the last of them is answered."""
        until = self._parts + _PARTS_AT_ONCE
        try:
            while rest and not self.pipeline and self._parts < until:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self._rest = memoryview(b"")
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
        elif not self.pipeline and not self._is_backed_up:
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
        reads = self.reading is Reading.BODY and not cycle.response_complete
        return reads and len(cycle.body) > HIGH_WATER_LIMIT

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
        if self.unclear > self.shared.limits.head_bytes:
            self._refuse_head()
        return rest

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        limits = self.shared.limits
        if self._head_bytes > limits.head_bytes or self._fields > limits.head_fields:
            self._refuse_head()

    def _refuse_head(self) -> None:
        limits = self.shared.limits
        self._refusal = HeadTooLargeError(limits.head_bytes, limits.head_fields)
        raise httptools.HttpParserError

    def _decline(self) -> None:
        """Read the current head again as one that offers nothing."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        # A tunnel has no body to read and no answer of ours.
        if method == b"CONNECT":
            raise httptools.HttpParserError
        lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode()), *self._fields_without_offer(), b"", b""]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join(lines))

    def _fields_without_offer(self) -> Iterator[bytes]:
        for name, value in self.headers:
            if name == b"connection":
                kept = [option.strip() for option in value.split(b",") if option.strip().lower() not in _OFFERING]
                yield b"connection: " + b", ".join(kept)
            elif name not in _OFFERING:
                yield name + b": " + value
