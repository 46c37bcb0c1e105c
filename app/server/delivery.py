"""Watches whether the caller is still there: while its images are made, and when the last byte is sent.

What a delivery or a loss means is the business of the receipt it is given.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar, cast

from starlette.types import Receive, Scope

from app.server.protocol import DeliveryListener, watch

_T = TypeVar("_T")
_TRANSPORT = "transport"
_ENDED_STATES = frozenset({7, 8})
"""TCP_CLOSE and TCP_CLOSE_WAIT of the kernel's `tcp_info`."""


class AnswerReceipt(Protocol):
    """Learns how the sending of one answer ended; one of the two is called, once."""

    def lost(self) -> None:
        """The caller went without all of it."""
        ...

    def sent(self) -> DeliveryListener | None:
        """All of it was sent. Returns who wants to know whether it was read, if anybody does."""
        ...


class DeliveryTracker:
    """Notes at the end of an answer how its caller went."""

    def __init__(self, receipt: AnswerReceipt) -> None:
        self._receipt = receipt
        self._gone = False

    async def look(self, receive: Receive) -> None:
        """Look once at the connection, before the last piece; afterwards the server calls every connection ended."""
        self._gone = await _is_gone(receive)

    def lacks(self) -> None:
        """The caller is known to go without all of it."""
        self._gone = True

    def say(self, scope: Scope) -> None:
        """Settle the receipt: lost, or sent, with whoever wants to know whether it was read."""
        if self._gone:
            self._receipt.lost()
        elif (listener := self._receipt.sent()) is not None:
            watch(scope, listener)


def note_connection(state: dict[str, object], transport: asyncio.Transport) -> None:
    """Let `has_left` look at the connection of a request."""
    state[_TRANSPORT] = transport


def has_left(scope: Scope) -> bool:
    """Whether the caller ended its connection, also while its body lies unread and the server would not notice.

    False where the system does not say, as while more was sent than its buffers hold: the end comes behind that.
    """
    transport = cast("asyncio.Transport | None", scope["state"].get(_TRANSPORT))
    if transport is None:
        return False
    if transport.is_closing():
        return True
    try:
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as own:
            return own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ENDED_STATES
    except (OSError, AttributeError):
        return False


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T | None:
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
        # In the request's own task: a task of its own for each request would cost more than the watch.
        return await work
    except asyncio.CancelledError:
        # Only our own cancellation is turned into None; one from the server's shutdown must go on (uncancel counts
        # them).
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
