"""Carries a claimed job out and settles it: its turn, its work, and its end, durable before anybody is told.

Leaves the making of images to the executor, what is written at an end to `result_store`, and who waits to `waiting`.
"""

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal

from app.access.admission import Ticket
from app.access.meters import Meters
from app.domain.outcome import Answered, Failed, Outcome, Unresolved
from app.errors import GatewayError, InternalError
from app.jobs.job import Executor, Job, Wakeable
from app.jobs.lease_watch import MAX_TRIES
from app.jobs.leases import LeaseLostError
from app.jobs.result_store import Endings, ResultStore, is_embedded
from app.jobs.tally import Tally
from app.jobs.waiting import Waiting
from app.jobs.write_queue import WriteQueue
from app.journal.outcomes import Outcomes
from app.journal.records import Record
from app.ledger.bill import total_cost
from app.observability.logs import begin_request, get_logger
from app.planning.prepared import Prepared

_logger = get_logger("jobs")


@dataclass(frozen=True, slots=True)
class JobExecution:
    """What it takes to carry jobs out."""

    executor: Executor
    outcomes: Outcomes
    queue: WriteQueue
    endings: Endings
    results: ResultStore
    waiting: Waiting
    webhooks: Wakeable
    meters: Meters
    counts: Tally

    async def run(self, work: Prepared | Record, job: Job, ticket: Ticket) -> Outcome:
        """How it ended, as it is written down; raises LeaseLostError where another process has it by now."""
        begin_request(job.request_id)
        try:
            if ticket.waits:
                # Not bound to any caller: others may have joined meanwhile.
                began = time.perf_counter()
                try:
                    await ticket.wait_turn()
                finally:
                    self.counts.metrics.stage_ended("queue", time.perf_counter() - began)
                await self.queue.post(job.request_id, self.outcomes.begin_work, job.lease)
            return await self._carry_out(work, job)
        finally:
            ticket.release()
            if _webhook_of(work) is not None:
                self.webhooks.wake()

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
                return await self.executor.resolve(work, job)
            return await self.executor.execute(work, job)
        except GatewayError as error:
            return job.fail(error)

    async def _settle(self, work: Prepared | Record, job: Job, outcome: Outcome) -> None:
        costs = job.bill.costs
        match outcome:
            case Answered(answer):
                keeps = is_embedded(answer.result) and self._keeps(work, job)
                before = work.images_until if isinstance(work, Record) else None
                await self.endings.write_answer(job.lease, answer, costs, keeps=keeps, before=before)
                self.counts.count_answer(work, answer)
            case Failed(_, error):
                await self.endings.write_failure(job.lease, error, costs)
            # Not a failure: the task may still make the image, so no end is written and the key stays taken (0054).
            case Unresolved():
                await self.endings.leave_to_others(job.lease, costs)
        if total_cost(costs) != _expected_cost(work):
            self.meters.mark_stale(work.tenant if isinstance(work, Record) else work.context.tenant)

    def _keeps(self, work: Prepared | Record, job: Job) -> bool:
        """Whether embedded images must be stored before their bytes are freed (0053)."""
        # Fetched for those who asked: they wait at whatever process, which finds them in the store only.
        if isinstance(work, Record):
            return True
        # Nobody is here to receive them, or it is likely that somebody asks for them later.
        asked_again = work.context.is_repeatable or not self.waiting.somebody_waits(job.request_id)
        return self.results.keeps(asked_again=asked_again)


def _webhook_of(work: Prepared | Record) -> str | None:
    return work.webhook_url if isinstance(work, Record) else work.request.webhook_url


def _expected_cost(work: Prepared | Record) -> Decimal | None:
    """What was reserved for it as long as nothing else is said; None where it is not known here."""
    return None if isinstance(work, Record) else work.price.total
