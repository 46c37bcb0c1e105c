"""Carries a job out: uploads what its tasks share, runs them, delivers each as it ends, and puts the answer together.

One way for plain, streamed and background requests: a caller may listen to the parts. Buys nothing where the
job's lease may be lost; leaves claiming and settling to `jobs`, finding the tasks of a dead process to `resolve`.
"""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from app.access.admission import Admission
from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, Answer
from app.domain.context import RequestContext
from app.domain.outcome import Answered, Failed, Outcome, Part, Unresolved
from app.domain.spec import OutputSpec, TaskPlace
from app.errors import InternalError, Spent
from app.generation.collect import TaskEnd, build_result, end_of
from app.generation.deliver import ImageDelivery
from app.generation.gather import gather_in_order
from app.generation.resolve import TaskFinder
from app.generation.uploads import InputUploads
from app.images.types import CompositeBase
from app.jobs.job import Job
from app.journal.records import Record
from app.ledger.bill import Costs, known_cost, total_cost
from app.observability.logs import Stage
from app.planning.plan import Plan, count_held_bytes
from app.planning.prepared import Prepared
from app.runware.client import RunwareClient
from app.runware.keys import RunwareKey
from app.runware.tasks import ImageTask, TaskResult


class _Wanted(Struct, frozen=True):
    """The form in which the images of one job are wanted, and for whom. `created` is unix seconds."""

    model: CatalogModel
    created: int
    adjustments: tuple[Adjustment, ...]
    output: OutputSpec
    context: RequestContext
    base: CompositeBase | None = None
    deadline: float = 0


class ImageExecutor:
    """Makes the images of jobs. `memory` counts bytes, `longest_work` is in seconds.

    `clock` is unix seconds, `monotonic` the client's clock.
    """

    def __init__(
        self,
        runware: RunwareClient,
        uploads: InputUploads,
        delivery: ImageDelivery,
        finder: TaskFinder,
        *,
        memory: Admission,
        longest_work: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runware = runware
        self._uploads = uploads
        self._delivery = delivery
        self._finder = finder
        self._memory = memory
        self._longest_work = longest_work
        self._clock = clock
        self._monotonic = monotonic

    async def execute(self, prepared: Prepared, job: Job) -> Outcome:
        """Buy and deliver what was prepared, raising the first image's GatewayError where there is none."""
        spec, plan, context = prepared.spec, prepared.plan, prepared.context
        key = self._key_for(context)
        created, deadline = int(self._clock()), self._monotonic() + self._longest_work
        wanted = _Wanted(spec.model, created, spec.adjustments, spec.output, context, prepared.base, deadline)
        # Taken when the work begins, not when it is claimed: waiting requests hold only their inputs.
        memory = self._memory.take(context.tenant, count_held_bytes(spec, plan))
        try:
            if memory.waits:
                await memory.wait_turn()
            if len(plan.tasks) == 1:
                ends: Sequence[TaskEnd] = (await self._run_task(plan.tasks[0], plan.places[0], wanted, job, key),)
            else:
                ends = await self._run_tasks(plan, wanted, job, key)
        finally:
            memory.release()
        return _conclude(wanted, ends, job)

    async def resolve(self, record: Record, job: Job) -> Outcome:
        """Find out what became of a request that another process began, and deliver what was made."""
        key = self._runware.keys.key_of(record.tenant)
        if key is None:  # forgotten since the takeover: its caller is waited for again (0136)
            return Unresolved(job.request_id)
        found = await self._finder.find_tasks(record, key, job.bill)
        self._runware.keys.prove(record.tenant)
        wanted = _Wanted(found.model, int(record.created_at), found.adjustments, found.output, found.context)
        ends = await gather_in_order([self._deliver(place, result, wanted, job) for place, result in found.results])
        return _conclude(wanted, ends, job)

    def _key_for(self, context: RequestContext) -> RunwareKey:
        """The key that pays for a request."""
        # Its caller's own travels with it: whatever is forgotten meanwhile, its work can be paid for and collected.
        if context.runware_key is not None:
            return RunwareKey(context.runware_key, is_callers=True)
        key = self._runware.keys.key_of(context.tenant)
        if key is None:
            raise InternalError("The gateway has no Runware key for this request, and sent nothing.")
        return key

    async def _run_tasks(self, plan: Plan, wanted: _Wanted, job: Job, key: RunwareKey) -> Sequence[TaskEnd]:
        """Several side by side: what they share is uploaded, which for one would only be a second round trip."""
        plan, uploaded = await self._uploads.share(plan, key)
        ends: Sequence[TaskEnd] = ()
        try:
            work = zip(plan.tasks, plan.places, strict=True)
            ends = await gather_in_order([self._run_task(task, place, wanted, job, key) for task, place in work])
        finally:
            # A task that may still run at Runware reads its uploaded inputs later.
            if uploaded and not any(end.may_run for end in ends):
                self._uploads.release(uploaded, key)
        return ends

    async def _run_task(self, task: ImageTask, place: TaskPlace, wanted: _Wanted, job: Job, key: RunwareKey) -> TaskEnd:
        # Before it is sent: a fault from here on must not look free (0065).
        job.bill.open_task(task.task_uuid)
        with Stage("runware", {"model": wanted.model.id}):
            result = await self._runware.run_task(task, key, wanted.deadline, job.confirm)
        if result.images:
            self._runware.keys.prove(wanted.context.tenant)
        end = await self._deliver(place, result, wanted, job)
        if job.parts is not None and end.images:
            part = _to_answer(wanted, [end], job, job.bill.costs_of((place.task_id,)))
            job.parts.put(Part(place.first_index, part))
        return end

    async def _deliver(self, place: TaskPlace, result: TaskResult, wanted: _Wanted, job: Job) -> TaskEnd:
        """Book what a task cost, and deliver its images."""
        job.bill.add(place.task_id, result.costs, is_complete=result.is_billed)
        end, made = end_of(place, result)
        # Unresolved is no failure: this request is left to a takeover, which delivers what comes (0054).
        if end.is_unresolved or not made:
            return end
        return await self._delivery.deliver(wanted.output, made, end, wanted.context, wanted.base)


def _conclude(wanted: _Wanted, ends: Sequence[TaskEnd], job: Job) -> Outcome:
    """The outcome of all tasks, raising the first image's GatewayError where there is none."""
    lost = [end for end in ends if not end.images]
    # A task in doubt decides over its siblings: only "still processing" keeps the way to its image open (0054).
    if lost and any(end.is_unresolved for end in lost):
        return Unresolved(job.request_id)
    if len(lost) == len(ends):
        # An error only when there is no image at all: one image of ten is still paid for.
        raise min((one for end in ends for one in end.failed), key=lambda one: one.index).error
    if job.parts is not None and lost:
        # A stream tells of images one by one, so of a task without any too.
        costs = job.bill.costs_of((lost[0].place.task_id,))
        job.parts.put(Failed(job.request_id, lost[0].failed[0].error, Spent(total_cost(costs), known_cost(costs))))
    return Answered(_to_answer(wanted, ends, job, job.bill.costs))


def _to_answer(wanted: _Wanted, ends: Sequence[TaskEnd], job: Job, costs: Costs) -> Answer:
    result = build_result(wanted.created, wanted.adjustments, ends, wanted.output.lives)
    return Answer(job.request_id, wanted.model, result, costs)
