"""Finds out what became of requests whose process is gone: their tasks are looked for at Runware, never sent again.

What was made is delivered, kept for collection and booked; what Runware has never heard of surely did not run.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from app.access.admission import Admission
from app.catalog.registry import Registry
from app.domain.answer import Adjustment, AdjustmentMode, Answer
from app.domain.request import RequestContext
from app.errors import InternalError, NotFoundError, UnavailableError
from app.generation.collect import collect
from app.generation.deliver import ImageDelivery
from app.generation.gather import gather_in_order
from app.jobs.codec import StoredPlan, decode_plan
from app.jobs.job import Job, Work
from app.jobs.lease_watch import LOOKS, MOST_TRIES, LeaseWatch
from app.jobs.leases import LeaseKeeper, steady_clock
from app.jobs.result_store import needs_refetch
from app.jobs.runner import JobRunner
from app.journal.journal import Journal
from app.journal.processes import is_dead
from app.journal.records import Lease, Record
from app.ledger.bill import Bill
from app.observability.logs import get_logger, stage
from app.runware.client import RunwareClient
from app.runware.failures import Kind, ProviderFailure
from app.runware.tasks import TaskResult
from app.runware.transport import Permit

_logger = get_logger("recovery")
_SHORTEST_SEARCH_SECONDS = 60.0
"""However old the request is."""
_AT_ONCE = 100
"""Take-overs in one transaction."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What recovery works with."""

    journal: Journal
    keeper: LeaseKeeper
    works: JobRunner
    runware: RunwareClient
    delivery: ImageDelivery
    registry: Registry
    admission: Admission


class Recovery:
    """Looks for abandoned requests at the start and then from time to time.

    Their tasks are looked for until a request is `longest_search` seconds old. `monotonic` is the client's clock,
    `clock` unix seconds.
    """

    def __init__(
        self,
        parts: Parts,
        longest_search: float,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._parts = parts
        self._longest_search = longest_search
        self._monotonic = monotonic
        self._clock = clock
        self._seen = LeaseWatch(parts.keeper.seconds, is_dead, steady_clock)
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look in the background; at once the first time, for what an earlier process left."""
        self._watching = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Look no more; what was found goes on."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while True:
            try:
                while await self._resolve():
                    pass
            except Exception:  # the database may be away for a while
                _logger.exception("abandoned requests cannot be looked for")
            await self._parts.keeper.woken(self._parts.keeper.seconds / LOOKS)

    async def _resolve(self) -> bool:
        """Take over what nobody holds; whether there may be more."""
        parts, reopened = self._parts, False
        found = self._seen.abandoned(await parts.keeper.list_watched(), parts.keeper.has)
        # Before the takeover: a lease counts from the question (0059).
        asked = parts.keeper.now()
        unfinished = {seen.request_id for seen in found if seen.is_open}
        for record in await parts.keeper.take_over(found[:_AT_ONCE]):
            _logger.warning("taking over an abandoned request", id=record.id, tries=record.tries)
            # Open work is resolved. An answer whose callers are gone is only made retrievable again.
            if record.id in unfinished:
                lease = Lease(record.id, record.fence)
                parts.keeper.hold(lease, asked)
                parts.works.resume(lease, self._job(record))
            elif needs_refetch(record):
                await parts.journal.writer.post(parts.journal.outcomes.reopen, record)
                reopened = True
        return reopened or len(found) > _AT_ONCE

    def _job(self, record: Record) -> Job:
        # Takes no place from callers: nothing is sent, and the images are paid.
        admit, last = self._parts.admission.admit_unmetered, record.tries >= MOST_TRIES
        return Job(self._work(record), admit, keeps=True, last=last, earlier_costs=record.costs)

    def _work(self, record: Record) -> Work:
        async def work(_: str, bill: Bill, _permit: Permit) -> Answer:
            plan = _plan_of(record)
            left = record.created_at + self._longest_search - self._clock()
            # Even a request older than a day is looked for once: Runware may have been unreachable all that time
            # (0054).
            deadline = self._monotonic() + max(left, _SHORTEST_SEARCH_SECONDS)
            with stage("resolve"):
                found = await gather_in_order(
                    [self._find(task.task_id, task.number_results, deadline) for task in plan.places]
                )
            if all(result is None for result in found):
                # A known cost proves that it ran: "not started" would free the key, and a retry would pay again (0065).
                if any(cost.is_complete or cost.known for cost in record.costs):
                    raise NotFoundError("Runware does not have these images any more.", code="result_gone")
                for task in plan.places:  # what Runware has never heard of is not paid for: the key is free again
                    bill.add(task.task_id, (), is_complete=True)
                message = "The gateway was restarted before anything was sent. Send the request again."
                raise UnavailableError(message, code="not_started", retry_after=1, should_retry=True)
            results = [result or _NEVER_SENT for result in found]
            for task, result in zip(plan.places, results, strict=True):
                bill.add(task.task_id, result.costs, is_complete=result.is_billed)
            return await self._deliver(record, bill, plan, results)

        return work

    async def _find(self, task_id: str, number_results: int, deadline: float) -> TaskResult | None:
        try:
            return await self._parts.runware.recover(task_id, number_results, deadline)
        except TimeoutError:
            return _UNRESOLVED

    async def _deliver(self, record: Record, bill: Bill, plan: StoredPlan, results: list[TaskResult]) -> Answer:
        composition, seconds = plan.output.composition, plan.output.link_seconds
        pastes = composition is not None and composition.pastes
        output = replace(
            plan.output,
            # The caller's own image was never stored, so that nothing can be pasted into it (0060).
            composition=None if pastes else composition,
            # A link lives from when the image was made: what is left of it is less by the time that went by.
            link_seconds=None if seconds is None else seconds - math.ceil(self._clock() - record.created_at),
        )
        context = RequestContext(record.id, plan.origin, output.delivery, tenant=record.tenant, in_background=True)
        adjustments = (*plan.adjustments, *([_UNMASKED] if pastes else []))
        result = await self._parts.delivery.deliver(output, collect(plan.places, results), adjustments, context)
        model = self._parts.registry.find(record.executed_model)
        return Answer(record.id, model, replace(result, created=int(record.created_at)), bill.costs)


def _plan_of(record: Record) -> StoredPlan:
    """The stored plan; without one nothing can be made of what Runware has, and looking again would not help."""
    try:
        return decode_plan(record.plan)
    except msgspec.MsgspecError:
        message = "The gateway's record of this request cannot be read."
        raise InternalError(message, code="unreadable_record", should_retry=False) from None


_NEVER_SENT = TaskResult((), (ProviderFailure(Kind.PROVIDER, "neverSent", "It was never sent."),), ())
_UNRESOLVED = TaskResult(
    (), (ProviderFailure(Kind.TIMEOUT, "unknown", "Runware does not say what became of it."),), (), unresolved=True
)
_UNMASKED = Adjustment(
    "mask",
    None,
    None,
    AdjustmentMode.DROPPED,
    "The gateway was restarted meanwhile and does not keep your image: this is the model's whole result.",
)
