"""Watches whether the caller is still there: while his pictures are made, and when the last byte is sent."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from app.api.dependencies import Images
from app.api.protocol import watch
from app.generation.types import Answer
from app.journal.records import Parting

_T = TypeVar("_T")
_SILENCE_SECONDS = 5.0
"""A connection that was not reset for so long carried the whole answer."""


class Farewell:
    """Notes at the end of an answer how its caller went; `answer` is kept where he did not get it.

    `parting` is what a good end means. An answer with pictures counts as delivered once the connection goes on or ends
    in peace, or stays silent for a while: a caller who closes without having read it resets the connection.
    """

    def __init__(
        self,
        images: Images,
        request_id: str,
        answer: Answer | None = None,
        parting: Parting = Parting.DELIVERED,
    ) -> None:
        self._images, self._request_id, self._answer, self._parting = images, request_id, answer, parting
        self._gone = False

    async def look(self, receive: Receive) -> None:
        """Look once at the connection, before the last piece; afterwards the server calls every connection ended."""
        self._gone = await _is_gone(receive)

    def lacks(self) -> None:
        """The caller is known to go without all of it."""
        self._gone = True

    def say(self, scope: Scope) -> None:
        """Note what was seen."""
        if self._gone:
            self._images.leave(self._request_id, Parting.BROKEN, self._answer)
        elif self._parting is Parting.DELIVERED:
            watch(scope, _Delivery(self._images, self._request_id))
        else:
            self._images.leave(self._request_id, self._parting)


class _Delivery:
    """What becomes of an answer that was sent; it does not hold the answer, which may be large."""

    def __init__(self, images: Images, request_id: str) -> None:
        self._images, self._request_id = images, request_id
        self._noted = False
        self._timer = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self.arrived)

    def arrived(self) -> None:
        """The caller has it."""
        if not self._noted:
            self._noted = True
            self._timer.cancel()
            self._images.leave(self._request_id, Parting.DELIVERED)

    def lost(self) -> None:
        """The caller does not have it, even where silence was taken for a good sign."""
        if not self._noted:
            self._noted = True
            self._timer.cancel()
            self._images.leave(self._request_id, Parting.BROKEN)
        self._images.undeliver(self._request_id)


async def or_gone(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T | None:
    """The result of `work`, or None when the caller goes away first; then `work` is cancelled."""
    working = asyncio.current_task()
    gone = False

    async def watch_caller() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if working is not None:
            working.cancel()

    watching = asyncio.create_task(watch_caller())
    try:
        return await work
    except asyncio.CancelledError:
        if gone and working is not None and not working.uncancel():
            return None
        raise
    finally:
        watching.cancel()


async def _is_gone(receive: Receive) -> bool:
    """Whether the connection has been closed by now; does not wait."""
    watching = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    if not watching.done():
        watching.cancel()
        return False
    return bool(watching.result()["type"] == "http.disconnect")
