"""Carries requests out apart from their callers: each is claimed first, runs to its end, and is settled.

A caller waits as long as it says and may return; a caller that asks again joins the same work. Leaves the making of
images to the executor, what is durable to the journal, and kept images to `result_store`.
"""

import asyncio
import time
from collections.abc import Callable

from msgspec import Struct

from app.access.admission import Ticket
from app.access.gates import Gates
from app.database.errors import DatabaseUnavailableError
from app.domain.outcome import Outcome, Unresolved
from app.domain.values import replace
from app.errors import JournalError
from app.jobs.claiming import Books, Claimer, to_intent
from app.jobs.eraser import Eraser
from app.jobs.execution import JobExecution
from app.jobs.job import Executor, Job, Parts, RunningJob, RunningJobs, Wakeable, as_replay
from app.jobs.leases import LeaseKeeper, Moment
from app.jobs.memory import KeyMemory
from app.jobs.receipts import DeliveryReceipts
from app.jobs.result_store import Endings, ResultStore, needs_refetch
from app.jobs.tally import Tally
from app.jobs.waiting import Waiting
from app.jobs.write_queue import WriteQueue
from app.journal.claims import Claim
from app.journal.journal import Journal
from app.journal.records import KeyExpiredError, Lease, Receipt, Record
from app.ledger.bill import Bill
from app.observability.logs import get_logger
from app.observability.tracing import piece_of, running_span
from app.planning.fingerprint import TaskIds
from app.planning.plan import with_ids
from app.planning.prepared import Prepared

_logger = get_logger("jobs")
_SHORTEST_GOODBYE_SECONDS = 1.0
"""What is left to the last writes at shutdown, however long the work took."""


class Accepted(Struct, frozen=True):
    """A request that is durable: its work has begun here, or it joins what was begun before."""

    record: Record
    is_new: bool
    is_replay: bool
    """The key of the request led to an earlier one."""
    running: RunningJob | None = None
    """Its work, where that is done here."""

    @property
    def parts(self) -> Parts | None:
        """The parts of its answer, where they can be listened to."""
        return None if self.running is None else self.running.job.parts


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
        self._gates = gates
        self._task_ids = task_ids
        self._counts = Tally(gates.metrics)
        self._clock = clock
        self._running: RunningJobs = {}
        self._entering: set[asyncio.Task[Outcome | None]] = set()
        """Held here, since the event loop holds no task; one that has begun its work is among the running too."""
        self._queue = WriteQueue(journal.writer)
        self._memory = memory or KeyMemory(clock=clock)
        self.eraser = Eraser(journal, results, self._memory)
        self.receipts = DeliveryReceipts(journal, results, self._queue, keeper, self._running)
        books = Books(journal, keeper, self._queue, self.receipts)
        self._claimer = Claimer(books, gates, results, clock)
        self._waiting = Waiting(books, results, clock)
        self._execution = JobExecution(
            executor,
            journal.outcomes,
            self._queue,
            Endings(journal.outcomes, results, keeper, self._queue, self._memory),
            results,
            self._waiting,
            webhooks,
            gates.meters,
            self._counts,
        )

    def start(self) -> None:
        """Renew the leases of what runs here, without which other processes would take it over."""
        self._keeper.loop.start()

    async def accept(self, prepared: Prepared) -> Accepted:
        """Claim the request and begin its work where it is new, raising what keeps it from being claimed."""
        # Refused at once: behind a locked database a waiting claim only holds memory and cannot be sent (0043).
        if self._journal.writer.is_behind:
            return self._remembered(prepared)
        try:
            return await self._claimed(prepared)
        except JournalError:
            return self._remembered(prepared)

    async def _claimed(self, prepared: Prepared) -> Accepted:
        # One task claims the request and carries it out. A commit cannot be called back when the caller leaves, so the
        # task goes on alone; it sees by the cancelled entry that nobody waits (0146).
        entry: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        entering = asyncio.create_task(self._enter(prepared, entry))
        self._entering.add(entering)
        entering.add_done_callback(self._entering.discard)
        try:
            return await entry
        except asyncio.CancelledError:
            # The claim was certain already, and its caller left in the moment before it heard of it.
            if not entry.cancelled() and entry.exception() is None:
                self.receipts.acknowledge(entry.result().record.id, Receipt.LOST)
            raise

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
        # The caller has left; the work goes on, since it may be paid already (0007).
        except asyncio.CancelledError:
            self.receipts.acknowledge(accepted.record.id, Receipt.LOST)
            raise
        return as_replay(outcome) if accepted.is_replay else outcome

    async def join(self, record: Record, seconds: float) -> Outcome:
        """How a request ends that was asked for by its id."""
        return await self._waiting.join(record, seconds, running=self._running.get(record.id))

    def resume(self, record: Record, asked: Moment) -> None:
        """Find out what became of work that another process left; its lease was taken by a question of this moment."""
        lease = Lease(record.id, record.fence)
        self._keeper.hold(lease, asked)
        self._counts.metrics.taken_over()
        # What was known to be paid stays known, even if a second look at Runware says less.
        job = Job(lease, Bill(record.costs), self._keeper)
        work = self._execution.run(record, job, Ticket(self._gates.admission, "", 0))
        self._note_running(job, asyncio.create_task(work))

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

    async def _enter(self, prepared: Prepared, entry: asyncio.Future[Accepted]) -> Outcome | None:
        """Claim the request, tell `entry` what that led to, and carry it out where it is new."""
        try:
            claimed, claim, ticket = await self._claim(prepared, entry)
            job = None if ticket is None else self._open_job(claim.record, claimed)
            self._tell(entry, claimed, claim)
        except asyncio.CancelledError:
            entry.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the caller's, if there is one yet
            if not entry.done():
                entry.set_exception(error)
            return None
        return None if job is None or ticket is None else await self._execution.run(claimed, job, ticket)

    def _open_job(self, record: Record, prepared: Prepared) -> Job:
        """The job of a new claim; the task that runs is the one that carries it out."""
        parts = Parts() if prepared.request.stream else None
        job = Job(Lease(record.id, record.fence), Bill(), self._keeper, parts)
        task: asyncio.Task[Outcome | None] | None = asyncio.current_task()
        assert task is not None  # noqa: S101 - called by `_enter` only, which is one
        self._note_running(job, task)
        return job

    def _tell(self, entry: asyncio.Future[Accepted], prepared: Prepared, claim: Claim) -> None:
        """Give the caller its claim, or note that it left before."""
        record = claim.record
        is_replay = not claim.is_new and prepared.context.idempotency_key is not None
        if not claim.is_new:
            self._counts.count_joined(record, has_key=is_replay)
        if entry.cancelled():
            self.receipts.acknowledge(record.id, Receipt.LOST)
        else:
            entry.set_result(Accepted(record, claim.is_new, is_replay, self._running.get(record.id)))

    async def _claim(
        self, prepared: Prepared, entry: asyncio.Future[Accepted]
    ) -> tuple[Prepared, Claim, Ticket | None]:
        """The claim, for the request as it was claimed in the end."""
        while True:
            try:
                intent = to_intent(prepared)
                outer = running_span()
                if outer is None:
                    claim, ticket = await self._claimer.claim(intent, entry.cancelled)
                else:
                    with piece_of(outer, "claim"):
                        claim, ticket = await self._claimer.claim(intent, entry.cancelled)
                self._memory.note(intent, claim.record)
            # With the old ids Runware would return the old image (0058).
            except KeyExpiredError as error:
                context = prepared.context
                context = replace(context, supersedes=(*context.supersedes, error.earlier_id))
                new_ids = self._task_ids.of(context, prepared.fingerprint, len(prepared.plan.tasks))
                prepared = replace(prepared, context=context, plan=with_ids(prepared.plan, new_ids))
            else:
                return prepared, claim, ticket

    def _note_running(self, job: Job, task: "asyncio.Task[Outcome | None]") -> None:
        running = RunningJob(job, task)
        self._running[job.request_id] = running
        task.add_done_callback(lambda _: self._forget_running(running))

    def _forget_running(self, running: RunningJob) -> None:
        job = running.job
        if self._running.get(job.request_id) is running:
            del self._running[job.request_id]
        # The exception is read, so that asyncio does not log it as lost; it is handled where it is awaited.
        if running.task.cancelled() or running.task.exception() is not None:
            job.end_parts(Unresolved(job.request_id))
        # Held until the outcome is durable: nobody needs to find out what is only waiting to be written.
        self._queue.when_drained(job.request_id, lambda: self._keeper.drop(job.lease))
