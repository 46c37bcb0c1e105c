"""HTTP over a connection that tells when an answer was sent but never read.

A peer that closes with unread data resets its connection; one that has read everything ends it in peace. The server's
own protocol knows the difference and hides it from applications; this one passes it on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from starlette.types import Scope

_ON_RESET = "on_reset"


class AttentiveProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which calls back when the connection is reset after the last answer was sent."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever wants to know, once."""
        scope = cast("Scope | None", self.scope)  # there is none before the first request
        on_reset = scope.get("state", {}).pop(_ON_RESET, None) if scope is not None else None
        if exc is not None and on_reset is not None and self.cycle.response_complete:
            on_reset()
        super().connection_lost(exc)


def watch_reset(scope: "Scope", on_reset: Callable[[], None]) -> None:
    """Have `on_reset` called when the connection is reset before another request comes over it."""
    scope["state"][_ON_RESET] = on_reset
