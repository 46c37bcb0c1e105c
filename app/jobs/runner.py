"""Has requests carried out apart from their callers: each is claimed first, runs to its end, and is settled.

A caller waits as long as it says and may return; a caller that asks again joins the same work. Leaves the way of each
request to `carrier`, the making of images to the executor, what is durable to the journal, and kept images to
`result_store`.
"""

import asyncio
import time
from collections.abc import Callable

from app.access.gates import Gates
from app.database.errors import DatabaseUnavailableError
from app.domain.outcome import Outcome
from app.errors import JournalError
from app.jobs.carrier import Carrier
from app.jobs.claiming import Books, Claimer, to_intent
from app.jobs.entry import Accepted, Entry
from app.jobs.eraser import Eraser
from app.jobs.execution import JobExecution
from app.jobs.job import Executor, RunningJobs, Wakeable, as_replay
from app.jobs.leases import LeaseKeeper, Moment
from app.jobs.memory import KeyMemory
from app.jobs.receipts import DeliveryReceipts
from app.jobs.result_store import Endings, ResultStore, needs_refetch
from app.jobs.tally import Tally
from app.jobs.waiting import Waiting
from app.jobs.write_queue import WriteQueue
from app.journal.journal import Journal
from app.journal.records import Receipt, Record
from app.observability.logs import get_logger
from app.planning.fingerprint import TaskIds
from app.planning.prepared import Prepared

_logger = get_logger("jobs")
_SHORTEST_GOODBYE_SECONDS = 1.0
"""What is left to the last writes at shutdown, however long the work took."""


class JobRunner:
    """All work this process does, and the way to that of others. `clock` is monotonic seconds."""

    def __init__(  # noqa: PLR0913 - built in one place, app/main.py, and what it remembers has a bound of its own
        self,
        journal: Journal,
        results: ResultStore,
        keeper: LeaseKeeper,
        executor: Executor,
        memory: KeyMemory | None = None,
        *,
        gates: Gates,
        task_ids: TaskIds,
        webhooks: Wakeable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._keeper = keeper
        self._counts = Tally(gates.metrics)
        self._clock = clock
        self._running: RunningJobs = {}
        self._queue = WriteQueue(journal.writer)
        self._memory = memory or KeyMemory(clock=clock)
        self.eraser = Eraser(journal, results, self._memory)
        self.receipts = DeliveryReceipts(journal, results, self._queue, keeper, self._running)
        books = Books(journal, keeper, self._queue, self.receipts)
        self._waiting = Waiting(books, results, clock)
        execution = JobExecution(
            journal.outcomes,
            self._queue,
            Endings(journal.outcomes, results, keeper, self._queue, self._memory),
            results,
            self._waiting,
            webhooks,
            gates.meters,
            self._counts,
        )
        claimer = Claimer(books, gates, results, clock)
        self._carrier = Carrier(books, claimer, executor, execution, self._memory, task_ids, self._running)

    def start(self) -> None:
        """Renew the leases of what runs here, without which other processes would take it over."""
        self._keeper.loop.start()

    async def carry_out(self, prepared: Prepared, seconds: float) -> Outcome:
        """How the request ends, or that it has not ended after so many seconds, raising what `accept` does.

        As `accept` and `wait_for`, for a caller that needs to know only the end: it is woken once.
        """
        until = self._clock() + seconds
        # Refused at once: behind a locked database a waiting claim only holds memory and cannot be sent (0043).
        if self._journal.writer.is_behind:
            return await self.wait_for(self._remembered(prepared), seconds)
        entry = self._carrier.enter(prepared, waits=True)
        timer = asyncio.get_running_loop().call_later(seconds, entry.end_wait)
        try:
            outcome = await entry.caller
        except asyncio.CancelledError:
            self._carrier.note_departure(entry)
            raise
        except JournalError:
            entry.accepted, outcome = self._remembered(prepared), None
        finally:
            timer.cancel()
        if outcome is not None:
            return outcome
        return await self.wait_for(_accepted(entry), until - self._clock())

    async def accept(self, prepared: Prepared) -> Accepted:
        """Claim the request and begin its work where it is new, raising what keeps it from being claimed."""
        if self._journal.writer.is_behind:
            return self._remembered(prepared)
        entry = self._carrier.enter(prepared, waits=False)
        try:
            await entry.caller
        except asyncio.CancelledError:
            self._carrier.note_departure(entry)
            raise
        except JournalError:
            return self._remembered(prepared)
        return _accepted(entry)

    def _remembered(self, prepared: Prepared) -> Accepted:
        """What the key of the request led to in this process, raising JournalError where it led to nothing yet.

        Nothing is bought without the journal, but what was bought is given again (0142).
        """
        intent = to_intent(prepared)
        record = self._memory.find(intent)
        running = None if record is None else self._running.get(record.id)
        if record is None or (running is None and (not record.status.final or needs_refetch(record))):
            raise JournalError
        self._keeper.add_caller(record.id)
        self._counts.count_joined(record, has_key=True)
        # Under another name than the claim that failed: taking that back must not take back this.
        self._queue.post_later(record.id, self._journal.claims.rejoin, record.id, f"{intent.request_id}-2")
        return Accepted(record, is_new=False, is_replay=True, running=running)

    async def wait_for(self, accepted: Accepted, seconds: float) -> Outcome:
        """How an accepted request ends, or that it has not ended after so many seconds."""
        try:
            outcome = await self._waiting.join(
                accepted.record, seconds, running=accepted.running, is_first=accepted.is_new
            )
        except asyncio.CancelledError:
            self.receipts.acknowledge(accepted.record.id, Receipt.LOST)
            raise
        return as_replay(outcome) if accepted.is_replay else outcome

    async def join(self, record: Record, seconds: float) -> Outcome:
        """How a request ends that was asked for by its id."""
        return await self._waiting.join(record, seconds, running=self._running.get(record.id))

    def resume(self, record: Record, asked: Moment) -> None:
        """Find out what became of work that another process left; its lease was taken by a question of this moment."""
        self._carrier.resume(record, asked)

    async def rejoin(self, request_id: str, by: str) -> None:
        """Note that a caller collects the answer with the call `by`, before it is sent."""
        await self._journal.writer.post(self._journal.claims.rejoin, request_id, by)
        self._keeper.add_caller(request_id)

    async def close(self, grace: float) -> None:
        """Let what runs end within `grace` seconds; the rest is left to the process that starts next."""
        until = self._clock() + grace
        if self._running:
            await asyncio.wait([running.task for running in self._running.values()], timeout=grace)
        # Taken before they are cancelled: they are released at the end, so that the next process need not wait for them
        # to run out.
        unfinished = [running.job.lease for running in self._running.values()]
        for running in list(self._running.values()):
            running.task.cancel()
        await self._queue.close(max(until - self._clock(), _SHORTEST_GOODBYE_SECONDS))
        self._keeper.loop.stop()
        self._waiting.stop()
        try:
            await self._keeper.release_all(unfinished)
        except DatabaseUnavailableError:
            _logger.warning("leases cannot be released; they end by themselves", count=len(unfinished))


def _accepted(entry: Entry) -> Accepted:
    """What the caller of an entry was told that is no end."""
    accepted = entry.accepted
    assert accepted is not None  # noqa: S101 - set before a caller is told so
    return accepted
