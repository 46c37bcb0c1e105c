"""What the parts of the HTTP edge know of one request, and of the process it came to, beside the ASGI scope.

Owns the two keys under which ASGI carries values of ours; nobody else reads or writes `scope["state"]`.
"""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Protocol, cast

from starlette.types import Scope

from app.server.connections import ConnectionLimits, Connections
from app.server.process import Shutdown

_REQUEST, _PROCESS = "spillway_request", "spillway_process"


class DeliveryListener(Protocol):
    """Learns what became of an answer that was sent: at most one of the two, possibly often."""

    def arrived(self) -> None:
        """The caller took the answer: its next request came, or it closed in order."""
        ...

    def lost(self) -> None:
        """The caller closed without having read it, so a retry must find it."""
        ...


class RequestState:
    """One HTTP request: its id, its connection, and who wants to know whether its answer was read."""

    def __init__(self) -> None:
        self.request_id = ""
        """That of the answer: a request that joins an earlier one bears that one's id."""
        self.transport: asyncio.Transport | None = None
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


def state_of(scope: Scope) -> RequestState:
    """What is known of the request of this scope; begun at the first question."""
    state = scope.setdefault("state", {})
    found = state.get(_REQUEST)
    if found is None:
        # The connection asks first where there is one; behind another server the middleware does.
        found = state[_REQUEST] = RequestState()
    return cast("RequestState", found)


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What all connections of a process share."""

    connections: Connections
    shutdown: Shutdown

    def as_lifespan_state(self) -> dict[str, object]:
        """What the application gives the server, so that its connections find this."""
        return {_PROCESS: self}


def process_state_of(app_state: MutableMapping[str, object]) -> ProcessState:
    """That of this process; connections are counted apart where the application brought none."""
    found = app_state.get(_PROCESS)
    if isinstance(found, ProcessState):
        return found
    return ProcessState(Connections(ConnectionLimits(), lambda error: str(error).encode()), Shutdown())
