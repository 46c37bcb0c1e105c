"""Everything before a request is claimed: its model, its images, its spec, its price and its plan.

Nothing is sent to Runware and nothing is written down here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from app.access.model_access import check_model
from app.catalog.model import CatalogModel
from app.catalog.modes import Mode
from app.catalog.registry import Registry
from app.domain.caller import ApiKey
from app.domain.context import RequestContext
from app.domain.lifetimes import Lifetimes
from app.domain.request import ImageRequest, UploadedImage
from app.domain.spec import ImageSpec
from app.domain.values import replace
from app.domain.words import Delivery
from app.errors import NotFoundError
from app.generation.inputs import InputImages
from app.generation.opening import NO_INPUTS, OpenedInputs
from app.openai_api.vocabulary import KNOWN_NAMES
from app.planning.bind import bind
from app.planning.callers_key import refuse_key_in
from app.planning.check import InputNeeds, check
from app.planning.decide import decide
from app.planning.dry_run import DryRun
from app.planning.fingerprint import TaskIds
from app.planning.output import DEFAULT_RULES, OutputRules
from app.planning.plain import PlainRequests
from app.planning.plan import NO_FITTED_INPUTS
from app.planning.prepared import Prepared
from app.planning.spelling import refuse_misspelled
from app.runware.tasks import ImageTask
from app.settings.load import Settings
from app.webhooks.sender import WebhookSender


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for every request: models when none is named, the longest wait in seconds, links to Runware's own."""

    default_models: Mapping[Mode, str]
    request_timeout: float
    longest_work: float
    """Seconds after which a task that has not ended is left to the search for abandoned ones."""
    max_output_pixels: int
    native_links: bool = True
    stores_prompts: bool = False
    lives: Lifetimes = DEFAULT_RULES.lives
    """How long images stay, where neither key nor request says."""

    @property
    def longest_wait(self) -> float:
        """The seconds a caller waits that is given signs of life meanwhile."""
        return max(self.longest_work, self.request_timeout)

    def wait_of(self, context: RequestContext) -> float:
        """The seconds a caller waits for its answer."""
        return min(context.wait or self.request_timeout, self.request_timeout)


def policy_of(settings: Settings, longest_work: float) -> Policy:
    """The policy of a gateway with these settings; `longest_work` is in seconds."""
    models = settings.models
    return Policy(
        {Mode.GENERATE: models.default_model, Mode.EDIT: models.default_edit_model},
        settings.upstream.request_timeout,
        longest_work,
        settings.images.max_output_pixels,
        native_links=not settings.images.host_all_images,
        stores_prompts=settings.journal.store_prompts,
        lives=Lifetimes(settings.images.media_ttl, settings.result_ttl),
    )


class Preparer:
    """Prepares requests; buys nothing, so that everything it refuses is free."""

    def __init__(
        self, *, registry: Registry, inputs: InputImages, task_ids: TaskIds, policy: Policy, webhooks: WebhookSender
    ) -> None:
        self._registry = registry
        self._inputs = inputs
        self._task_ids = task_ids
        self._policy = policy
        self._webhooks = webhooks
        self._plain = PlainRequests()
        self._rules = OutputRules(policy.native_links, policy.max_output_pixels, policy.lives)

    async def prepare(self, request: ImageRequest, context: RequestContext) -> Prepared:
        """`request` fitted to its model, raising what is wrong with it."""
        if context.runware_key is not None:
            refuse_key_in(request, context.client_request_id, context.runware_key)
        name = request.model or self._policy.default_models[request.mode]
        model = self._registry.seek_model(name)
        if model is None:
            raise self._unknown_model(name)
        if context.key is not None:
            check_model(context.key, model)
        # Looked for only where a name is unknown, which is rare: a model's family has hundreds of fields.
        if not request.given <= KNOWN_NAMES:
            refuse_misspelled(request.given, KNOWN_NAMES, self._registry.fields_of_family(model), model.id)
        rules = self._rules if context.key is None else self._rules_for(context.key)
        common = self._plain.find(request, model, context.default_delivery, rules)
        opened = NO_INPUTS
        if common is None:
            # Before anything is fetched or decoded: what is certain to be refused should cost nothing.
            needs = check(request, model, self._alternatives(request.mode))
            opened = await self._open(request, context.tenant, needs, model)
            common = self._plain.learn(request, model, context.default_delivery, rules)
        if common is None:
            spec = _decide(request, model, context.default_delivery, rules, opened)
        else:
            spec = common.spec_of(request)
        if context.key is not None and context.key.defaults:
            spec = _without_defaults(spec, context.key.defaults.keys() - request.given)
        fitted = NO_FITTED_INPUTS
        if opened.images or spec.blank is not None:
            fitted = await self._inputs.fit(opened, spec, context.tenant)
        # The fingerprint is made of hashes that images came with: nothing here reads their bytes.
        prepared = bind(request, name, spec, fitted, context, self._task_ids, common)
        if opened.images:
            _let_go(request, prepared.plan.tasks[0])
        return replace(prepared, kept_prompt=request.prompt) if self._policy.stores_prompts else prepared

    def _rules_for(self, key: ApiKey) -> OutputRules:
        """The rules for what a key asks for: its images may stay for a time of their own."""
        if key.limits.media_ttl is None and key.limits.result_ttl is None:
            return self._rules
        usual = self._rules.lives
        lives = Lifetimes(key.limits.media_ttl or usual.link, key.limits.result_ttl or usual.result)
        return replace(self._rules, lives=lives)

    async def estimate_request(self, request: ImageRequest, context: RequestContext) -> DryRun:
        """What `request` would send and cost, raising the same refusals as `prepare`."""
        prepared = await self.prepare(request, context)
        spec, plan = prepared.spec, prepared.plan
        made = spec.output.composition.size if spec.output.composition is not None else spec.output.size
        return DryRun(spec.model, plan.images_made, prepared.price, plan, spec.adjustments, made)

    def _unknown_model(self, name: str) -> NotFoundError:
        hint = self._registry.refusal_of(name).hint
        message = f"The model `{name[:100]}` does not exist.{hint} GET /v1/models lists all."
        return NotFoundError(message, param="model", code="model_not_found")

    def _alternatives(self, mode: Mode) -> Iterator[str]:
        """Models that do it, the operator's defaults first; looked for only when one is asked for."""
        defaults = self._registry.defaults
        others = (one for one in self._registry.models if one.recommendable and one not in defaults)
        yield from (model.id for model in chain(defaults, others) if mode in model.modes)

    async def _open(self, request: ImageRequest, tenant: str, needs: InputNeeds, model: CatalogModel) -> OpenedInputs:
        """The inputs of the request, and a look at where its webhook goes."""
        # Before anything is bought: a webhook that cannot be called would leave a paid answer that nobody hears of.
        if request.webhook_url is not None:
            await self._webhooks.check_webhook_url(request.webhook_url, tenant)
        if not request.images and not request.passthrough:
            return NO_INPUTS
        return await self._inputs.open(request, tenant, needs, model)


def _let_go(request: ImageRequest, task: ImageTask) -> None:
    """Free the bytes of uploads that were made into something else, which nobody looks at any more (0208)."""
    kept = {id(image.content) for image in task.inline_images}
    for image in (*request.images, request.mask, request.markup):
        if isinstance(image, UploadedImage) and id(image.content) not in kept:
            image.content.let_go()


def _decide(
    request: ImageRequest, model: CatalogModel, delivery: Delivery, rules: OutputRules, opened: OpenedInputs
) -> ImageSpec:
    return decide(
        replace(request, passthrough=opened.passthrough) if request.passthrough else request,
        model,
        default_delivery=delivery,
        rules=rules,
        image_size=opened.fitting_size,
        original_size=opened.first_size,
    )


def _without_defaults(spec: ImageSpec, silent: Collection[str]) -> ImageSpec:
    """The spec without a word of what only the defaults of the key asked for: the caller did not (0124)."""
    return replace(spec, adjustments=tuple(one for one in spec.adjustments if one.param not in silent))
