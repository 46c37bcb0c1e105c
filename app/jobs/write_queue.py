"""Writes to the journal what happened, at once or as soon as the database takes it, in order for each request.

Nobody is kept from what it paid for because the database is away.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Concatenate, ParamSpec

from msgspec import Struct

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


class _Handed(Struct, eq=False):
    """What the writer was handed as the only thing that is to be written of a request."""

    request_id: str
    act: _Act
    """Does it once more."""
    done: asyncio.Future[None] | None = None
    """For those who wait for it, where anybody does."""


class WriteQueue:
    """What is still to be written, the last of each request. `patience` is in seconds."""

    def __init__(self, writer: Writer, patience: float = _LONGEST_LAG_SECONDS) -> None:
        self._writer = writer
        self._patience = patience
        self._writing: dict[str, asyncio.Future[None]] = {}
        self._handed: dict[str, _Handed] = {}
        """What the writer has and nobody waits for; never of a request of which something is in `_writing`."""
        self.lagging: set[asyncio.Future[None]] = set()
        """What the database refused and has not taken since."""

    async def post(self, request_id: str, work: _Work[_P], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write rows now; later where the database does not take them."""
        # Behind what the database refused before: a lease that is released first would leave the costs unwritten.
        if self._writing.get(request_id) not in self.lagging:
            try:
                await self._writer.post(work, *args, **kwargs)
            except DatabaseUnavailableError:
                pass
            else:
                return
        self.lagging.add(self.enqueue(request_id, partial(self._writer.post, work, *args, **kwargs)))

    async def write(self, request_id: str, act: _Act) -> None:
        """As `post`, for what is more than rows."""
        if self._writing.get(request_id) not in self.lagging:
            try:
                await act()
            except DatabaseUnavailableError:
                pass
            else:
                return
        self.lagging.add(self.enqueue(request_id, act))

    def post_later(self, request_id: str, work: _Work[_P], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write rows in the background."""
        act = partial(self._writer.post, work, *args, **kwargs)
        if request_id in self._writing or request_id in self._handed:
            self.enqueue(request_id, act)
        else:
            handed = self._handed[request_id] = _Handed(request_id, act)
            self._writer.submit(partial(self._told, handed), work, *args, **kwargs)

    def post_patiently(self, request_id: str, work: _Work[_P], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Write rows in the background that are not worth a commit of their own."""
        act = partial(self._writer.post_patiently, work, *args, **kwargs)
        if request_id in self._writing or request_id in self._handed:
            self.enqueue(request_id, act)
        else:
            handed = self._handed[request_id] = _Handed(request_id, act)
            self._writer.submit_patiently(partial(self._told, handed), work, *args, **kwargs)

    def enqueue(self, request_id: str, act: _Act) -> asyncio.Task[None]:
        """Write in the background until it succeeds, after everything else that is to be written of this request."""
        # Each write waits for the one before it of the same request: an end must not overtake a cost or a departure
        # (0051).
        task = asyncio.create_task(self._repeat(request_id, act, after=self._awaited(request_id)))
        self._writing[request_id] = task
        task.add_done_callback(partial(self._forget, request_id))
        return task

    async def drain(self, request_id: str) -> None:
        """Wait for what is being written of a request."""
        writing = self._awaited(request_id)
        if writing is not None:
            await asyncio.wait({writing})

    def when_drained(self, request_id: str, act: Callable[[], None]) -> None:
        """Call `act` once everything that is to be written of a request by now is written; at once if it is."""
        writing = self._awaited(request_id) if request_id in self._handed else self._writing.get(request_id)
        if writing is None:
            act()
        else:
            writing.add_done_callback(lambda _: act())

    async def flush(self) -> None:
        """Wait until the journal says all that has happened here, raising DatabaseUnavailableError where it takes long.

        Only what the database once refused is waited for: everything else is written before what is asked later.
        """
        if self.lagging:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    while self.lagging:
                        await asyncio.wait(list(self._writing.values()))
        if self.lagging:
            raise DatabaseUnavailableError

    async def close(self, seconds: float) -> None:
        """Wait so long for what is still to be written, then leave it to the process that finds it unfinished."""
        for request_id in list(self._handed):
            self._awaited(request_id)
        if self._writing:
            await asyncio.wait(list(self._writing.values()), timeout=seconds)
        # Safe to lose: the lease runs out, and a takeover finds the task at Runware (0059).
        for writing in list(self._writing.values()):
            writing.cancel()

    def _awaited(self, request_id: str) -> asyncio.Future[None] | None:
        """The end of what is being written of a request, None where nothing is."""
        # Most rows are taken at once and waited for by nobody: a future for each would cost more than the writing.
        handed = self._handed.pop(request_id, None)
        if handed is not None:
            handed.done = self._writing[request_id] = asyncio.get_running_loop().create_future()
        return self._writing.get(request_id)

    def _told(self, handed: _Handed, error: Exception | None) -> None:
        """The writer has written what it was handed, or could not."""
        if error is None and handed.done is None:
            del self._handed[handed.request_id]
            return
        done = handed.done or self._awaited(handed.request_id)
        assert done is not None  # noqa: S101 - what was handed over and has not ended can be waited for
        if isinstance(error, DatabaseUnavailableError) and not done.cancelled():
            self._note_refusal(handed.request_id)
            self._repeat_for(done, handed)
            return
        if error is not None and not isinstance(error, DatabaseUnavailableError):
            _logger.error("unexpected fault while writing to the journal", id=handed.request_id, exc_info=error)
        self._end(handed.request_id, done)

    def _repeat_for(self, done: asyncio.Future[None], handed: _Handed) -> None:
        """Whoever waits for the one waits for the other, also at the end of all."""
        task = asyncio.create_task(self._repeat(handed.request_id, handed.act, pause=_FIRST_REPETITION_SECONDS))
        task.add_done_callback(lambda _: self._end(handed.request_id, done))
        done.add_done_callback(lambda _: task.cancel())

    def _end(self, request_id: str, done: asyncio.Future[None]) -> None:
        self._forget(request_id, done)
        if not done.done():
            done.set_result(None)

    def _forget(self, request_id: str, done: asyncio.Future[None]) -> None:
        self.lagging.discard(done)
        if self._writing.get(request_id) is done:
            del self._writing[request_id]

    def _note_refusal(self, request_id: str) -> None:
        _logger.warning("the journal does not take what is to be written; it is tried again", id=request_id)
        self.lagging.add(self._writing[request_id])  # itself, or what waits for it

    async def _repeat(
        self, request_id: str, act: _Act, *, after: asyncio.Future[None] | None = None, pause: float = 0.0
    ) -> None:
        if after is not None:
            await asyncio.wait({after})
        if pause:
            await asyncio.sleep(pause)
        delay = 2 * pause or _FIRST_REPETITION_SECONDS
        while True:
            try:
                await act()
            except DatabaseUnavailableError:
                self._note_refusal(request_id)
                await asyncio.sleep(delay)
                # Never given up while the process lives: what it would write is paid for.
                delay = min(2 * delay, _LONGEST_REPETITION_SECONDS)
            except Exception:
                _logger.exception("unexpected fault while writing to the journal", id=request_id)
                return
            else:
                return
