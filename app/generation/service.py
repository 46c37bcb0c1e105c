"""One request from end to end: the table of the architecture as code, read straight down."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from app.access.admission import Capacity, Ticket
from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, Answer
from app.domain.request import ImageRequest, RequestContext
from app.domain.spec import TaskPlace
from app.errors import GatewayError, Spent, StillProcessingError, UnavailableError
from app.generation.collect import collect, gravest, merge_parts, split_parts
from app.generation.deliver import ImageDelivery
from app.generation.gather import gather_in_order
from app.generation.prepare import Policy, Preparer, to_intent
from app.generation.uploads import InputUploads, SharedPlan
from app.jobs.codec import places_of
from app.jobs.job import Job, Work
from app.jobs.runner import JobRunner
from app.journal.claims import Claim
from app.journal.records import Intent, KeyExpiredError, Receipt, Record
from app.ledger.bill import Bill, known_cost, total_cost
from app.observability.logs import stage
from app.planning.dry_run import DryRun
from app.planning.plan import Plan, PlannedTask, count_held_bytes
from app.planning.prepared import Prepared
from app.runware.client import RunwareClient
from app.runware.failures import Kind
from app.runware.transport import Permit

_T = TypeVar("_T")
_SILENCE_SECONDS = 15.0
"""Proxies cut connections that stay silent for a minute."""
_UNREACHABLE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Part:
    """The answer of one task of a stream; its images are counted from `first_index`."""

    first_index: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer of at most `count` images.

    Its parts come as they are made, None for a while of silence, an error at the end if one failed.
    """

    request_id: str
    count: int
    model: CatalogModel
    adjustments: tuple[Adjustment, ...]
    parts: AsyncIterator[Part | GatewayError | None]


class ImageService:
    """Makes images. `clock` is unix seconds, `monotonic` the client's clock."""

    def __init__(
        self,
        *,
        preparer: Preparer,
        sharing: InputUploads,
        runware: RunwareClient,
        delivery: ImageDelivery,
        policy: Policy,
        works: JobRunner,
        capacity: Capacity,
        on_webhook_due: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._preparer = preparer
        self._sharing = sharing
        self._runware = runware
        self._delivery = delivery
        self._policy = policy
        self._works = works
        self._capacity = capacity
        self._on_webhook_due = on_webhook_due
        self._clock = clock
        self._monotonic = monotonic

    async def run(self, request: ImageRequest, context: RequestContext) -> Answer:
        """The answer to `request`, raising a GatewayError when there is no image to give."""
        # From the very beginning: preparing counts against the caller's own timeout, or the 504 would come after it has
        # left.
        until = self._monotonic() + min(context.wait or self._policy.request_timeout, self._policy.request_timeout)

        async def answer(prepared: Prepared, own: RequestContext) -> Answer:
            job = self._job(prepared, own, self._work(prepared, own))
            return await self._works.answer(self._intent(prepared, own), job, until - self._monotonic())

        return await self._prepared(request, context, answer)

    async def submit(self, request: ImageRequest, context: RequestContext) -> Claim:
        """The claim on `request`, which is carried out in the background and whose images are kept."""

        async def claim(prepared: Prepared, own: RequestContext) -> Claim:
            job = self._job(prepared, own, self._work(prepared, own))
            return await self._works.claim(self._intent(prepared, own), job)

        return await self._prepared(request, replace(context, in_background=True), claim)

    async def stream(self, request: ImageRequest, context: RequestContext) -> Stream:
        """The answer to `request` image by image, raising what can be refused before anything is sent."""

        async def stream(prepared: Prepared, own: RequestContext) -> Stream:
            queue: asyncio.Queue[Part | GatewayError | None] = asyncio.Queue()
            job = self._job(prepared, own, self._work_in_parts(prepared, own, queue))
            claim = await self._works.claim(self._intent(prepared, own), job)
            parts = _read_parts(queue) if claim.is_new else self._replay_parts(claim.record)
            return Stream(claim.record.id, prepared.spec.count, prepared.spec.model, prepared.spec.adjustments, parts)

        return await self._prepared(request, context, stream)

    async def estimate(self, request: ImageRequest, context: RequestContext) -> DryRun:
        """What `request` would send and cost, raising the same refusals as `run`, without anything being sent."""
        return await self._preparer.estimate(request, context)

    def leave(self, request_id: str, parting: Receipt, answer: Answer | None = None) -> None:
        """Note how a caller left: whether a retry may join depends on it."""
        self._works.receipts.leave(request_id, parting, answer)

    def retract(self, request_id: str) -> None:
        """Take back that an answer was delivered."""
        self._works.receipts.retract(request_id)

    def _intent(self, prepared: Prepared, context: RequestContext) -> Intent:
        return to_intent(prepared, context, stores_prompts=self._policy.stores_prompts)

    async def _prepared(
        self,
        request: ImageRequest,
        context: RequestContext,
        go_on: Callable[[Prepared, RequestContext], Awaitable[_T]],
    ) -> _T:
        """What `go_on` makes of the prepared request; prepared anew where its key was used long ago."""
        while True:
            prepared = await self._preparer.prepare(request, context)
            try:
                return await go_on(prepared, context)
            # Prepared anew, since task ids are part of the plan: with the old ones Runware would return the old image
            # (0058).
            except KeyExpiredError as error:
                context = replace(context, supersedes=(*context.supersedes, error.earlier_id))

    def _job(self, prepared: Prepared, context: RequestContext, work: Work) -> Job:
        held = count_held_bytes(prepared.spec, prepared.plan)

        async def bounded(request_id: str, bill: Bill, permit: Permit) -> Answer:
            # Taken when the work begins, not when it is claimed: waiting requests hold only their inputs.
            async with self._capacity.bytes.hold(context.tenant, held):
                return await work(request_id, bill, permit)

        on_end = self._on_webhook_due if prepared.request.webhook_url is not None else None
        return Job(
            bounded,
            lambda: self._admit(context.tenant, len(prepared.plan.tasks)),
            context.is_repeatable,
            on_end,
        )

    def _admit(self, tenant: str, tasks: int) -> Ticket:
        """A place for so many tasks, raising the errors that say why there is none."""
        # Nothing is queued for a provider that is away: callers would wait for their timeout to learn it.
        if self._runware.unreachable:
            message = "Runware does not answer at the moment. Nothing was sent; try again shortly."
            raise UnavailableError(message, retry_after=_UNREACHABLE_SECONDS, should_retry=True)
        return self._capacity.tasks.take(tenant, tasks)

    def _work(self, prepared: Prepared, context: RequestContext) -> Work:
        """All the work of a request, to be run apart from its caller."""

        async def work(request_id: str, bill: Bill, permit: Permit) -> Answer:
            deadline = self._monotonic() + self._policy.longest_work
            own = replace(context, request_id=request_id)
            async with self._sharing.shared(prepared.plan) as share:
                return await self._carry_out(prepared, share.plan, share, own, deadline, bill, permit)

        return work

    async def _carry_out(
        self,
        prepared: Prepared,
        plan: Plan,
        share: SharedPlan,
        context: RequestContext,
        deadline: float,
        bill: Bill,
        permit: Permit,
    ) -> Answer:
        """Send the tasks of a plan and bring their images into form."""
        spec = prepared.spec
        task_ids = tuple(planned.task.task_uuid for planned in plan.tasks)
        for task_id in task_ids:
            # Before anything is sent: a fault from here on must not look free (0065).
            bill.open_task(task_id)
        with stage("runware", model=spec.model.id):
            runs = [self._runware.run_task(planned.task, deadline, permit) for planned in plan.tasks]
            results = await gather_in_order(runs)
        for task_id, result in zip(task_ids, results, strict=True):
            bill.add(task_id, result.costs, is_complete=result.is_billed)
        # A task that may still run at Runware reads its uploaded inputs later.
        share.still_needed |= any(failure.kind is Kind.TIMEOUT for result in results for failure in result.failures)
        # Not a failure: this request is left to the search for abandoned ones, which delivers what comes (0054).
        if any(result.unresolved for result in results):
            raise StillProcessingError
        made = await self._delivery.deliver(
            spec.output, collect(plan.places, results), spec.adjustments, context, prepared.base
        )
        return Answer(context.request_id, spec.model, made, bill.costs_of(task_ids))

    async def _replay_parts(self, record: Record) -> AsyncIterator[Part | GatewayError | None]:
        """The parts of a request that was carried out before, or still is, elsewhere."""
        # As long as the work itself may take: a stream has its keep-alives, so the caller's own timeout does not end
        # it.
        wait = max(self._policy.longest_work, self._policy.request_timeout)
        joining = asyncio.create_task(self._works.join(record, wait))
        while not joining.done():
            await asyncio.wait({joining}, timeout=_SILENCE_SECONDS)
            if not joining.done():
                yield None
        try:
            answer = joining.result()
        except GatewayError as error:
            yield error
            return
        for first_index, part in split_parts(answer, places_of(record.plan)):
            yield Part(first_index, part)

    def _work_in_parts(
        self, prepared: Prepared, context: RequestContext, queue: asyncio.Queue[Part | GatewayError | None]
    ) -> Work:
        """All the work of a streamed request: every task by itself, each answer into the queue when it is there."""

        async def work(request_id: str, bill: Bill, permit: Permit) -> Answer:
            deadline = self._monotonic() + self._policy.longest_work
            own = replace(context, request_id=request_id)
            parts: list[Part] = []
            errors: list[tuple[TaskPlace, GatewayError]] = []

            async def run(planned: PlannedTask) -> None:
                alone = Plan((planned,))
                try:
                    answer = await self._carry_out(prepared, alone, share, own, deadline, bill, permit)
                    parts.append(Part(planned.place.first_index, answer))
                    queue.put_nowait(parts[-1])
                except GatewayError as error:
                    spent = bill.costs_of((planned.task.task_uuid,))
                    error.spent = Spent(total_cost(spent), known_cost(spent))
                    errors.append((planned.place, error))

            try:
                async with self._sharing.shared(prepared.plan) as share:
                    await gather_in_order([run(planned) for planned in share.plan.tasks])
                if errors:
                    queue.put_nowait(gravest(errors))
            except Exception as error:
                queue.put_nowait(error if isinstance(error, GatewayError) else StillProcessingError())
                raise
            finally:
                queue.put_nowait(None)  # the end
            in_order = [part.answer for part in sorted(parts, key=lambda part: part.first_index)]
            return merge_parts(in_order, errors, bill.costs)

        return work


async def _read_parts(
    queue: asyncio.Queue[Part | GatewayError | None],
) -> AsyncIterator[Part | GatewayError | None]:
    """The tasks' answers as they end, None when nothing came for a while, and last the first failure."""
    while True:
        try:
            part = await asyncio.wait_for(queue.get(), _SILENCE_SECONDS)
        except TimeoutError:
            yield None
            continue
        if part is None:
            return
        yield part
