"""One request from end to end: the table of the architecture as code, read straight down."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from app.catalog.model import CatalogModel, Mode
from app.catalog.registry import Registry, UnknownModelError
from app.errors import GatewayError, NotFoundError
from app.generation.collect import collect
from app.generation.deliver import DeliveryDesk
from app.generation.estimate import DryRun, chosen_quality, reference_sizes
from app.generation.normalize import check_request, follows_picture, normalize, refuse_when_strict
from app.generation.pictures import PictureDesk
from app.generation.plan import Plan, PlannedTask, build_plan
from app.generation.sharing import SharedPlan, SharingDesk
from app.generation.together import together
from app.generation.types import Adjustment, Answer, Circumstances, ImageRequest, ImageSpec
from app.images.fits import Ground
from app.ledger.pricing import estimate
from app.runware.client import RunwareClient
from app.runware.errors import Kind

_SILENCE_SECONDS = 15.0
"""Proxies cut connections that stay silent for a minute."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request ready to be sent."""

    requested_model: str
    spec: ImageSpec
    plan: Plan
    ground: Ground | None


@dataclass(frozen=True, slots=True)
class Part:
    """The answer of one task of a stream; its pictures are counted from `first_index`."""

    first_index: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer: parts as they come, None for a while of silence, an error at the end if one failed."""

    model: CatalogModel
    adjustments: tuple[Adjustment, ...]
    parts: AsyncIterator[Part | GatewayError | None]


@dataclass(frozen=True, slots=True)
class Policy:
    """What an operator decides: models when none is named, the longest wait in seconds, links to Runware's own."""

    default_models: Mapping[Mode, str]
    request_timeout: float
    native_links: bool = True


class ImageService:
    """Makes images. `new_task_id` gives a version 4 UUID; `clock` is unix seconds, `monotonic` the client's clock."""

    def __init__(
        self,
        *,
        registry: Registry,
        pictures: PictureDesk,
        sharing: SharingDesk,
        runware: RunwareClient,
        delivery: DeliveryDesk,
        new_task_id: Callable[[], str],
        policy: Policy,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._pictures = pictures
        self._sharing = sharing
        self._runware = runware
        self._delivery = delivery
        self._new_task_id = new_task_id
        self._policy = policy
        self._background: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._monotonic = monotonic

    async def run(self, request: ImageRequest, circumstances: Circumstances) -> Answer:
        """The answer to `request`, raising a GatewayError when there is no picture to give."""
        deadline = self._monotonic() + self._policy.request_timeout
        prepared = await self._prepare(request, circumstances)
        async with self._sharing.shared(prepared.plan) as share:
            return await self._carry_out(prepared, share.plan, share, circumstances, deadline)

    async def _carry_out(
        self, prepared: _Prepared, plan: Plan, share: SharedPlan, circumstances: Circumstances, deadline: float
    ) -> Answer:
        """Send the tasks of a plan and bring their pictures into form."""
        spec = prepared.spec
        results = await together([self._runware.run(planned.task, deadline) for planned in plan.tasks])
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
        deadline = self._monotonic() + self._policy.request_timeout
        prepared = await self._prepare(request, circumstances)
        return Stream(prepared.spec.model, prepared.spec.adjustments, self._parts(prepared, circumstances, deadline))

    async def _parts(
        self, prepared: _Prepared, circumstances: Circumstances, deadline: float
    ) -> AsyncIterator[Part | GatewayError | None]:
        """The tasks' answers as they end, None when nothing came for a while, and last the first failure."""
        queue: asyncio.Queue[Part | GatewayError | None] = asyncio.Queue()
        running = asyncio.create_task(self._run_parts(prepared, circumstances, deadline, queue))
        self._background.add(running)  # paid work goes on when nobody listens any more
        running.add_done_callback(self._background.discard)
        running.add_done_callback(lambda _: queue.put_nowait(None))  # the end
        failure: GatewayError | None = None
        while True:
            try:
                part = await asyncio.wait_for(queue.get(), _SILENCE_SECONDS)
            except TimeoutError:
                yield None
                continue
            if part is None:
                break
            if isinstance(part, GatewayError):
                failure = failure or part
            else:
                yield part
        running.result()
        if failure is not None:
            yield failure

    async def _run_parts(
        self,
        prepared: _Prepared,
        circumstances: Circumstances,
        deadline: float,
        queue: asyncio.Queue[Part | GatewayError | None],
    ) -> None:
        """Run every task by itself and put its answer, or its failure, into the queue."""

        async def run(planned: PlannedTask) -> None:
            alone = Plan((planned,), planned.wanted)
            try:
                answer = await self._carry_out(prepared, alone, share, circumstances, deadline)
                queue.put_nowait(Part(planned.first_index, answer))
            except GatewayError as error:
                queue.put_nowait(error)

        async with self._sharing.shared(prepared.plan) as share:
            await together([run(planned) for planned in share.plan.tasks])

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
        plan = build_plan(spec, fitted.inputs, lambda _: self._new_task_id())
        return _Prepared(name, spec, plan, fitted.ground)

    def _find(self, name: str) -> CatalogModel:
        try:
            return self._registry.find(name)
        except UnknownModelError as error:
            hint = f" Did you mean {', '.join(error.nearest)}?" if error.nearest else ""
            message = f"The model `{name[:100]}` does not exist.{hint} GET /v1/models lists all."
            raise NotFoundError(message, param="model", code="model_not_found") from None

    def _alternatives(self, mode: Mode) -> Iterator[str]:
        return (model.id for model in self._registry.models if mode in model.modes and model.status == "live")
