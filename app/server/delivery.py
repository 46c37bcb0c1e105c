"""Watches whether the caller is still there: while its images are made, and when the last byte is sent.

What a delivery or a loss means for a request is not known here.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from app.server.state import state_of

_T = TypeVar("_T")
_ENDED_STATES = frozenset({7, 8})
"""TCP_CLOSE and TCP_CLOSE_WAIT of the kernel's `tcp_info`."""


def has_left(scope: Scope) -> bool:
    """Whether the caller ended its connection, also while its body lies unread and the server would not notice.

    False where the system does not say, as while more was sent than its buffers hold: the end comes behind that.
    """
    transport = state_of(scope).transport
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
