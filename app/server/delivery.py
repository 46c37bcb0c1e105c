"""One request at its connection: its id, whether its caller is still there, and who learns whether the answer was read.

Owns the key under which ASGI carries this. What a delivery or a loss means for a request is not known here.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar, cast

from starlette.types import Receive, Scope

from app.observability.access_log import RequestFacts

_T = TypeVar("_T")
_REQUEST = "spillway_request"
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
    """One HTTP request: its id, its connection, and who wants to know whether its answer was read."""

    def __init__(self) -> None:
        self.request_id = ""
        """That of the answer: a request that joins an earlier one bears that one's id."""
        self.endpoint = ""
        """The path of its route, where there is one."""
        self.model = ""
        """The label of the model that is asked for, once the body was understood."""
        self.facts = RequestFacts()
        """What the line of the log will say of it."""
        self.transport: asyncio.Transport | None = None
        self.head: HeadSource | None = None
        """Adds headers to the answer, whoever makes it."""
        self._listener: DeliveryListener | None = None
        self._has_ended = False

    def listen(self, listener: DeliveryListener) -> None:
        """Let `listener` learn what becomes of the answer that was just sent."""
        # The connection may have ended while the answer was being sent: then nothing would report it any more.
        if self._has_ended:
            listener.lost()
        else:
            self._listener = listener

    def notify_arrived(self) -> None:
        """The answer was read."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.arrived()

    def notify_ended(self, *, in_peace: bool) -> None:
        """The connection has ended, `in_peace` where everything sent before had been read."""
        self._has_ended = True
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if in_peace:
            listener.arrived()
        else:
            listener.lost()

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
    state = scope.setdefault("state", {})
    found = state.get(_REQUEST)
    if found is None:
        # The connection asks first where there is one; behind another server the middleware does.
        found = state[_REQUEST] = RequestState()
    return cast("RequestState", found)


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T | None:
    """The result of `work`, or None when the caller disconnects first; then `work` is cancelled."""
    working = asyncio.current_task()
    disconnected = False

    async def watch_caller() -> None:
        nonlocal disconnected
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected = True
        if working is not None:
            working.cancel()

    watching = asyncio.create_task(watch_caller())
    try:
        # In the request's own task: a task of its own for each request would cost more than the watch.
        return await work
    except asyncio.CancelledError:
        # Only our own cancellation is turned into None; one from the server's shutdown must go on (uncancel counts
        # them).
        if disconnected and working is not None and not working.uncancel():
            return None
        raise
    finally:
        watching.cancel()


async def is_disconnected(receive: Receive) -> bool:
    """Whether the connection has been closed by now; does not wait."""
    watching = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if not watching.done():
        watching.cancel()
        return False
    return bool(watching.result()["type"] == "http.disconnect")
