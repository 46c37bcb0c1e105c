"""One request from end to end: the table of the architecture as code, read straight down."""

import asyncio
import time
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace

from app.catalog.model import CatalogModel, Mode
from app.catalog.registry import Registry, UnknownModelError
from app.errors import GatewayError, NotFoundError
from app.generation.collect import collect
from app.generation.deliver import DeliveryDesk
from app.generation.estimate import DryRun, reference_sizes
from app.generation.normalize import check_request, follows_picture, normalize, refuse_when_strict
from app.generation.pictures import PictureDesk
from app.generation.plan import Plan, PlannedTask, build_plan
from app.generation.together import together
from app.generation.types import Adjustment, Answer, Circumstances, ImageRequest, ImageSpec
from app.images.fits import Ground
from app.ledger.pricing import estimate
from app.runware.client import RunwareClient

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


class ImageService:
    """Makes images. `new_task_id` gives a version 4 UUID; `clock` is unix seconds, `monotonic` the client's clock."""

    def __init__(
        self,
        *,
        registry: Registry,
        pictures: PictureDesk,
        runware: RunwareClient,
        delivery: DeliveryDesk,
        new_task_id: Callable[[], str],
        default_models: dict[Mode, str],
        request_timeout: float,
        native_links: bool = True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._pictures = pictures
        self._runware = runware
        self._delivery = delivery
        self._new_task_id = new_task_id
        self._default_models = default_models
        self._request_timeout = request_timeout
        self._native_links = native_links
        self._background: set[asyncio.Task[Part | GatewayError]] = set()
        self._clock = clock
        self._monotonic = monotonic

    async def run(self, request: ImageRequest, circumstances: Circumstances) -> Answer:
        """The answer to `request`, raising a GatewayError when there is no picture to give."""
        deadline = self._monotonic() + self._request_timeout
        return await self._carry_out(await self._prepare(request, circumstances), circumstances, deadline)

    async def _carry_out(self, prepared: _Prepared, circumstances: Circumstances, deadline: float) -> Answer:
        """Send the tasks of a plan and bring their pictures into form."""
        spec, plan = prepared.spec, prepared.plan
        results = await together([self._runware.run(planned.task, deadline) for planned in plan.tasks])
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
        deadline = self._monotonic() + self._request_timeout
        prepared = await self._prepare(request, circumstances)
        return Stream(prepared.spec.model, prepared.spec.adjustments, self._parts(prepared, circumstances, deadline))

    async def _parts(
        self, prepared: _Prepared, circumstances: Circumstances, deadline: float
    ) -> AsyncIterator[Part | GatewayError | None]:
        """The tasks' answers as they end, None when nothing came for a while, and last the first failure."""
        plan = prepared.plan
        running = {
            asyncio.create_task(self._run_part(prepared, planned, circumstances, deadline)) for planned in plan.tasks
        }
        self._background |= running  # paid work goes on when nobody listens any more
        for task in running:
            task.add_done_callback(self._background.discard)
        failure: GatewayError | None = None
        while running:
            done, running = await asyncio.wait(running, timeout=_SILENCE_SECONDS, return_when=FIRST_COMPLETED)
            if not done:
                yield None
            for task in done:
                part = task.result()
                if isinstance(part, GatewayError):
                    failure = failure or part
                else:
                    yield part
        if failure is not None:
            yield failure

    async def _run_part(
        self, prepared: _Prepared, planned: PlannedTask, circumstances: Circumstances, deadline: float
    ) -> Part | GatewayError:
        try:
            alone = replace(prepared, plan=Plan((planned,), planned.wanted))
            return Part(planned.first_index, await self._carry_out(alone, circumstances, deadline))
        except GatewayError as error:
            return error

    async def estimate(self, request: ImageRequest, circumstances: Circumstances) -> DryRun:
        """What `request` would send and cost, raising the same refusals as `run`, without anything being sent."""
        prepared = await self._prepare(request, circumstances)
        spec, plan = prepared.spec, prepared.plan
        made = sum(planned.task.number_results for planned in plan.tasks)
        resolution = spec.fields.get("resolution")
        tier = resolution if isinstance(resolution, str) else None
        price = estimate(spec.model, made, spec.size, tier, await asyncio.to_thread(reference_sizes, plan))
        return DryRun(spec.model, made, price, plan, spec.adjustments)

    async def _prepare(self, request: ImageRequest, circumstances: Circumstances) -> _Prepared:
        """Everything before the first task is sent."""
        name = request.model or self._default_models[request.mode]
        model = self._find(name)
        check_request(request, model, self._alternatives(request.mode))
        opened = await self._pictures.open(request, needs_size=follows_picture(request, model))
        spec = normalize(
            request,
            model,
            default_delivery=circumstances.default_delivery,
            native_links=self._native_links,
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
