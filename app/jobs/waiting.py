"""Waits for the end of a request, wherever it runs, as long as its caller does."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from app.database.errors import DatabaseUnavailableError
from app.domain.outcome import Failed, Outcome, Unresolved
from app.errors import GatewayError, UnavailableError
from app.jobs.claiming import Books
from app.jobs.end_watch import EndWatch
from app.jobs.job import RunningJob
from app.jobs.result_store import ImagesMissingError, ResultStore, needs_refetch
from app.journal.records import Record

_ANY_CALLERS = 2**31 - 1
_PAUSE_SECONDS = 0.25
"""How soon an answer is looked at again whose images are nowhere."""


class Waiting:
    """The callers that wait here. `clock` is monotonic seconds."""

    def __init__(
        self,
        books: Books,
        results: ResultStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._books = books
        self._results = results
        self._clock = clock
        self._ends = EndWatch(books.journal.history, books.journal.listener, clock)
        self._callers: Counter[str] = Counter()

    def stop(self) -> None:
        """Ask for nothing more that ends elsewhere."""
        self._ends.stop()

    def somebody_waits(self, request_id: str) -> bool:
        """Whether the end of this request is waited for here."""
        return request_id in self._callers

    async def join(self, record: Record, wait: float, *, running: RunningJob | None, is_first: bool = False) -> Outcome:
        """How a request ended, or that this is unknown after `wait` seconds; `running` is its work where that is here.

        The first caller learns at once that its request is left to a takeover; all others wait on.
        """
        until = self._clock() + wait
        if running is not None:
            outcome = await self._end_of(running, wait)
            waits_on = isinstance(outcome, Unresolved) and not is_first and self._clock() < until
            if outcome is not None and not waits_on:
                return outcome
        try:
            return await self._find_end(record, until, looks_first=running is not None)
        except GatewayError as error:
            return Failed(record.id, error)

    async def _find_end(self, record: Record, until: float, *, looks_first: bool) -> Outcome:
        """How a request ended that runs, or ran, elsewhere."""
        if looks_first:
            record = await self._look(record)
        while True:
            if needs_refetch(record):
                record = await self._have_refetched(record)
            if record.status.final and not needs_refetch(record):
                try:
                    return await self._results.replay(record)
                except ImagesMissingError:
                    record = await self._reopened(record)
            remaining = until - self._clock()
            if remaining <= 0:
                return Unresolved(record.id)
            if record.status.final:  # about to be reopened, or somebody is receiving it
                await asyncio.sleep(min(_PAUSE_SECONDS, remaining))
            else:
                await self._ends.wait_for_end(record.id, remaining)
            record = await self._look(record)

    async def _have_refetched(self, record: Record) -> Record:
        """Have images that nobody stored fetched from Runware again, unless they are being stored right now."""
        # An upload in progress ends sooner than a fetch from Runware.
        await self._books.receipts.stored(record.id)
        record = await self._look(record)
        return await self._reopened(record) if needs_refetch(record) else record

    async def _reopened(self, record: Record) -> Record:
        # One caller is this one. With more, somebody is receiving the same answer right now, and the images with it;
        # unless it was received or stored before: then all of them wait for the same images.
        is_first_time = record.delivered_at is None and not record.images_kept
        callers = 1 if is_first_time else _ANY_CALLERS
        await self._books.queue.post(record.id, self._books.journal.outcomes.reopen, record, callers=callers)
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

    async def _end_of(self, running: RunningJob, wait: float) -> Outcome | None:
        """How work ends that runs here; None where another process has it by now."""
        request_id = running.job.request_id
        self._callers[request_id] += 1
        try:
            done, _ = await asyncio.wait({running.task}, timeout=max(wait, 0))
        finally:
            self._callers[request_id] -= 1
            if not self._callers[request_id]:
                del self._callers[request_id]
        if not done or running.task.cancelled():
            return Unresolved(request_id)
        return running.task.result()
