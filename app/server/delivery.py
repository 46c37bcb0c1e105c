"""One request at its connection: its id, whether its caller is still there, and who learns whether the answer was read.

Owns the key under which a scope carries this. What a delivery or a loss means for a request is not known here.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from starlette.types import Scope

from app.observability.access_log import RequestFacts

_T = TypeVar("_T")
REQUEST = "spillway_request"
"""The key of RequestState in a scope."""
_ENDED_STATES = frozenset({7, 8})
"""TCP_CLOSE and TCP_CLOSE_WAIT of the kernel's `tcp_info`."""


class DeliveryListener(Protocol):
    """Learns what became of an answer that was sent: at most one of the two, possibly often."""

    def arrived(self) -> None:
        """The caller took the answer: its next request came, or it closed in order."""
        ...

    def lost(self) -> None:
        """The caller closed without having read it, so a retry must find it."""
        ...


class HeadSource(Protocol):
    """What adds headers to an answer."""

    def lines(self) -> Sequence[tuple[bytes, bytes]]:
        """The headers as they are when the answer begins."""
        ...


class RequestState:
    """One HTTP request: its id, its connection, and who wants to know whether its answer was read.

    What most requests never set is said once, for all of them.
    """

    request_id = ""
    """That of the answer: a request that joins an earlier one bears that one's id."""
    endpoint = ""
    """The path of its route, where there is one."""
    model = ""
    """The label of the model that is asked for, once the body was understood."""
    status = 0
    """That of the answer, as soon as it begins."""
    transport: asyncio.Transport | None = None
    task: asyncio.Task[None] | None = None
    """That in which it is answered."""
    head: HeadSource | None = None
    """Adds headers to the answer, whoever makes it."""
    has_ended = False
    """Whether its connection has, or is about to."""
    body: bytes | bytearray = b""
    """What came of its body, and was not taken yet."""
    is_whole = False
    """Whether `body` is all there is, and may be taken at once."""
    _listener: DeliveryListener | None = None
    _watching: asyncio.Task[Any] | None = None

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        # Reversed: of several headers of one name the first one counts.
        self.headers: Mapping[bytes, bytes] = dict(reversed(headers))
        """The first of each name, which is in lower case."""
        self.facts = RequestFacts()
        """What the line of the log will say of it."""

    def take_body(self) -> bytes | bytearray | None:
        """The whole body where it has come; None where it has to be received, part by part."""
        if not self.is_whole:
            return None
        body, self.body, self.is_whole = self.body, b"", False
        self.facts.bytes_in += len(body)
        return body

    def listen(self, listener: DeliveryListener) -> None:
        """Let `listener` learn what becomes of the answer that was just sent."""
        # The connection may have ended while the answer was being sent: then nothing would report it any more.
        if self.has_ended:
            listener.lost()
        else:
            self._listener = listener

    async def unless_gone(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """The result of `work`, or None when the caller disconnects first; then `work` is cancelled.

        For a request whose body was read: the connection reads on then, and tells.
        """
        # In the request's own task, which the connection cancels: a task that watches would cost more than the watch.
        self._watching = working = self.task or asyncio.current_task()
        if self.has_ended:
            # It begins all the same: what a caller sent before it left may be worth doing.
            asyncio.get_running_loop().call_soon(self._cancel_watching)
        try:
            return await work
        except asyncio.CancelledError:
            # Only the connection's cancellation is turned into None; one from the server's shutdown must go on
            # (uncancel counts them).
            if self.has_ended and working is not None and not working.uncancel():
                return None
            raise
        finally:
            self._watching = None

    def notify_arrived(self) -> None:
        """The answer was read."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.arrived()

    def leave(self) -> None:
        """The caller closes: nothing that is sent from now on is read."""
        self.has_ended = True
        self._cancel_watching()

    def notify_ended(self, *, in_peace: bool) -> None:
        """The connection has ended, `in_peace` where everything sent before had been read."""
        self.leave()
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if in_peace:
            listener.arrived()
        else:
            listener.lost()

    def _cancel_watching(self) -> None:
        # Once: the end of a connection is told twice, and a second cancellation would be taken for the server's.
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()

    def has_left(self) -> bool:
        """Whether the caller ended its connection, also while its body lies unread and the server would not notice.

        False where the system does not say, as while more was sent than its buffers hold: the end comes behind that.
        """
        if self.transport is None:
            return False
        if self.transport.is_closing():
            return True
        try:
            with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as own:
                return own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ENDED_STATES
        except (OSError, AttributeError):
            return False


def state_of(scope: Scope) -> RequestState:
    """What is known of the request of this scope; begun at the first question."""
    found: RequestState | None = scope.get(REQUEST)
    if found is None:
        # The connection has put it there where there is one; behind another server the middleware asks first.
        found = scope[REQUEST] = RequestState(scope.get("headers", ()))
    return found
