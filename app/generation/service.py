"""One request from end to end: the table of the architecture as code, read straight down."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from app.catalog.model import CatalogModel, Mode
from app.catalog.registry import Registry, UnknownModelError
from app.errors import GatewayError, NotFoundError
from app.generation.archive import dump_plan
from app.generation.collect import collect, merge_parts
from app.generation.deliver import DeliveryDesk
from app.generation.estimate import DryRun, chosen_quality, reference_sizes
from app.generation.fingerprint import TaskIds, fingerprint
from app.generation.normalize import check_request, follows_picture, normalize, refuse_when_strict
from app.generation.pictures import PictureDesk
from app.generation.plan import Plan, PlannedTask, build_plan
from app.generation.sharing import SharedPlan, SharingDesk
from app.generation.together import together
from app.generation.types import Adjustment, Answer, Circumstances, ImageRequest, ImageSpec
from app.generation.works import Costs, Work, Works
from app.images.fits import Ground
from app.journal.records import Intent, Record
from app.ledger.pricing import estimate
from app.runware.client import RunwareClient
from app.runware.errors import Kind

_LONGEST_WORK_SECONDS = 1800.0
"""How long a task is looked for after every caller has gone."""
_SILENCE_SECONDS = 15.0
"""Proxies cut connections that stay silent for a minute."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request ready to be sent."""

    requested_model: str
    spec: ImageSpec
    plan: Plan
    ground: Ground | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Part:
    """The answer of one task of a stream; its pictures are counted from `first_index`."""

    first_index: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer: parts as they come, None for a while of silence, an error at the end if one failed."""

    request_id: str
    model: CatalogModel
    adjustments: tuple[Adjustment, ...]
    parts: AsyncIterator[Part | GatewayError | None]


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator decides: models when none is named, the longest wait in seconds, links to Runware's own."""

    default_models: Mapping[Mode, str]
    request_timeout: float
    native_links: bool = True
    stores_prompts: bool = False


class ImageService:
    """Makes images. `clock` is unix seconds, `monotonic` the client's clock."""

    def __init__(
        self,
        *,
        registry: Registry,
        pictures: PictureDesk,
        sharing: SharingDesk,
        runware: RunwareClient,
        delivery: DeliveryDesk,
        task_ids: TaskIds,
        policy: Policy,
        works: Works,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._pictures = pictures
        self._sharing = sharing
        self._runware = runware
        self._delivery = delivery
        self._task_ids = task_ids
        self._policy = policy
        self._works = works
        self._clock = clock
        self._monotonic = monotonic

    async def run(self, request: ImageRequest, circumstances: Circumstances) -> Answer:
        """The answer to `request`, raising a GatewayError when there is no picture to give."""
        prepared = await self._prepare(request, circumstances)
        wait = min(circumstances.wait or self._policy.request_timeout, self._policy.request_timeout)
        return await self._works.answer(
            self._intent(request, prepared, circumstances), self._work(prepared, circumstances), wait
        )

    def leave(self, request_id: str, *, delivered: bool, answer: Answer | None = None) -> None:
        """A caller got his answer, or went without it."""
        self._works.leave(request_id, delivered=delivered, answer=answer)

    def _work(self, prepared: _Prepared, circumstances: Circumstances) -> Work:
        """All the work of a request, to be run apart from its caller."""

        async def work(request_id: str, costs: Costs) -> Answer:
            deadline = self._monotonic() + _LONGEST_WORK_SECONDS
            own = replace(circumstances, request_id=request_id)
            async with self._sharing.shared(prepared.plan) as share:
                return await self._carry_out(prepared, share.plan, share, own, deadline, costs)

        return work

    def _intent(self, request: ImageRequest, prepared: _Prepared, circumstances: Circumstances) -> Intent:
        spec, plan, key = prepared.spec, prepared.plan, circumstances.idempotency_key
        return Intent(
            request_id=circumstances.request_id,
            tenant=circumstances.tenant,
            key_hash=hashlib.sha256(key.encode()).hexdigest() if key is not None else None,
            fingerprint=prepared.fingerprint,
            endpoint="generations" if request.mode is Mode.GENERATE else "edits",
            model=prepared.requested_model,
            executed_model=spec.model.air,
            n=spec.count,
            task_ids=tuple(planned.task.task_uuid for planned in plan.tasks),
            estimate=None,
            plan=dump_plan(spec, plan, prepared.requested_model, circumstances.origin),
            retries=circumstances.retries,
            user=request.user,
            client_request_id=circumstances.client_request_id,
            prompt=request.prompt if self._policy.stores_prompts else None,
        )

    async def _carry_out(
        self,
        prepared: _Prepared,
        plan: Plan,
        share: SharedPlan,
        circumstances: Circumstances,
        deadline: float,
        costs: Costs,
    ) -> Answer:
        """Send the tasks of a plan and bring their pictures into form."""
        spec = prepared.spec
        results = await together([self._runware.run(planned.task, deadline) for planned in plan.tasks])
        for planned, result in zip(plan.tasks, results, strict=True):
            costs.add(planned.task.task_uuid, [picture.cost for picture in result.pictures])
        share.still_needed |= any(failure.kind is Kind.TIMEOUT for result in results for failure in result.failures)
        collected = collect(plan, results)
        delivered = await self._delivery.deliver(spec, collected.pictures, circumstances, prepared.ground)
        failures = sorted((*collected.failures, *delivered.failures), key=lambda failure: failure.index)
        return Answer(
            request_id=circumstances.request_id,
            created=int(self._clock()),
            model=spec.model,
            requested_model=prepared.requested_model,
            images=delivered.images,
            failures=tuple(failures),
            format=spec.format.delivered,
            cost=collected.cost,
            task_ids=tuple(planned.task.task_uuid for planned in plan.tasks),
            attempts=collected.attempts,
            adjustments=(*spec.adjustments, *delivered.adjustments),
        )

    async def stream(self, request: ImageRequest, circumstances: Circumstances) -> Stream:
        """The answer to `request` picture by picture, raising what can be refused before anything is sent."""
        prepared = await self._prepare(request, circumstances)
        queue: asyncio.Queue[Part | GatewayError | None] = asyncio.Queue()
        intent = self._intent(request, prepared, circumstances)
        claim = await self._works.claim(intent, self._work_in_parts(prepared, circumstances, queue))
        parts = _read_parts(queue) if claim.is_new else self._replay_parts(claim.record)
        return Stream(claim.record.id, prepared.spec.model, prepared.spec.adjustments, parts)

    async def _replay_parts(self, record: Record) -> AsyncIterator[Part | GatewayError | None]:
        """The parts of a request that was carried out before, or still is, elsewhere."""
        joining = asyncio.create_task(self._works.join(record, _LONGEST_WORK_SECONDS))
        while not joining.done():
            await asyncio.wait({joining}, timeout=_SILENCE_SECONDS)
            if not joining.done():
                yield None
        try:
            yield Part(0, joining.result())
        except GatewayError as error:
            yield error

    def _work_in_parts(
        self, prepared: _Prepared, circumstances: Circumstances, queue: asyncio.Queue[Part | GatewayError | None]
    ) -> Work:
        """All the work of a streamed request: every task by itself, each answer into the queue when it is there."""

        async def work(request_id: str, costs: Costs) -> Answer:
            deadline = self._monotonic() + _LONGEST_WORK_SECONDS
            own = replace(circumstances, request_id=request_id)
            parts: list[Part] = []
            errors: list[tuple[PlannedTask, GatewayError]] = []

            async def run(planned: PlannedTask) -> None:
                alone = Plan((planned,), planned.wanted)
                try:
                    answer = await self._carry_out(prepared, alone, share, own, deadline, costs)
                    parts.append(Part(planned.first_index, answer))
                    queue.put_nowait(parts[-1])
                except GatewayError as error:
                    errors.append((planned, error))

            try:
                async with self._sharing.shared(prepared.plan) as share:
                    await together([run(planned) for planned in share.plan.tasks])
                if errors:
                    queue.put_nowait(errors[0][1])
            finally:
                queue.put_nowait(None)  # the end
            return merge_parts([part.answer for part in sorted(parts, key=lambda part: part.first_index)], errors)

        return work

    async def estimate(self, request: ImageRequest, circumstances: Circumstances) -> DryRun:
        """What `request` would send and cost, raising the same refusals as `run`, without anything being sent."""
        prepared = await self._prepare(request, circumstances)
        spec, plan = prepared.spec, prepared.plan
        made = sum(planned.task.number_results for planned in plan.tasks)
        resolution = spec.fields.get("resolution")
        tier = resolution if isinstance(resolution, str) else None
        references = await asyncio.to_thread(reference_sizes, plan)
        price = estimate(spec.model, made, spec.size, tier, references, chosen_quality(spec))
        return DryRun(spec.model, made, price, plan, spec.adjustments)

    async def _prepare(self, request: ImageRequest, circumstances: Circumstances) -> _Prepared:
        """Everything before the first task is sent."""
        name = request.model or self._policy.default_models[request.mode]
        model = self._find(name)
        check_request(request, model, self._alternatives(request.mode))
        opened = await self._pictures.open(request, needs_size=follows_picture(request, model))
        spec = normalize(
            request,
            model,
            default_delivery=circumstances.default_delivery,
            native_links=self._policy.native_links,
            picture_size=opened.first_size,
        )
        fitted = await self._pictures.fit(opened, spec)
        if fitted.adjustments:
            spec = replace(spec, adjustments=(*spec.adjustments, *fitted.adjustments))
        if circumstances.strict:
            refuse_when_strict(spec.adjustments)
        print_ = await self._fingerprint(request, circumstances)
        plan = build_plan(spec, fitted.inputs, self._task_ids.of(circumstances, print_))
        return _Prepared(name, spec, plan, fitted.ground, print_)

    async def _fingerprint(self, request: ImageRequest, circumstances: Circumstances) -> str:
        if request.pictures:
            return await asyncio.to_thread(fingerprint, request, circumstances)
        return fingerprint(request, circumstances)

    def _find(self, name: str) -> CatalogModel:
        try:
            return self._registry.find(name)
        except UnknownModelError as error:
            hint = f" Did you mean {', '.join(error.nearest)}?" if error.nearest else ""
            message = f"The model `{name[:100]}` does not exist.{hint} GET /v1/models lists all."
            raise NotFoundError(message, param="model", code="model_not_found") from None

    def _alternatives(self, mode: Mode) -> Iterator[str]:
        return (model.id for model in self._registry.models if mode in model.modes and model.status == "live")


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
