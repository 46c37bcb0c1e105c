"""Carries requests out apart from their callers: each is claimed first, runs to its end, and is settled.

A caller waits as long as it says and may come back; whoever asks again joins the same work. Leaves the making of
images to the coroutine it is given, what is durable to the journal, and kept images to `result_store`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from app.access.admission import Ticket
from app.database.errors import DatabaseUnavailableError
from app.domain.answer import Answer
from app.errors import GatewayError, InternalError, InvalidRequestError, StillProcessingError
from app.jobs.claiming import Books, Claimer
from app.jobs.endings import Endings
from app.jobs.job import Job
from app.jobs.leases import LeaseKeeper, LeaseLostError
from app.jobs.receipts import DeliveryReceipts
from app.jobs.result_store import ResultStore
from app.jobs.waiting import Waiting
from app.jobs.write_queue import WriteQueue
from app.journal.claims import Claim
from app.journal.journal import Journal
from app.journal.records import Intent, Lease, Receipt, Record
from app.ledger.bill import Bill
from app.observability.logs import begin_request, get_logger

_logger = get_logger("jobs")
_SHORTEST_GOODBYE_SECONDS = 1.0
"""What is left to the last writes at shutdown, however long the work took."""


@dataclass(frozen=True, slots=True)
class _Run:
    task: asyncio.Task[Answer]
    lease: Lease


class JobRunner:
    """All work this process does, and the way to that of others. `clock` is monotonic seconds."""

    def __init__(
        self,
        journal: Journal,
        results: ResultStore,
        keeper: LeaseKeeper,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._results = results
        self._keeper = keeper
        self._clock = clock
        self._running: dict[str, _Run] = {}
        self._queue = WriteQueue(journal.writer)
        self._endings = Endings(journal.outcomes, results, keeper, self._queue)
        self.receipts = DeliveryReceipts(journal, results, self._queue, keeper, self._work_of)
        books = Books(journal, keeper, self._queue, self.receipts)
        self._claimer = Claimer(books, self._begin, clock)
        self._waiting = Waiting(books, results, self._work_of, clock)

    def start(self) -> None:
        """Renew the leases of what runs here, without which other processes would take it over."""
        self._keeper.start()

    async def answer(self, intent: Intent, job: Job, wait: float) -> Answer:
        """The answer to a claimed or joined request, raising the GatewayError it ended with.

        Raises StillProcessingError after `wait` seconds, and what `claim` raises.
        """
        until = self._clock() + wait
        claim = await self.claim(intent, job)
        replayed = not claim.is_new and intent.key_hash is not None
        try:
            answer = await self._waiting.join(claim.record, until - self._clock(), is_first=claim.is_new)
        except GatewayError as error:
            error.request_id = claim.record.id
            error.replayed = replayed and not isinstance(error, StillProcessingError)
            raise
        # The caller has left; the work goes on, since it may be paid already (0007).
        except asyncio.CancelledError:
            self.receipts.leave(claim.record.id, Receipt.BROKEN)
            raise
        return replace(answer, replayed=True) if replayed else answer

    async def claim(self, intent: Intent, job: Job) -> Claim:
        """See Claimer."""
        return await self._claimer.claim(intent, job)

    async def join(self, record: Record, wait: float) -> Answer:
        """See Waiting."""
        return await self._waiting.join(record, wait)

    def resume(self, lease: Lease, job: Job) -> None:
        """Begin work that another process left behind; it goes on when nobody waits any more."""
        self._begin(lease, job, job.admit())

    async def rejoin(self, request_id: str, by: str) -> None:
        """Note that a caller collects the answer with the call `by`, before it is sent."""
        await self._journal.writer.post(self._journal.claims.rejoin, request_id, by)
        self._keeper.arrive(request_id)

    async def forget(self, record: Record) -> None:
        """Delete the images and the prompt of a request, raising InvalidRequestError while it runs."""
        if not record.status.final:
            message = "This request is still being carried out; forget it when it has ended."
            raise InvalidRequestError(message, code="request_running")
        await self._results.forget(record)
        await self._journal.writer.post(self._journal.outcomes.purge_payloads, record.id)

    async def close(self, grace: float) -> None:
        """Let what runs end within `grace` seconds; the rest is left to whoever starts next."""
        until = self._clock() + grace
        if self._running:
            await asyncio.wait([run.task for run in self._running.values()], timeout=grace)
        # Taken before they are cancelled: they are released at the end, so that the next process need not wait for them
        # to run out.
        left = [run.lease for run in self._running.values()]
        for run in list(self._running.values()):
            run.task.cancel()
        await self._queue.close(max(until - self._clock(), _SHORTEST_GOODBYE_SECONDS))
        self._keeper.stop()
        try:
            await self._keeper.release_all(left)
        except DatabaseUnavailableError:
            _logger.warning("leases cannot be let go of; they end by themselves", count=len(left))

    def _work_of(self, request_id: str) -> asyncio.Task[Answer] | None:
        run = self._running.get(request_id)
        return None if run is None else run.task

    def _begin(self, lease: Lease, job: Job, ticket: Ticket) -> None:
        run = _Run(asyncio.create_task(self._carry_out(lease, job, ticket)), lease)
        self._running[lease.request_id] = run
        run.task.add_done_callback(lambda _: self._ended(run))

    def _ended(self, run: _Run) -> None:
        if self._running.get(run.lease.request_id) is run:
            del self._running[run.lease.request_id]
        if not run.task.cancelled():
            run.task.exception()  # read, so that asyncio does not log it as lost; it is handled where it is awaited
        # Held until the outcome is durable: nobody needs to find out what is only waiting to be written.
        self._queue.when_drained(run.lease.request_id, lambda: self._keeper.drop(run.lease))

    async def _carry_out(self, lease: Lease, job: Job, ticket: Ticket) -> Answer:
        begin_request(lease.request_id)
        try:
            if ticket.waits:
                # Not bound to any caller: others may have joined meanwhile.
                await ticket.wait_turn()
                await self._queue.post(lease.request_id, self._journal.outcomes.begin_work, lease)
            return await self._carry_on(lease, job)
        finally:
            ticket.release()
            if job.on_end is not None:
                job.on_end()

    async def _carry_on(self, lease: Lease, job: Job) -> Answer:
        bill = Bill(job.earlier_costs)
        try:
            answer = await job.work(lease.request_id, bill, partial(self._keeper.confirm, lease))
            # Nobody is here to receive the bytes: store them before they are gone (0053).
            keeps = job.keeps or not self._waiting.somebody_waits(lease.request_id)
            await self._endings.write_answer(lease, answer, bill.costs, keeps=keeps)
        except LeaseLostError:
            _logger.warning("another process has this request by now; it is left to that", id=lease.request_id)
            raise
        # Not a failure: the task may still make the image, so no end is written and the key stays taken (0054).
        except StillProcessingError:
            await self._endings.leave_to_others(lease, bill.costs)
            raise
        except GatewayError as error:
            await self._endings.write_failure(lease, error, bill.costs)
            raise
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            _logger.exception("unexpected fault")
            # Our own fault after sending. The image may exist, and a second look may find it (0054).
            if not job.last:
                await self._endings.leave_to_others(lease, bill.costs)
                raise StillProcessingError from None
            fault = InternalError("The gateway failed unexpectedly.", should_retry=False)
            await self._endings.write_failure(lease, fault, bill.costs)
            raise fault from None
        return answer
