"""Carries a claimed job out and settles it: its turn, its work, and its end, durable before anybody is told.

Leaves the making of images to the executor, what is written at an end to `result_store`, and who waits to `waiting`.
"""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct

from app.access.admission import Ticket
from app.access.meters import Meters
from app.domain.context import RequestContext
from app.domain.outcome import Answered, Failed, Outcome, Unresolved
from app.errors import GatewayError, InternalError
from app.jobs.job import Job, Wakeable
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


class Terms(Struct, frozen=True):
    """What counts at the end of a job beside how it ended."""

    metered: str | None
    """The tenant whose meter shows what it costs, where there is one."""
    has_webhook: bool
    expected: Decimal | None = None
    """What was reserved for it as long as nothing else is said; None where it is not known here."""
    context: RequestContext | None = None
    """Whose work it is; None where those who asked wait at whatever process, which finds images in the store only."""
    images_until: float | None = None
    is_counted: bool = False
    is_last: bool = False
    """Nobody looks for it again after this."""


def of_prepared(prepared: Prepared) -> Terms:
    """Those of new work."""
    context = prepared.context
    return Terms(
        None if context.key is None else context.tenant,
        prepared.request.webhook_url is not None,
        prepared.price.total,
        context,
    )


def of_record(record: Record) -> Terms:
    """Those of work that another process left."""
    return Terms(
        record.tenant,
        record.webhook_url is not None,
        images_until=record.images_until,
        # Once: what was embedded and not kept is fetched a second time, and was counted when it was made (0053).
        is_counted=record.images_kept is not None,
        is_last=record.tries >= MAX_TRIES,
    )


@dataclass(frozen=True, slots=True)
class JobExecution:
    """What it takes to carry jobs out."""

    outcomes: Outcomes
    queue: WriteQueue
    endings: Endings
    results: ResultStore
    waiting: Waiting
    webhooks: Wakeable
    meters: Meters
    counts: Tally

    async def wait_turn(self, ticket: Ticket, job: Job) -> None:
        """Wait until the work may begin, and say so. Not bound to any caller: others may have joined meanwhile."""
        begin_request(job.lease.request_id)
        began = time.perf_counter()
        try:
            await ticket.wait_turn()
        finally:
            self.counts.metrics.stage_ended("queue", time.perf_counter() - began)
        await self.queue.post(job.lease.request_id, self.outcomes.begin_work, job.lease)

    async def run(self, making: Awaitable[Outcome], job: Job, terms: Terms) -> Outcome | None:
        """How `making` the images ended, as it is written down; None where another process has the request by now."""
        begin_request(job.lease.request_id)
        try:
            try:
                outcome = await making
            except GatewayError as error:
                outcome = job.fail(error)
            if job.parts is not None:
                job.parts.end(outcome)
            await self._settle(outcome, job, terms)
        except LeaseLostError:
            _logger.warning("another process has this request by now; it is left to that", id=job.lease.request_id)
            return None
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            _logger.exception("unexpected fault")
            # Our own fault after sending. The image may exist, and a second look may find it (0054).
            fault = InternalError("The gateway failed unexpectedly.", should_retry=False)
            outcome = job.fail(fault) if terms.is_last else Unresolved(job.lease.request_id)
            job.end_parts(outcome)
            await self._settle(outcome, job, terms)
        finally:
            if terms.has_webhook:
                self.webhooks.wake()
        return outcome

    async def _settle(self, outcome: Outcome, job: Job, terms: Terms) -> None:
        match outcome:
            case Answered(answer):
                costs = answer.costs
                keeps = self._keeps(job, terms) if is_embedded(answer.result) else None
                await self.endings.write_answer(job.lease, answer, keeps=keeps, before=terms.images_until)
                if not terms.is_counted:
                    self.counts.count_answer(answer)
            case Failed(_, error):
                costs = job.bill.costs
                await self.endings.write_failure(job.lease, error, costs)
            # Not a failure: the task may still make the image, so no end is written and the key stays taken (0054).
            case Unresolved():
                costs = job.bill.costs
                await self.endings.leave_to_others(job.lease, costs)
        if terms.metered is not None and total_cost(costs) != terms.expected:
            self.meters.mark_stale(terms.metered)

    def _keeps(self, job: Job, terms: Terms) -> bool:
        """Whether embedded images must be stored before their bytes are freed (0053)."""
        if terms.context is None:
            return True
        # Nobody is here to receive them, or it is likely that somebody asks for them later.
        is_awaited = job.first is not None and not job.first.done()
        is_awaited = is_awaited or self.waiting.somebody_waits(job.lease.request_id)
        return self.results.keeps(asked_again=terms.context.is_repeatable or not is_awaited)
