"""One POST to Runware: the seam at which everything below the client is exchanged.

What matters about a failed one is whether Runware may have accepted the task, so that is what the errors say: never
sent, lost, or late. Leaves connections to `http_transport`, retries and meaning to `client`.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from app.runware.keys import RunwareKey
from app.runware.task_body import Body

MAX_BYTES = 1024 * 1024
"""Of an answer that carries no image."""


Permit = Callable[[], Awaitable[None] | None]
"""Asked right before bytes leave, connected or not; raises where they may not leave any more. None is a yes at once,
else there is something to be waited for, which raises the same."""


class TransportError(Exception):
    """The exchange had no answer. `outcome` is its name among the attempts of a request."""

    outcome = "lost"


class NotSentError(TransportError):
    """No byte of the request left this process: Runware has not seen it."""

    outcome = "not_sent"


class NotTriedError(NotSentError):
    """There was no place for another connection in time, or no permission: that says nothing of Runware."""


class LostError(TransportError):
    """The connection broke after the request may have been sent, or what came back is no answer."""


class LateError(TransportError):
    """No answer within the time given; the task may be running."""

    outcome = "late"


class HTTPReply(Struct, frozen=True):
    """An answer. `retry_after` is in seconds, when the header gives them.

    `is_cut` says that it was larger than asked for: then there is no body.
    """

    status: int
    body: bytes | bytearray
    retry_after: float | None
    is_cut: bool = False


class Transport(Protocol):
    """Anything that can carry a body to Runware and an answer back."""

    async def post(
        self,
        body: Body,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = MAX_BYTES,
        permit: Permit | None = None,
    ) -> HTTPReply:
        """Send `body`, raising NotSentError, LostError or LateError when no answer comes, or what `permit` raises.

        Without a key Runware refuses it, which shows all the same that Runware is there.
        An answer of more than `max_bytes`, once unpacked, is not read to its end.
        """
        ...

    async def close(self) -> None:
        """Give back all connections."""
        ...
