"""A connection that reports when an answer was sent but never read.

A peer that closes with unread data resets its connection; one that has read everything ends it in peace. Servers know
the difference and hide it from applications; this one passes it on. Owns the connection's ends, its answers in their
order, and what became of them.
"""

import asyncio
import fcntl
import os
import socket
import termios
from collections import deque
from typing import cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from app.server.answering import AnswerCycle
from app.server.connections import process_state_of
from app.server.delivery import RequestState

_MAX_UNSETTLED = 512
"""Answers of one connection that are followed; who sends more ahead is taken to have read the first."""
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
"""All that the layer for proxies reads."""


class DeliveryTrackingProtocol(asyncio.Protocol):
    """One connection, as the server's own protocols are: uvicorn makes it, counts it, and ends it."""

    transport: asyncio.Transport
    flow: FlowControl
    cycle: AnswerCycle | None = None
    """The newest request whose head was read."""
    running: AnswerCycle | None = None
    """The newest that was begun to be answered."""
    server: tuple[str, int | None] | None = None
    client: tuple[str, int] | None = None
    scheme = "http"
    _unread = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.config, self.app_state = config, app_state
        self.loop = _loop or asyncio.get_event_loop()
        self.server_state = server_state
        # uvicorn's layer for proxies changes nothing of a request that none of its headers came with.
        self._forwarded_app = cast("ASGIApp", config.loaded_app)
        layer = config.loaded_app
        self._app = cast("ASGIApp", layer.app if isinstance(layer, ProxyHeadersMiddleware) else layer)
        self.pipeline: deque[AnswerCycle] = deque()
        """Requests that were sent ahead, the newest first."""
        # Bounded: a caller that sends requests ahead and reads nothing must not grow it without end (0010).
        self._unsettled: deque[RequestState] = deque(maxlen=_MAX_UNSETTLED)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there."""
        self.server_state.connections.add(self)  # type: ignore[arg-type] # uvicorn's own classes are all it names
        self.transport = transport
        self.server, self.client = get_local_addr(transport), get_remote_addr(transport)
        self.scheme = "https" if is_ssl(transport) else "http"

    def settle(self) -> None:
        """Another request over the same connection: the answers before it were read, unless it was sent ahead."""
        # A request that was sent ahead says nothing about whether earlier answers were read (0052).
        if self.cycle is None or self.cycle.response_complete:
            for request in self._unsettled:
                request.notify_arrived()
            self._unsettled.clear()

    def take(self, cycle: AnswerCycle) -> None:
        """A request whose head was read: its answer will be somebody's to read."""
        before, self.cycle = self.cycle, cycle
        self._unsettled.append(cycle.state)
        if before is None or before.response_complete:
            self.start(cycle)
        else:
            # Sent ahead: one answer after the other. And whoever reads the body before it reads the connection on.
            before.state.is_whole = False
            self.flow.pause_reading()
            self.pipeline.appendleft(cycle)

    def start(self, cycle: AnswerCycle) -> None:
        """Answer a request."""
        self.running, state = cycle, cycle.state
        state.transport = cycle.transport
        app = self._app if _FORWARDED.isdisjoint(state.headers) else self._forwarded_app
        state.task = task = self.loop.create_task(cycle.run(app))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def eof_received(self) -> None:
        """The peer sends no more; whether it got all that was sent is known only now, before the socket closes."""
        # Here, not in `connection_lost`: by then the socket is closed and the system answers nothing any more.
        self.note_unread()
        # What is unread is known by now: an answer that begins between this and the end would count as read (0062).
        for request in self._unsettled:
            request.leave()

    def note_unread(self) -> None:
        """Ask the system, before the connection ends, whether the peer has taken everything."""
        self._unread = self._unread or _has_unread(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection: in peace, or by a reset."""
        # Anything else is a loss: believing a retry too much costs a look, too little costs an image (0052).
        read = exc is None and not self._unread
        for request in self._unsettled:
            request.notify_ended(in_peace=read)
        self.server_state.connections.discard(self)
        # Not the newest: where requests were sent ahead, that is not begun.
        if self.running is not None and not self.running.response_complete:
            self.running.disconnect()
        # Never to be answered; and what is held in a ring is freed by the collector only.
        self.pipeline.clear()
        # Whoever waits to send learns that there is nobody.
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()

    def pause_writing(self) -> None:
        """The caller reads more slowly than it is answered."""
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        """The caller reads again."""
        self.flow.resume_writing()

    def shutdown(self) -> None:
        """The server ends: connections are the first to know."""
        process_state_of(self.app_state).shutdown.begin()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.keep_alive = False


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
