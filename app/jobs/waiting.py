"""Waits for the end of a request, wherever it runs, as long as its caller does."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from app.database.errors import DatabaseUnavailableError
from app.domain.answer import Answer
from app.errors import StillProcessingError, UnavailableError
from app.jobs.claiming import Books
from app.jobs.leases import LeaseLostError
from app.jobs.result_store import ResultStore, needs_refetch
from app.journal.records import Record

_POLL_SECONDS = 0.25
"""How often work of another process is looked at."""


class Waiting:
    """Whoever waits here. `work_of` gives the running work of a request; `clock` is monotonic seconds."""

    def __init__(
        self,
        books: Books,
        results: ResultStore,
        work_of: Callable[[str], asyncio.Task[Answer] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._books = books
        self._results = results
        self._work_of = work_of
        self._clock = clock
        self._callers: Counter[str] = Counter()

    def somebody_waits(self, request_id: str) -> bool:
        """Whether the end of this request is waited for here."""
        return self._callers[request_id] > 0

    async def join(self, record: Record, wait: float, *, is_first: bool = False) -> Answer:
        """The end of a request, raising the GatewayError it ended with, StillProcessingError after `wait` seconds.

        The first caller is told at once where its request is left to whoever takes it over; all others wait on.
        """
        until = self._clock() + wait
        running = self._work_of(record.id)
        if running is not None:
            try:
                return await self._end_of(record.id, running, wait)
            except LeaseLostError:  # this process stood still, and another one has the request now
                record = await self._look(record)
            except StillProcessingError:
                if is_first or self._clock() >= until:
                    raise
                record = await self._look(record)
        while not record.status.final or needs_refetch(record):
            if record.status.final:
                record = await self._have_brought(record)
            if self._clock() >= until:
                raise StillProcessingError
            await asyncio.sleep(_POLL_SECONDS)
            record = await self._look(record)
        return await self._results.replay(record)

    async def _have_brought(self, record: Record) -> Record:
        """Have images that nobody kept brought from Runware again, unless they are being kept right now."""
        # An upload in progress ends sooner than a fetch from Runware.
        await self._books.receipts.stored(record.id)
        record = await self._look(record)
        if needs_refetch(record):
            # One caller is this one. With more, somebody is receiving the same answer right now, and the images with
            # it.
            reopen = self._books.journal.outcomes.reopen
            await self._books.queue.post(record.id, reopen, record, callers=1)
            self._books.keeper.wake()
        return record

    async def _look(self, record: Record) -> Record:
        """The record anew; the old one while the database is away, since waiting on is safe."""
        try:
            found = await self._books.journal.history.find_request(record.id)
        except DatabaseUnavailableError:
            # The wait goes on; the database may answer the next look.
            return record
        if found is None:
            message = "The request could not be written down, and nothing was sent. Send it again."
            raise UnavailableError(message, code="not_started", retry_after=1, should_retry=True)
        return found

    async def _end_of(self, request_id: str, running: asyncio.Task[Answer], wait: float) -> Answer:
        self._callers[request_id] += 1
        try:
            done, _ = await asyncio.wait({running}, timeout=max(wait, 0))
        finally:
            self._callers[request_id] -= 1
            if not self._callers[request_id]:
                del self._callers[request_id]
        if not done or running.cancelled():
            raise StillProcessingError
        return running.result()
