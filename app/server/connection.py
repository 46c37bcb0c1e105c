"""One connection of a caller: which requests on it are read, and how.

Owns what happens before an application sees a request. What became of answers is `protocol`'s affair.
"""

from typing import TYPE_CHECKING

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.server.protocol import DeliveryTrackingProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

_HTTP_1_0 = "1.0"

_OFFERING = frozenset({b"upgrade", b"http2-settings"})
"""Headers, and members of `Connection`, that offer another protocol."""


class GatewayProtocol(DeliveryTrackingProtocol):
    """Reads every request as HTTP/1.1, also one that offers to go on in another protocol (RFC 9110, section 7.8).

    The parser ends at the head of such a request and leaves its body unread; a server that does not take the offer
    has to read it. So the head is told to a new parser, without the offer.
    """

    def data_received(self, data: bytes) -> None:
        """Bytes from the caller."""
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = self._feed(rest)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        """A head was read; one with an offer will come again without it."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request was read."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        """Answer a request; a caller that speaks HTTP/1.0 does not know chunks, and gets a body until the end."""
        old = cycle.scope["http_version"] == _HTTP_1_0
        super()._start_asgi_task(cycle, _unframed(cycle, app) if old else app)

    def _feed(self, data: memoryview) -> memoryview:
        """Parse up to the next offer; what stands behind it is returned."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline()
            return data[offer.args[0] :]
        return data[:0]

    def _decline(self) -> None:
        """Read the current head again as one that offers nothing."""
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            raise httptools.HttpParserError("there is no tunnel here")
        lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode()), *self._fields_without_offer(), b"", b""]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join(lines))

    def _fields_without_offer(self) -> "Iterator[bytes]":
        for name, value in self.headers:
            if name == b"connection":
                kept = [option.strip() for option in value.split(b",") if option.strip().lower() not in _OFFERING]
                yield b"connection: " + b", ".join(kept)
            elif name not in _OFFERING:
                yield name + b": " + value


def _unframed(cycle: RequestResponseCycle, app: "ASGI3Application") -> "ASGI3Application":
    """An application whose answers of unknown length end with the connection."""

    async def answer(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        unsized = False

        async def send_unframed(message: "ASGISendEvent") -> None:
            nonlocal unsized
            if message["type"] == "http.response.start":
                unsized = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if unsized:
                    cycle.chunked_encoding = False  # decided, so that the server adds no framing of its own
            elif unsized and message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unframed)

    return answer
