"""Writes to the journal what happened, at once or as soon as the database takes it, in order for each request.

Nobody is kept from what it paid for because the database is away.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec

from app.database.errors import DatabaseUnavailableError
from app.database.transaction import Transaction
from app.database.writer import Writer
from app.observability.logs import get_logger

_logger = get_logger("jobs")
_FIRST_REPETITION_SECONDS, _LONGEST_REPETITION_SECONDS = 0.1, 5.0
"""How soon something is written again that the database did not take."""
_LONGEST_LAG_SECONDS = 5.0
_P = ParamSpec("_P")
_Act = Callable[[], Awaitable[None]]
_Work = Callable[Concatenate[Transaction, _P], None]


class WriteQueue:
    """What is still to be written, the last of each request. `patience` is in seconds."""

    def __init__(self, writer: Writer, patience: float = _LONGEST_LAG_SECONDS) -> None:
        self._writer = writer
        self._patience = patience
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._lagging: set[asyncio.Task[None]] = set()

    async def post(self, request_id: str, work: _Work[_P], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write rows now; later where the database does not take them."""
        await self.write(request_id, lambda: self._writer.post(work, *args, **kwargs))

    async def write(self, request_id: str, act: _Act) -> None:
        """As `post`, for what is more than rows."""
        # Behind what the database refused before: a lease that is released first would leave the costs unwritten.
        if self._writing.get(request_id) not in self._lagging:
            try:
                await act()
            except DatabaseUnavailableError:
                pass
            else:
                return
        self._lagging.add(self.enqueue(request_id, act))

    def post_later(self, request_id: str, work: _Work[_P], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write rows in the background."""
        self.enqueue(request_id, lambda: self._writer.post(work, *args, **kwargs))

    def post_patiently(self, request_id: str, work: _Work[_P], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write rows in the background that are not worth a commit of their own."""
        self.enqueue(request_id, lambda: self._writer.post_patiently(work, *args, **kwargs))

    def enqueue(self, request_id: str, act: _Act) -> asyncio.Task[None]:
        """Write in the background until it succeeds, after everything else that is to be written of this request."""
        # Each write waits for the one before it of the same request: an end must not overtake a cost or a departure
        # (0051).
        task = asyncio.create_task(self._repeat(request_id, act, self._writing.get(request_id)))
        self._writing[request_id] = task
        task.add_done_callback(lambda _: self._forget(request_id, task))
        return task

    @property
    def has_backlog(self) -> bool:
        """Whether the database refused something that it has not taken since."""
        return bool(self._lagging)

    async def drain(self, request_id: str) -> None:
        """Wait for what is being written of a request."""
        task = self._writing.get(request_id)
        if task is not None:
            await asyncio.wait({task})

    def when_drained(self, request_id: str, act: Callable[[], None]) -> None:
        """Call `act` once everything that is to be written of a request by now is written; at once if it is."""
        task = self._writing.get(request_id)
        if task is None:
            act()
        else:
            task.add_done_callback(lambda _: act())

    async def flush(self) -> None:
        """Wait until the journal says all that has happened here, raising DatabaseUnavailableError where it takes long.

        Only what the database once refused is waited for: everything else is written before what is asked later.
        """
        if self._lagging:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    while self._lagging:
                        await asyncio.wait(list(self._writing.values()))
        if self._lagging:
            raise DatabaseUnavailableError

    async def close(self, seconds: float) -> None:
        """Wait so long for what is still to be written, then leave it to the process that finds it unfinished."""
        if self._writing:
            await asyncio.wait(self._writing.values(), timeout=seconds)
        # Safe to lose: the lease runs out, and a takeover finds the task at Runware (0059).
        for task in list(self._writing.values()):
            task.cancel()

    def _forget(self, request_id: str, task: asyncio.Task[None]) -> None:
        self._lagging.discard(task)
        if self._writing.get(request_id) is task:
            del self._writing[request_id]

    async def _repeat(self, request_id: str, act: _Act, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait({earlier})
        delay = _FIRST_REPETITION_SECONDS
        while True:
            try:
                await act()
            except DatabaseUnavailableError:
                _logger.warning("the journal does not take what is to be written; it is tried again", id=request_id)
                self._lagging.add(self._writing[request_id])  # itself, or what waits for it
                await asyncio.sleep(delay)
                # Never given up while the process lives: what it would write is paid for.
                delay = min(2 * delay, _LONGEST_REPETITION_SECONDS)
            except Exception:
                _logger.exception("unexpected fault while writing to the journal", id=request_id)
                return
            else:
                return
