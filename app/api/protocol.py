"""HTTP over a connection that tells when an answer was sent but never read.

A peer that closes with unread data resets its connection; one that has read everything ends it in peace. The server's
own protocol knows the difference and hides it from applications; this one passes it on.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from starlette.types import Scope

_ON_RESET = "on_reset"
_ENDING = "ending"


class Ending:
    """When this process was told to end. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None

    def begin(self) -> None:
        """It is told now; what counts is the first time."""
        if self._began is None:
            self._began = self._clock()

    def left_of(self, grace: float) -> float:
        """Seconds that are left of `grace`."""
        self.begin()
        return max(0.0, grace - (self._clock() - (self._began or 0.0)))

    def as_state(self) -> dict[str, "Ending"]:
        """What the server is given, so that its connections can tell."""
        return {_ENDING: self}


class AttentiveProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which calls back when the connection is reset after the last answer was sent."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever wants to know, once."""
        scope = cast("Scope | None", self.scope)  # there is none before the first request
        on_reset = scope.get("state", {}).pop(_ON_RESET, None) if scope is not None else None
        if exc is not None and on_reset is not None and self.cycle.response_complete:
            on_reset()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: connections are the first to know."""
        ending = self.app_state.get(_ENDING)
        if isinstance(ending, Ending):
            ending.begin()
        super().shutdown()


def watch_reset(scope: "Scope", on_reset: Callable[[], None]) -> None:
    """Have `on_reset` called when the connection is reset before another request comes over it."""
    scope["state"][_ON_RESET] = on_reset
