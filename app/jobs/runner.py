"""Carries requests out apart from their callers: each is claimed first, runs to its end, and is settled.

A caller waits as long as it says and may return; a caller that asks again joins the same work. Leaves the making of
images to the executor, what is durable to the journal, and kept images to `result_store`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from app.access.admission import Ticket
from app.access.gates import Gates
from app.database.errors import DatabaseUnavailableError
from app.domain.outcome import Answered, Failed, Outcome, Unresolved
from app.errors import GatewayError, InternalError, JournalError
from app.jobs.claiming import Books, Claimer, to_intent
from app.jobs.eraser import Eraser
from app.jobs.job import Executor, Job, Parts, RunningJob, RunningJobs, Wakeable, as_replay
from app.jobs.lease_watch import MAX_TRIES
from app.jobs.leases import LeaseKeeper, LeaseLostError, Moment
from app.jobs.memory import KeyMemory
from app.jobs.receipts import DeliveryReceipts
from app.jobs.result_store import Endings, ResultStore, is_embedded, needs_refetch
from app.jobs.tally import Tally
from app.jobs.waiting import Waiting
from app.jobs.write_queue import WriteQueue
from app.journal.journal import Journal
from app.journal.records import KeyExpiredError, Lease, Receipt, Record
from app.ledger.bill import Bill, total_cost
from app.observability.logs import begin_request, get_logger
from app.observability.tracing import span
from app.planning.fingerprint import TaskIds
from app.planning.plan import with_ids
from app.planning.prepared import Prepared

_logger = get_logger("jobs")
_SHORTEST_GOODBYE_SECONDS = 1.0
"""What is left to the last writes at shutdown, however long the work took."""


@dataclass(frozen=True, slots=True)
class Accepted:
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

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        keeper: LeaseKeeper,
        executor: Executor,
        *,
        gates: Gates,
        task_ids: TaskIds,
        webhooks: Wakeable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._results = results
        self._keeper = keeper
        self._executor = executor
        self._gates = gates
        self._task_ids = task_ids
        self._webhooks = webhooks
        self._counts = Tally(gates.metrics)
        self._clock = clock
        self._running: RunningJobs = {}
        self._queue = WriteQueue(journal.writer)
        self._memory = KeyMemory(clock=clock)
        self._endings = Endings(journal.outcomes, results, keeper, self._queue, self._memory)
        self.eraser = Eraser(journal, results, self._memory)
        self.receipts = DeliveryReceipts(journal, results, self._queue, keeper, self._running)
        books = Books(journal, keeper, self._queue, self.receipts)
        self._claimer = Claimer(books, gates, results, clock)
        self._waiting = Waiting(books, results, clock)

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
        caller_left = asyncio.Event()
        accepting = asyncio.create_task(self._claim_and_begin(prepared, caller_left))
        try:
            # Shielded: a commit cannot be called back when the caller leaves. What it decided is dealt with afterwards.
            return await asyncio.shield(accepting)
        except asyncio.CancelledError:
            caller_left.set()
            accepting.add_done_callback(self._acknowledge_lost)
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
        self._begin(record, job, self._gates.admission.admit_unmetered())

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

    async def _claim_and_begin(self, prepared: Prepared, caller_left: asyncio.Event) -> Accepted:
        context = prepared.context
        while True:
            try:
                intent = to_intent(prepared)
                with span("claim"):
                    claim, ticket = await self._claimer.claim(intent, caller_left)
                self._memory.note(intent, claim.record)
                break
            # With the old ids Runware would return the old image (0058).
            except KeyExpiredError as error:
                context = replace(context, supersedes=(*context.supersedes, error.earlier_id))
                new_ids = self._task_ids.of(context, prepared.fingerprint, len(prepared.plan.tasks))
                prepared = replace(prepared, context=context, plan=with_ids(prepared.plan, new_ids))
        record = claim.record
        if ticket is not None:
            parts = Parts() if prepared.request.stream else None
            self._begin(prepared, Job(Lease(record.id, record.fence), Bill(), self._keeper, parts), ticket)
        is_replay = not claim.is_new and context.idempotency_key is not None
        if not claim.is_new:
            self._counts.count_joined(record, has_key=is_replay)
        return Accepted(record, claim.is_new, is_replay, self._running.get(record.id))

    def _acknowledge_lost(self, accepting: asyncio.Task[Accepted]) -> None:
        if not accepting.cancelled() and accepting.exception() is None:
            self.receipts.acknowledge(accepting.result().record.id, Receipt.LOST)

    def _begin(self, work: Prepared | Record, job: Job, ticket: Ticket) -> None:
        running = RunningJob(job, asyncio.create_task(self._run(work, job, ticket)))
        self._running[job.request_id] = running
        running.task.add_done_callback(lambda _: self._forget_running(running))

    def _forget_running(self, running: RunningJob) -> None:
        job = running.job
        if self._running.get(job.request_id) is running:
            del self._running[job.request_id]
        # The exception is read, so that asyncio does not log it as lost; it is handled where it is awaited.
        if running.task.cancelled() or running.task.exception() is not None:
            job.end_parts(Unresolved(job.request_id))
        # Held until the outcome is durable: nobody needs to find out what is only waiting to be written.
        self._queue.when_drained(job.request_id, lambda: self._keeper.drop(job.lease))

    async def _run(self, work: Prepared | Record, job: Job, ticket: Ticket) -> Outcome:
        begin_request(job.request_id)
        try:
            if ticket.waits:
                # Not bound to any caller: others may have joined meanwhile.
                with self._counts.metrics.stage("queue"):
                    await ticket.wait_turn()
                await self._queue.post(job.request_id, self._journal.outcomes.begin_work, job.lease)
            return await self._carry_out(work, job)
        finally:
            ticket.release()
            if _webhook_of(work) is not None:
                self._webhooks.wake()

    async def _carry_out(self, work: Prepared | Record, job: Job) -> Outcome:
        try:
            outcome = await self._execute(work, job)
            job.end_parts(outcome)
            await self._settle(work, job, outcome)
        except LeaseLostError:
            _logger.warning("another process has this request by now; it is left to that", id=job.request_id)
            raise
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            _logger.exception("unexpected fault")
            # Our own fault after sending. The image may exist, and a second look may find it (0054).
            is_last = isinstance(work, Record) and work.tries >= MAX_TRIES
            fault = InternalError("The gateway failed unexpectedly.", should_retry=False)
            outcome = job.fail(fault) if is_last else Unresolved(job.request_id)
            job.end_parts(outcome)
            await self._settle(work, job, outcome)
        return outcome

    async def _execute(self, work: Prepared | Record, job: Job) -> Outcome:
        try:
            if isinstance(work, Record):
                return await self._executor.resolve(work, job)
            return await self._executor.execute(work, job)
        except GatewayError as error:
            return job.fail(error)

    async def _settle(self, work: Prepared | Record, job: Job, outcome: Outcome) -> None:
        costs = job.bill.costs
        match outcome:
            case Answered(answer):
                keeps = is_embedded(answer.result) and self._keeps(work, job)
                before = work.images_until if isinstance(work, Record) else None
                await self._endings.write_answer(job.lease, answer, costs, keeps=keeps, before=before)
                self._counts.count_answer(work, answer)
            case Failed(_, error):
                await self._endings.write_failure(job.lease, error, costs)
            # Not a failure: the task may still make the image, so no end is written and the key stays taken (0054).
            case Unresolved():
                await self._endings.leave_to_others(job.lease, costs)
        if total_cost(costs) != _expected_cost(work):
            self._gates.meters.mark_stale(work.tenant if isinstance(work, Record) else work.context.tenant)

    def _keeps(self, work: Prepared | Record, job: Job) -> bool:
        """Whether embedded images must be stored before their bytes are freed (0053)."""
        # Fetched for those who asked: they wait at whatever process, which finds them in the store only.
        if isinstance(work, Record):
            return True
        # Nobody is here to receive them, or it is likely that somebody asks for them later.
        asked_again = work.context.is_repeatable or not self._waiting.somebody_waits(job.request_id)
        return self._results.keeps(asked_again=asked_again)


def _webhook_of(work: Prepared | Record) -> str | None:
    return work.webhook_url if isinstance(work, Record) else work.request.webhook_url


def _expected_cost(work: Prepared | Record) -> Decimal | None:
    """What was reserved for it as long as nothing else is said; None where it is not known here."""
    return None if isinstance(work, Record) else work.price.total
