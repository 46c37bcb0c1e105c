"""A request's place among the bytes in flight: taken before its body is read, given back when its answer is sent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.access.admission import Ticket
from app.access.memory import MemoryBudget
from app.domain.request import ImageRequest, UploadedImage
from app.errors import OverloadedError
from app.server.delivery import has_left

_LOOK_SECONDS = 0.5
"""How often it is looked whether a caller is still there."""
_JSON_COPIES = 3
"""While JSON with base64 is read there are its text, the text of its images, and their bytes."""


class HoldingResponse(Response):
    """An answer that gives a place back when it has been sent, or could not be."""

    def __init__(self, response: Response, ticket: Ticket) -> None:
        self._response, self._ticket = response, ticket
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await self._response(scope, receive, send)
        finally:
            # Not earlier: a slow reader holds the answer in memory until its last byte.
            self._ticket.release()


@asynccontextmanager
async def admit_body(
    request: Request, memory: MemoryBudget, tenant: str, *, limit: int, wait: float
) -> AsyncIterator[Ticket]:
    """A place for the body of `request`, waited for up to `wait` seconds while it is unread.

    The place is given back only when the block fails: otherwise it goes with the answer. Raises OverloadedError.
    """
    ticket = memory.take_body(tenant, _weigh(request, limit))
    try:
        await _wait_turn(request, ticket, wait)
        yield ticket
    except BaseException:
        ticket.release()
        raise


async def _wait_turn(request: Request, ticket: Ticket, wait: float) -> None:
    """Wait as long as the caller does, raising OverloadedError afterwards."""
    if not ticket.waits:
        return
    until = time.monotonic() + wait
    turn = asyncio.ensure_future(ticket.wait_turn())
    try:
        while not turn.done():
            if time.monotonic() >= until or has_left(request.scope):
                raise OverloadedError
            await asyncio.wait({turn}, timeout=_LOOK_SECONDS)
    finally:
        turn.cancel()


def weigh_images(understood: ImageRequest) -> int:
    """Bytes of images that came with a request."""
    images = [*understood.images, understood.mask, understood.markup]
    return sum(len(image.data) for image in images if isinstance(image, UploadedImage))


def _weigh(request: Request, limit: int) -> int:
    """What reading a body takes; one that does not say how large it is may be as large as any."""
    announced = request.headers.get("content-length", "")
    is_sized = announced.isdecimal() and "content-encoding" not in request.headers
    size = min(int(announced), limit) if is_sized else limit
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/")
    return size if is_form else size * _JSON_COPIES
