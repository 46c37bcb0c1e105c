"""Knows when requests end that run in other processes: one question for all who wait here, however many they are.

On PostgreSQL an end is also heard of at once. Leaves to `waiting` what is done with it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

from app.database.errors import DatabaseUnavailableError
from app.database.listener import EndListener
from app.journal.history import History
from app.observability.logs import get_logger

_logger = get_logger("jobs")
_POLL_SECONDS = 0.25
"""How often all are asked for where nobody tells."""
_LISTENING_POLL_SECONDS = 2.0
"""The same where ends are heard of: only what was said while the connection was down is found by it."""


class EndWatch:
    """Those who wait, by request. `clock` is monotonic seconds."""

    def __init__(self, history: History, listener: EndListener, clock: Callable[[], float] = time.monotonic) -> None:
        self._history = history
        self._listener = listener
        self._clock = clock
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._fresh: set[str] = set()
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def wait_for_end(self, request_id: str, seconds: float) -> None:
        """Wait until a request has ended or is deleted, at most so long; it may also have been a false alarm."""
        ended = asyncio.Event()
        self._waiting.setdefault(request_id, set()).add(ended)
        # Asked for at once: it may have ended after it was read and before it is listened for (0088).
        self._fresh.add(request_id)
        self._arrived.set()
        self._start()
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), seconds)
        finally:
            self._waiting[request_id].discard(ended)
            if not self._waiting[request_id]:
                del self._waiting[request_id]

    def stop(self) -> None:
        """Ask and listen no more."""
        for task in self._tasks:
            task.cancel()

    def _start(self) -> None:
        # With the first who waits: most processes never need a session for it.
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._look_regularly()),
                asyncio.create_task(self._listener.listen(self._wake)),
            ]

    async def _look_regularly(self) -> None:
        looked = self._clock()
        while True:
            self._arrived.clear()
            poll = _LISTENING_POLL_SECONDS if self._listener.is_listening else _POLL_SECONDS
            if self._clock() - looked >= poll:
                looked = self._clock()
                self._fresh = set(self._waiting)
            fresh, self._fresh = self._fresh & self._waiting.keys(), set()
            if fresh:
                await self._look_for(fresh)
            with contextlib.suppress(TimeoutError):
                # While nobody waits nothing is asked, and nothing wakes this up.
                remaining = looked + poll - self._clock() if self._waiting else None
                await asyncio.wait_for(self._arrived.wait(), remaining)

    async def _look_for(self, request_ids: set[str]) -> None:
        try:
            still_open = await self._history.find_open(request_ids)
        except DatabaseUnavailableError:
            return  # the next look may be answered, and waiting on is safe
        except Exception:  # one odd row must not keep all who wait from ever hearing of an end
            _logger.exception("the ends of requests elsewhere cannot be looked for")
            return
        for request_id in request_ids - still_open:
            self._wake(request_id)

    def _wake(self, request_id: str) -> None:
        for ended in self._waiting.get(request_id, ()):
            ended.set()
