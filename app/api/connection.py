"""Watches whether the caller is still there: while his pictures are made, and when the last byte is sent."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from app.api.dependencies import Images
from app.generation.types import Answer

_T = TypeVar("_T")


class Farewell:
    """Notes at the end of an answer whether it was delivered; `answer` is kept where it was not."""

    def __init__(self, images: Images, request_id: str, answer: Answer | None = None) -> None:
        self._images, self._request_id, self._answer = images, request_id, answer
        self._gone = False

    async def look(self, receive: Receive) -> None:
        """Look once at the connection, before the last piece; afterwards the server calls every connection ended."""
        self._gone = await _is_gone(receive)

    def say(self) -> None:
        """Note what was seen."""
        self._images.leave(self._request_id, delivered=not self._gone, answer=self._answer)


async def or_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T | None:
    """The result of `work`, or None when the caller goes away first; then `work` is cancelled."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_until_gone(request.receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.wait({working})
        return None
    finally:
        watching.cancel()
        working.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _is_gone(receive: Receive) -> bool:
    """Whether the connection has been closed by now; does not wait."""
    watching = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if not watching.done():
        watching.cancel()
        return False
    return bool(watching.result()["type"] == "http.disconnect")
