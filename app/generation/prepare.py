"""Everything before a request is claimed: its model, its images, its spec, its price and its plan.

Nothing is sent to Runware and nothing is written down here.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from app.catalog.model import CatalogModel, Mode
from app.catalog.registry import Registry, UnknownModelError
from app.database.money import write_money
from app.domain.request import ImageRequest, RequestContext
from app.domain.spec import ImageSpec
from app.errors import NotFoundError
from app.generation.inputs import InputImages
from app.generation.passthrough import PassedFields
from app.jobs.codec import StoredPlan, encode_plan
from app.journal.records import Intent
from app.ledger.pricing import Estimate, Order, estimate_price
from app.openai_api.parse import KNOWN_NAMES
from app.planning.decide import check_request, input_needs, normalize, refuse_when_strict
from app.planning.dry_run import DryRun, reference_sizes
from app.planning.fingerprint import TaskIds, fingerprint
from app.planning.output import default_delivery
from app.planning.output_limits import check_output_size
from app.planning.plan import Plan, build_plan
from app.planning.prepared import Prepared
from app.planning.spelling import refuse_misspelled
from app.webhooks.sender import WebhookSender

_LONGEST_TEXT = 200
"""What the journal keeps of names that callers choose."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for every request: models when none is named, the longest wait in seconds, links to Runware's own."""

    default_models: Mapping[Mode, str]
    request_timeout: float
    longest_work: float
    """Seconds after which a task that has not ended is left to whoever looks for abandoned ones."""
    max_output_pixels: int
    native_links: bool = True
    stores_prompts: bool = False


class Preparer:
    """Prepares requests; buys nothing, so that everything it refuses is free."""

    def __init__(
        self,
        *,
        registry: Registry,
        images: InputImages,
        passed: PassedFields,
        task_ids: TaskIds,
        policy: Policy,
        webhooks: WebhookSender,
    ) -> None:
        self._registry = registry
        self._images = images
        self._passed = passed
        self._task_ids = task_ids
        self._policy = policy
        self._webhooks = webhooks

    async def prepare(self, request: ImageRequest, context: RequestContext) -> Prepared:
        """`request` fitted to its model, raising what is wrong with it."""
        name = request.model or self._policy.default_models[request.mode]
        model = self._find(name)
        # Before anything is fetched or decoded: what is certain to be refused should cost nothing.
        refuse_misspelled(request.given, KNOWN_NAMES, self._registry.fields_of_family(model), model.id)
        check_request(request, model, self._alternatives(request.mode))
        if request.webhook_url is not None:
            await self._webhooks.check_webhook_url(request.webhook_url, context.tenant)
        opened = await self._images.open(request, context.tenant, input_needs(request, model), model)
        passed = await self._passed.settle(request.passthrough, context.tenant)
        spec = normalize(
            replace(request, passthrough=passed),
            model,
            default_delivery=default_delivery(request.model, context.default_delivery),
            native_links=self._policy.native_links,
            image_size=self._images.first_size(opened, model),
        )
        check_output_size(request, spec, self._policy.max_output_pixels, opened.first_size)
        fitted = await self._images.fit(opened, spec)
        if fitted.adjustments:
            spec = replace(spec, adjustments=(*spec.adjustments, *fitted.adjustments))
        # After the images were fitted, which may add adjustments; before anything is bought.
        if context.strict:
            refuse_when_strict(spec.adjustments)
        # Of the request as it came, not of the spec: a catalog update must not turn a retry into a new purchase (0063).
        fingerprint_ = await _fingerprint(request, context)
        plan = build_plan(spec, fitted.inputs, self._task_ids.of(context, fingerprint_))
        return Prepared(request, name, spec, plan, fitted.base, fingerprint_, await _price(spec, plan))

    async def estimate(self, request: ImageRequest, context: RequestContext) -> DryRun:
        """What `request` would send and cost, raising the same refusals as `prepare`."""
        prepared = await self.prepare(request, context)
        made = _count_made(prepared.plan)
        return DryRun(prepared.spec.model, made, prepared.price, prepared.plan, prepared.spec.adjustments)

    def intend(self, prepared: Prepared, context: RequestContext) -> Intent:
        """What the journal must know before anything is sent."""
        spec, plan, key, request = prepared.spec, prepared.plan, context.idempotency_key, prepared.request
        return Intent(
            request_id=context.request_id,
            tenant=context.tenant,
            # Hashed: keys may contain private data, and the journal needs only to compare them.
            key_hash=hashlib.sha256(key.encode()).hexdigest() if key is not None else None,
            fingerprint=prepared.fingerprint,
            endpoint="generations" if request.mode is Mode.GENERATE else "edits",
            model=_storable(prepared.requested_model) or "",
            executed_model=spec.model.air,
            n=spec.count,
            task_ids=tuple(planned.task.task_uuid for planned in plan.tasks),
            estimate=write_money(prepared.price.total),
            plan=encode_plan(StoredPlan(context.origin, plan.places, spec.output, spec.adjustments)),
            retries=context.retries,
            user=_storable(request.user),
            client_request_id=_storable(context.client_request_id),
            prompt=request.prompt.replace("\x00", "") if request.prompt and self._policy.stores_prompts else None,
            webhook_url=request.webhook_url,
        )

    def _find(self, name: str) -> CatalogModel:
        try:
            return self._registry.find(name)
        except UnknownModelError as error:
            hint = f" Did you mean {', '.join(error.nearest)}?" if error.nearest else ""
            message = f"The model `{name[:100]}` does not exist.{hint} GET /v1/models lists all."
            raise NotFoundError(message, param="model", code="model_not_found") from None

    def _alternatives(self, mode: Mode) -> Iterator[str]:
        """Models that do it, the operator's defaults first."""
        defaults = self._registry.defaults
        others = (one for one in self._registry.models if one.recommendable and one not in defaults)
        return (model.id for model in chain(defaults, others) if mode in model.modes)


async def _fingerprint(request: ImageRequest, context: RequestContext) -> str:
    if request.images:
        return await asyncio.to_thread(fingerprint, request, context)
    return fingerprint(request, context)


async def _price(spec: ImageSpec, plan: Plan) -> Estimate:
    references = await asyncio.to_thread(reference_sizes, plan) if plan.tasks[0].task.inputs else []
    return estimate_price(spec.model, Order(_count_made(plan), spec.output.size, references, spec.fields))


def _count_made(plan: Plan) -> int:
    return sum(planned.task.number_results for planned in plan.tasks)


def _storable(text: str | None) -> str | None:
    """A caller's word as every database takes it: short, and without the character PostgreSQL refuses."""
    return None if text is None else text.replace("\x00", "")[:_LONGEST_TEXT]
