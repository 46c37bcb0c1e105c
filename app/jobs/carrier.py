"""Carries one request after the other from its claim to its end, each in one task that nobody can call back.

Owns what is held for a request meanwhile: all of it is given back in one place, whatever went wrong (0204). Leaves the
rules of claims to `claiming`, work and settling to `execution`, and what callers are given to `runner`.
"""

import asyncio
from functools import partial

from app.domain.outcome import Outcome, Unresolved
from app.domain.values import replace
from app.errors import GatewayError
from app.jobs.claiming import Books, Claimer, to_intent
from app.jobs.entry import Accepted, Entry
from app.jobs.execution import JobExecution, of_prepared, of_record
from app.jobs.job import Executor, Job, Parts, RunningJob, RunningJobs
from app.jobs.leases import Moment
from app.jobs.memory import KeyMemory
from app.journal.claims import Claim
from app.journal.records import KeyExpiredError, Lease, Receipt, Record
from app.ledger.bill import Bill
from app.observability.logs import get_logger
from app.observability.tracing import piece_of, running_span
from app.planning.fingerprint import TaskIds
from app.planning.plan import with_ids
from app.planning.prepared import Prepared

_logger = get_logger("jobs")


class Carrier:
    """The requests that are on their way. `running` are the jobs of this process, which it alone changes."""

    def __init__(
        self,
        books: Books,
        claimer: Claimer,
        executor: Executor,
        execution: JobExecution,
        memory: KeyMemory,
        task_ids: TaskIds,
        running: RunningJobs,
    ) -> None:
        self._keeper, self._queue, self._receipts = books.keeper, books.queue, books.receipts
        self._claimer = claimer
        self._executor = executor
        self._execution = execution
        self._memory = memory
        self._task_ids = task_ids
        self._running = running
        self._entries: dict[Entry, asyncio.Task[Outcome | None]] = {}
        """With the tasks that carry them, which the event loop does not hold."""

    def enter(self, prepared: Prepared, *, waits: bool) -> Entry:
        """A request on its way. Its caller `waits` for its end, or only to hear that it is durable."""
        # One task claims the request and carries it out. A commit cannot be called back when the caller leaves, so the
        # task goes on alone; it sees by the cancelled future that nobody waits (0146).
        loop = asyncio.get_running_loop()
        entry = Entry(prepared, loop.create_future(), waits)
        self._entries[entry] = loop.create_task(self._carry(entry))
        return entry

    def note_departure(self, entry: Entry) -> None:
        """The caller has left; the work goes on, since it may be paid already (0007)."""
        # Before its claim is certain nobody is counted yet, and the task sees to it.
        if entry.accepted is not None:
            self._receipts.acknowledge(entry.accepted.record.id, Receipt.LOST)
        if entry.caller.done() and not entry.caller.cancelled():
            entry.caller.exception()  # told in the same moment: read, so that asyncio does not log it as lost

    def resume(self, record: Record, asked: Moment) -> None:
        """Find out what became of work that another process left; its lease was taken by a question of this moment."""
        lease = Lease(record.id, record.fence)
        self._keeper.hold(lease, asked)
        self._execution.counts.metrics.taken_over()
        # What was known to be paid stays known, even if a second look at Runware says less.
        job = Job(lease, Bill.of(record.costs), partial(self._keeper.confirm, lease))
        # Without a place among the tasks: it was begun before, and is only to be found.
        work = self._execution.run(self._executor.resolve(record, job), job, of_record(record))
        task = asyncio.get_running_loop().create_task(work)
        self._running[record.id] = RunningJob(job, task)
        task.add_done_callback(partial(self._end_resumed, lease))

    async def _carry(self, entry: Entry) -> Outcome | None:
        """Claim the request of an entry, and carry it out where it is new; the outcome where it ended here.

        Whatever is taken on the way is given back here, also where a fault of ours ends it.
        """
        outcome: Outcome | None = None
        try:
            claim = await self._claim(entry)
            job = None if entry.lease is None else self._open_job(entry, entry.lease)
            self._tell(entry, claim)
            if job is not None:
                if entry.ticket is not None and entry.is_queued:
                    await self._execution.wait_turn(entry.ticket, job)
                prepared = entry.prepared
                outcome = await self._execution.run(self._executor.execute(prepared, job), job, of_prepared(prepared))
        except asyncio.CancelledError:
            if entry.accepted is None:
                entry.caller.cancel()
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is the caller's, if there is one yet
            self._fail(entry, fault)
        finally:
            self._give_back(entry)
            if not entry.caller.done():
                entry.caller.set_result(outcome)
        return outcome

    async def _claim(self, entry: Entry) -> Claim:
        """The claim, for the request as it was claimed in the end."""
        while True:
            try:
                intent = to_intent(entry.prepared)
                outer = running_span()
                if outer is None:
                    claim = await self._claimer.claim(intent, entry)
                else:
                    with piece_of(outer, "claim"):
                        claim = await self._claimer.claim(intent, entry)
            # With the old ids Runware would return the old image (0058).
            except KeyExpiredError as error:
                prepared = entry.prepared
                context = replace(prepared.context, supersedes=(*prepared.context.supersedes, error.earlier_id))
                new_ids = self._task_ids.of(context, prepared.fingerprint, len(prepared.plan.tasks))
                entry.prepared = replace(prepared, context=context, plan=with_ids(prepared.plan, new_ids))
            else:
                if intent.key_hash is not None:
                    self._memory.note(intent, claim.record)
                return claim

    def _open_job(self, entry: Entry, lease: Lease) -> Job:
        """The job of a new claim; the task that runs is the one that carries it out."""
        parts = Parts() if entry.prepared.request.stream else None
        job = Job(lease, Bill(), partial(self._keeper.confirm, lease), parts, entry.caller)
        self._running[lease.request_id] = RunningJob(job, self._entries[entry])
        return job

    def _tell(self, entry: Entry, claim: Claim) -> None:
        """Give the caller its claim, or note that it left before."""
        record = claim.record
        is_replay = not claim.is_new and entry.prepared.context.idempotency_key is not None
        if not claim.is_new:
            self._execution.counts.count_joined(record, has_key=is_replay)
        entry.counted = None
        if entry.caller.cancelled():
            self._receipts.acknowledge(record.id, Receipt.LOST)
            return
        entry.accepted = Accepted(record, claim.is_new, is_replay, self._running.get(record.id))
        if entry.lease is None or not entry.waits:
            entry.tell(None)

    def _fail(self, entry: Entry, fault: Exception) -> None:
        """A request was refused, or a fault of ours ended it before its work could."""
        accepted, is_waited_for = entry.accepted, not entry.caller.done()
        request_id = entry.counted if accepted is None or not is_waited_for else accepted.record.id
        if request_id is not None:
            entry.accepted = entry.counted = None  # its caller is counted off here, and not once more where it leaves
            self._receipts.acknowledge(request_id, Receipt.LOST)
        if is_waited_for:
            entry.caller.set_exception(fault)
        elif accepted is not None or not isinstance(fault, GatewayError):
            known_as = entry.prepared.context.request_id if accepted is None else accepted.record.id
            _logger.error("unexpected fault", id=known_as, exc_info=fault)

    def _give_back(self, entry: Entry) -> None:
        del self._entries[entry]
        if entry.ticket is not None:
            entry.ticket.release()
        if entry.lease is not None:
            self._let_go(entry.lease)

    def _let_go(self, lease: Lease) -> None:
        """Nothing is done here under this lease any more."""
        running = self._running.get(lease.request_id)
        if running is not None and running.job.lease is lease:
            del self._running[lease.request_id]
            # Where it has said how it ended, that stands.
            if running.job.parts is not None:
                running.job.parts.end(Unresolved(lease.request_id))
        # Held until the outcome is durable: nobody needs to find out what is only waiting to be written.
        self._queue.when_drained(lease.request_id, partial(self._keeper.drop, lease))

    def _end_resumed(self, lease: Lease, task: "asyncio.Task[Outcome | None]") -> None:
        # The exception is read, so that asyncio does not log it as lost.
        if not task.cancelled() and task.exception() is not None:
            _logger.error("unexpected fault", id=lease.request_id, exc_info=task.exception())
        self._let_go(lease)
