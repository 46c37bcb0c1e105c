"""Two pure steps of preparing a request: decide what will be made, and bind that to task ids and a price.

Every field is honored, changed, converted, emulated, dropped and stated, or refused. Each aspect (size, parameters,
composition, output, count) returns its decision and its adjustments in one call, and is asked only where a request or
its model has it; here the decisions meet, and the adjustments are added up.
"""

import math
from collections.abc import Iterable, Mapping

from msgspec import structs

from app.catalog.model import CatalogModel, Dimensions
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.context import RequestContext
from app.domain.request import ImageRequest, Shape
from app.domain.spec import ImageSpec
from app.domain.values import replace
from app.domain.words import Delivery, JSONValue
from app.errors import InvalidRequestError
from app.ledger.order import Order
from app.ledger.pricing import PriceMemory, estimate_price
from app.planning.adjustments import dropped
from app.planning.composition import decide_composition
from app.planning.derived_size import SCALE_FACTOR, scale_request
from app.planning.dry_run import reference_sizes
from app.planning.fingerprint import TaskIds, fingerprint
from app.planning.output import (
    DEFAULT_RULES,
    OutputRules,
    check_output_size,
    decide_output,
    decide_storage,
)
from app.planning.parameters import Parameters, check_task, decide_parameters, decide_passthrough
from app.planning.plan import FittedInputs, build_plan, decide_count
from app.planning.prepared import Prepared
from app.planning.size import decide_size
from app.planning.sizing import SizeChoice
from app.planning.validation import check_fields

MAX_PROMPT_CHARS = 32_000
"""OpenAI's limit, for models whose own is not known."""
_NO_PARAMETERS = Parameters({}, transparent=False)
_SPECS_KEPT, _LONGEST_TEXT = 1024, 32


def decide(
    request: ImageRequest,
    model: CatalogModel,
    *,
    default_delivery: Delivery,
    rules: OutputRules = DEFAULT_RULES,
    image_size: Dimensions | None = None,
    original_size: Dimensions | None = None,
    memory: "SpecMemory | None" = None,
) -> ImageSpec:
    """The spec for `request` on `model`, raising InvalidRequestError for what no adjustment can save.

    The request must have passed `check`. `image_size` is the first image's as the model sees it, `original_size` as it
    came, both upright. What `memory` knows is not decided anew.
    """
    prompt, about_prompt = _decide_prompt(request, model)
    if memory is not None and _is_plain(request, model):
        spec = memory.spec_of(model, _shape_of(request), default_delivery, rules)
        if request.seed is not None and model.parameters.seed is not None:
            check_fields({model.parameters.seed: request.seed}, model.fields, {})
        return replace(spec, prompt=prompt, seed=request.seed, adjustments=(*about_prompt, *spec.adjustments))
    scaled, about_scale = request, tuple[Adjustment, ...]()
    if request.parameter(SCALE_FACTOR) is not None:
        scaled, about_scale = scale_request(request, model, image_size)
    spec = _decide_spec(scaled, model, prompt, default_delivery, rules, image_size)
    # By the request as it came: the refusal names the field the caller wrote, not what a factor became.
    check_output_size(request, spec, rules.max_pixels, original_size)
    about_ignored = [dropped(field.param, field.value, field.reason) for field in request.ignored]
    if not (about_scale or about_ignored or about_prompt or request.names):
        return spec
    adjustments = (*about_scale, *about_ignored, *about_prompt, *spec.adjustments)
    return replace(spec, adjustments=_in_callers_names(adjustments, request.names))


def _is_plain(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether nothing but the model and the shape of the request decides, beside the length of its prompt."""
    brings = request.images or request.mask or request.markup or request.passthrough
    # A seed only has to be legal where the model takes one; where it does not, its value is reported.
    is_chosen = request.seed is not None and model.parameters.seed is None
    # What the caller wrote is remembered with its size, and may be as long as a body.
    size = request.size
    is_long = size.ignored or len(size.text) + len(size.area_text) > _LONGEST_TEXT
    rest = is_chosen or is_long or request.names or request.ignored or model.exclusive
    return not (brings or rest) and all(_is_short(value) for _, value in request.parameters)


def _is_short(value: JSONValue) -> bool:
    """Whether a value of a parameter may be remembered."""
    return len(value) <= _LONGEST_TEXT if isinstance(value, str) else isinstance(value, int | float)


def _shape_of(request: ImageRequest) -> Shape:
    return Shape(
        request.mode,
        # The name only where it decides: every spelling of it would be remembered otherwise.
        model=request.model if request.delivery is None else None,
        count=request.count,
        size=request.size,
        delivery=request.delivery,
        format=request.format,
        compression=request.compression,
        background=request.background,
        fit=request.fit,
        parameters=request.parameters,
        stream=request.stream,
        ttl=request.ttl,
    )


class SpecMemory:
    """The specs of plain requests, for one catalog. Bounded, since callers choose the shapes."""

    def __init__(self) -> None:
        self._specs: dict[tuple[str, Shape, Delivery, OutputRules], ImageSpec] = {}

    def spec_of(self, model: CatalogModel, shape: Shape, delivery: Delivery, rules: OutputRules) -> ImageSpec:
        """The spec of every plain request of this shape, but for its prompt."""
        key = (model.air, shape, delivery, rules)
        spec = self._specs.get(key)
        if spec is None:
            spec = _decide_plain(model, shape, delivery, rules)
            if len(self._specs) >= _SPECS_KEPT:
                self._specs.pop(next(iter(self._specs)))
            self._specs[key] = spec
        return spec


# Made of the shape alone, so that nothing else of a request can be remembered and given to another (0071).
def _decide_plain(model: CatalogModel, shape: Shape, delivery: Delivery, rules: OutputRules) -> ImageSpec:
    request = ImageRequest(prompt=None, **structs.asdict(shape))
    spec = _decide_spec(request, model, None, delivery, rules, None)
    check_output_size(request, spec, rules.max_pixels)
    return spec


def _decide_spec(
    request: ImageRequest,
    model: CatalogModel,
    prompt: str | None,
    delivery: Delivery,
    rules: OutputRules,
    image_size: Dimensions | None,
) -> ImageSpec:
    """The decisions of all further aspects, and what each adjusts."""
    parameters, about_parameters = _decide_parameters(request, model)
    size, about_size = decide_size(request, model, image_size)
    composition, about_composition = decide_composition(request, model, size, image_size)
    merged, about_fields = _decide_fields(request, model, parameters, size, prompt)
    per_task, about_count = decide_count(request, model)
    output, about_output = decide_output(
        request, model, size.size, merged, composition, delivery, rules, transparent=parameters.transparent
    )
    # After the output, which decides whether the link is Runware's own.
    fields = decide_storage(merged, output)
    about_made = (*about_parameters, *about_size, *about_composition, *about_fields)
    return ImageSpec(
        model=model,
        prompt=prompt,
        count=request.count,
        per_task=per_task,
        output=output,
        seed=request.seed if model.parameters.seed else None,
        fields=fields,
        blank=size.blank,
        reference_shape=size.reference_shape,
        adjustments=(*about_made, *about_output, *about_count),
    )


def bind(
    request: ImageRequest,
    requested_model: str,
    spec: ImageSpec,
    inputs: FittedInputs,
    context: RequestContext,
    task_ids: TaskIds,
    prices: PriceMemory | None = None,
) -> Prepared:
    """The request ready to be sent: its tasks with their ids, its fingerprint and its price.

    Prices that `prices` knows are not computed anew. Raises InvalidRequestError for a strict request that something was
    changed or dropped of.
    """
    if inputs.adjustments:
        spec = replace(spec, adjustments=(*spec.adjustments, *inputs.adjustments))
    # After the images were fitted, which may add adjustments; before anything is bought.
    if context.strict:
        _refuse_adjusted(spec.adjustments)
    # Of the request as it came, not of the spec: a catalog update must not turn a retry into a new purchase (0063).
    fingerprint_ = fingerprint(request, context)
    # Known before the tasks are: ids that follow from a key do not depend on what is in them (0064).
    tasks = math.ceil(spec.count / spec.per_task)
    plan = build_plan(spec, inputs, task_ids.of(context, fingerprint_, tasks))
    # Of the images as they are sent: Runware bills what it gets, not what the caller had.
    references = reference_sizes(plan) if inputs.images else ()
    order = Order(spec.model, plan.images_made, spec.output.size, references, spec.fields)
    price = estimate_price(order) if prices is None else prices.estimate(order)
    return Prepared(request, context, requested_model, spec, plan, inputs.base, fingerprint_, price)


def _decide_parameters(request: ImageRequest, model: CatalogModel) -> tuple[Parameters, tuple[Adjustment, ...]]:
    if request.parameters or request.background or request.seed is not None or model.choices:
        return decide_parameters(request, model)
    return _NO_PARAMETERS, ()


def _decide_fields(
    request: ImageRequest, model: CatalogModel, parameters: Parameters, size: SizeChoice, prompt: str | None
) -> tuple[Mapping[str, JSONValue], tuple[Adjustment, ...]]:
    """All further fields of the task, judged by the rules of the model."""
    fields, adjustments = parameters.fields, tuple[Adjustment, ...]()
    if size.size is None and size.tier is not None:
        fields = {**fields, "resolution": size.tier}
    if request.passthrough:
        fields, adjustments = decide_passthrough(request.passthrough, fields)
    # After everything was merged: two legal fields may be illegal together.
    if fields or request.seed is not None or model.exclusive:
        check_task(request, model, fields, prompt)
    return fields, adjustments


def _in_callers_names(adjustments: Iterable[Adjustment], names: Mapping[str, str]) -> tuple[Adjustment, ...]:
    """The adjustments with each field called what the caller called it."""
    if not names:
        return tuple(adjustments)
    return tuple(replace(one, param=names.get(one.param, one.param)) for one in adjustments)


def _refuse_adjusted(adjustments: Iterable[Adjustment]) -> None:
    """Raise InvalidRequestError for the first field that was changed or dropped."""
    for adjustment in adjustments:
        # Converted and emulated give exactly what was asked for, by another way.
        if adjustment.mode in {AdjustmentMode.CHANGED, AdjustmentMode.DROPPED}:
            message = f"Strict mode: `{adjustment.param}` cannot be honored exactly. {adjustment.reason}"
            raise InvalidRequestError(message, param=adjustment.param, code="unsupported_value")


def _decide_prompt(request: ImageRequest, model: CatalogModel) -> tuple[str | None, tuple[Adjustment, ...]]:
    prompt, rules = request.prompt, model.prompt
    is_empty = prompt is None or not prompt.strip()
    if rules.use == "none":
        return None, () if is_empty else (dropped("prompt", prompt, f"{model.id} takes no prompt."),)
    if prompt is None or is_empty:
        if rules.use == "optional":
            return None, ()
        message = "`prompt` is missing: describe the image you want."
        raise InvalidRequestError(message, param="prompt", code="missing_required_parameter")
    low, high = rules.min_chars or 1, rules.max_chars or MAX_PROMPT_CHARS
    if len(prompt) > high:
        message = f"`prompt` is too long: {len(prompt)} characters; {model.id} takes up to {high}."
        raise InvalidRequestError(message, param="prompt", code="string_above_max_length")
    if len(prompt) < low:
        message = f"`prompt` is too short: {len(prompt)} characters; {model.id} takes at least {low}."
        raise InvalidRequestError(message, param="prompt", code="string_below_min_length")
    return prompt, ()
