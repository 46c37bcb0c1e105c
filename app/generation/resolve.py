"""Finds out what became of requests whose process has ended: their tasks are looked for at Runware, never sent again.

What Runware has never heard of surely did not run. Leaves which requests these are to `jobs.takeover`, and the delivery
of what was made to `execute`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.catalog.model import CatalogModel
from app.catalog.registry import Registry
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.context import RequestContext
from app.domain.lifetimes import Lifetimes
from app.domain.spec import OutputSpec, TaskPlace
from app.domain.values import replace
from app.errors import InternalError, NotFoundError, UnavailableError
from app.generation.gather import gather_in_order
from app.jobs.codec import StoredPlan, decode_plan
from app.journal.records import Record
from app.ledger.bill import Bill
from app.observability.logs import Stage
from app.runware.client import RunwareClient
from app.runware.failures import Kind, ProviderFailure
from app.runware.keys import RunwareKey
from app.runware.tasks import TaskResult

_SHORTEST_SEARCH_SECONDS = 60.0
"""However old the request is."""
_SHORTEST_LIFE_SECONDS = 60
"""Of a link that is given out anew."""


@dataclass(frozen=True, slots=True)
class FoundTasks:
    """What became of all tasks of a request, and the form in which its images are wanted."""

    model: CatalogModel
    adjustments: tuple[Adjustment, ...]
    output: OutputSpec
    context: RequestContext
    results: tuple[tuple[TaskPlace, TaskResult], ...]


class TaskFinder:
    """Looks for tasks until their request is `longest_search` seconds old.

    `clock` is unix seconds, `monotonic` the client's clock.
    """

    def __init__(
        self,
        runware: RunwareClient,
        registry: Registry,
        longest_search: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runware = runware
        self._registry = registry
        self._longest_search = longest_search
        self._clock = clock
        self._monotonic = monotonic

    async def find_tasks(self, record: Record, key: RunwareKey, bill: Bill) -> FoundTasks:
        """What Runware has of a request under `key`, raising UnavailableError where it never heard of any of its tasks.

        Raises NotFoundError where it had them once and has them no more, InternalError for a record that is no plan.
        """
        plan = _plan_of(record)
        remaining = record.created_at + self._longest_search - self._clock()
        # Even a request older than a day is looked for once: Runware may have been unreachable all that time (0054).
        deadline = self._monotonic() + max(remaining, _SHORTEST_SEARCH_SECONDS)
        with Stage("resolve", {}):
            found = await gather_in_order(
                [self._find_task(task.task_id, key, task.number_results, deadline) for task in plan.places]
            )
        if all(result is None for result in found):
            # A known cost proves that it ran: "not started" would free the key, and a retry would pay again (0065).
            if any(cost.is_complete or cost.known for cost in record.costs):
                raise NotFoundError("Runware does not have these images any more.", code="result_gone")
            for task in plan.places:  # what Runware has never heard of is not paid for: the key is free again
                bill.add(task.task_id, (), is_complete=True)
            message = "The gateway was restarted before anything was sent. Send the request again."
            raise UnavailableError(message, code="not_started", retry_after=1, should_retry=True)
        results = tuple((place, result or _NEVER_SENT) for place, result in zip(plan.places, found, strict=True))
        return self._to_found(record, plan, results)

    async def _find_task(
        self, task_id: str, key: RunwareKey, number_results: int, deadline: float
    ) -> TaskResult | None:
        try:
            return await self._runware.recover(task_id, key, number_results, deadline)
        except TimeoutError:
            return _UNRESOLVED

    def _to_found(
        self, record: Record, plan: StoredPlan, results: tuple[tuple[TaskPlace, TaskResult], ...]
    ) -> FoundTasks:
        composition, seconds = plan.output.composition, plan.output.link_seconds
        pastes = composition is not None and composition.pastes
        output = replace(
            plan.output,
            # The caller's own image was never stored, so that nothing can be pasted into it (0060).
            composition=None if pastes else composition,
            # A link lives from when the image was made: what is left of it is less by the time that went by.
            link_seconds=None if seconds is None else seconds - math.ceil(self._clock() - record.created_at),
            lives=self._left_of(plan.output.lives, record),
        )
        context = RequestContext(record.id, plan.origin, output.delivery, tenant=record.tenant, in_background=True)
        model = self._registry.find_model(record.executed_model)
        adjustments = (*plan.adjustments, *([_UNMASKED] if pastes else []))
        return FoundTasks(model, adjustments, output, context, results)

    def _left_of(self, lives: Lifetimes | None, record: Record) -> Lifetimes | None:
        """How long images stay that are fetched once more: not beyond the end that they had before (0165)."""
        if lives is None or record.images_until is None:
            return lives
        left = max(_SHORTEST_LIFE_SECONDS, int(record.images_until - self._clock()))
        return Lifetimes(min(lives.link, left), min(lives.result, left))


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
