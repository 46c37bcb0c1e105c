"""A pure step of preparing a request: decide what will be made.

Every field is honored, changed, converted, emulated, dropped and stated, or refused. Each aspect (size, parameters,
composition, output, count) returns its decision and its adjustments in one call, and is asked only where a request or
its model has it; here the decisions meet, and the adjustments are added up.
"""

from collections.abc import Iterable, Mapping

from app.catalog.model import CatalogModel, Dimensions
from app.domain.answer import Adjustment
from app.domain.request import ImageRequest
from app.domain.spec import ImageSpec
from app.domain.values import replace
from app.domain.words import Delivery, JSONValue
from app.errors import InvalidRequestError
from app.planning.adjustments import dropped
from app.planning.composition import decide_composition
from app.planning.derived_size import SCALE_FACTOR, scale_request
from app.planning.output import (
    DEFAULT_RULES,
    OutputRules,
    check_output_size,
    decide_output,
    decide_storage,
)
from app.planning.parameters import Parameters, check_task, decide_parameters, decide_passthrough
from app.planning.plan import decide_count
from app.planning.size import decide_size
from app.planning.sizing import SizeChoice

MAX_PROMPT_CHARS = 32_000
"""OpenAI's limit, for models whose own is not known."""
_NO_PARAMETERS = Parameters({}, transparent=False)


def decide(
    request: ImageRequest,
    model: CatalogModel,
    *,
    default_delivery: Delivery,
    rules: OutputRules = DEFAULT_RULES,
    image_size: Dimensions | None = None,
    original_size: Dimensions | None = None,
) -> ImageSpec:
    """The spec for `request` on `model`, raising InvalidRequestError for what no adjustment can save.

    The request must have passed `check`. `image_size` is the first image's as the model sees it, `original_size` as it
    came, both upright.
    """
    prompt, about_prompt = decide_prompt(request, model)
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


def decide_shape(request: ImageRequest, model: CatalogModel, delivery: Delivery, rules: OutputRules) -> ImageSpec:
    """The spec for a request without a prompt that is nothing but a shape: see `plain`."""
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


def decide_prompt(request: ImageRequest, model: CatalogModel) -> tuple[str | None, tuple[Adjustment, ...]]:
    """The prompt that is sent, if any, raising InvalidRequestError for one that the model cannot have."""
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
