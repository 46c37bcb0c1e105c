"""HTTP over a connection that reports when an answer was sent but never read.

A peer that closes with unread data resets its connection; one that has read everything ends it in peace. The server's
own protocol knows the difference and hides it from applications; this one passes it on.
"""

import asyncio
import fcntl
import os
import socket
import termios
from collections import deque
from typing import cast
from urllib.parse import unquote

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.server.answering import AnswerCycle
from app.server.connections import process_state_of
from app.server.delivery import RequestState, state_of

_MAX_UNSETTLED = 512
"""Answers of one connection that are followed; who sends more ahead is taken to have read the first."""


class DeliveryTrackingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which reports what became of the answers of its connection."""

    _unread = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there."""
        super().connection_made(transport)
        # Bounded: a caller that sends requests ahead and reads nothing must not grow it without end (0010).
        self._unsettled: deque[RequestState] = deque(maxlen=_MAX_UNSETTLED)

    def on_message_begin(self) -> None:
        """Another request over the same connection: the answers before it were read, unless it was sent ahead."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # there is none before the first request
        # A request that was sent ahead says nothing about whether earlier answers were read (0052).
        if cycle is None or cycle.response_complete:
            for request in self._unsettled:
                request.notify_arrived()
            self._unsettled.clear()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request whose answer will be somebody's to read."""
        version, target = self.parser.get_http_version(), httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"], self.scope["raw_path"] = unquote(path) if "%" in path else path, target.path
        self.scope["query_string"] = target.query or b""
        keep_alive = version != "1.0" and self.parser.should_keep_alive()
        before = cast("RequestResponseCycle | None", self.cycle)
        self.cycle = cycle = self._new_cycle(keep_alive=keep_alive)
        self._unsettled.append(state_of(cast("Scope", self.scope)))
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            # Sent ahead: one answer after the other.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _new_cycle(self, *, keep_alive: bool) -> AnswerCycle:
        cycle = AnswerCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.loop = self.loop
        return cycle

    def eof_received(self) -> None:
        """The peer sends no more; whether it got all that was sent is known only now, before the socket closes."""
        # Here, not in `connection_lost`: by then the socket is closed and the system answers nothing any more.
        self.note_unread()
        # What is unread is known by now: an answer that begins between this and the end would count as read (0062).
        for request in self._unsettled:
            request.leave()
        super().eof_received()

    def note_unread(self) -> None:
        """Ask the system, before the connection ends, whether the peer has taken everything."""
        self._unread = self._unread or _has_unread(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection: in peace, or by a reset."""
        # Anything else is a loss: believing a retry too much costs a look, too little costs an image (0052).
        read = exc is None and not self._unread
        for request in self._unsettled:
            request.notify_ended(in_peace=read)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: connections are the first to know."""
        process_state_of(self.app_state).shutdown.begin()
        super().shutdown()


def _has_unread(transport: asyncio.Transport) -> bool:
    """Whether a peer that ended the connection had not taken everything; False where the system does not say.

    A peer that closes with unread data resets. One that closed before the data came answers them with a reset: they
    are not acknowledged, or the socket has an error.
    """
    try:
        # A duplicate, since closing this object must not close the connection.
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as own:
            waiting = fcntl.ioctl(own, termios.TIOCOUTQ, b"\0\0\0\0")
            return any(waiting) or own.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    except (OSError, AttributeError):
        return False
