"""Fits a request to a model: every field is honored, changed, converted, emulated, dropped and reported, or refused.

Pure. Leaves sizes to `sizing`, parameters to `parameters`, wording to `adjustments`, and the tasks to `plan`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from app.catalog.model import CatalogModel, Mode
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import Delivery, ImageFormat, ImageRequest, JSONValue, LinkedImage, SizeRequest
from app.domain.spec import Composition, ImageSpec, OutputSpec
from app.errors import InvalidRequestError
from app.planning.adjustments import dropped, report_blank, report_count, report_finish, report_platform, report_size
from app.planning.capabilities import is_emulated, is_from_text, sends_size, starts_from_blank
from app.planning.composition import check_fit, plan_finish, reference_shape
from app.planning.outpaint import extend_size, report_extension
from app.planning.output import check_upload, makes_vectors, plan_format, promises_transparency
from app.planning.parameters import merge_passthrough, translate_parameters
from app.planning.scaling import report_scaling, scale_request, wants_scaling
from app.planning.sizing import SizeChoice, choose_blank, choose_size, nearest_tier
from app.planning.validation import check_fields

MAX_PROMPT_CHARS = 32_000
"""OpenAI's limit, for models whose own is not known."""


@dataclass(frozen=True, slots=True)
class InputNeeds:
    """What must be known of the input images before anything can be decided."""

    first_size: bool = False
    """The size of the first image: where it is not to be had, the default size stands in."""
    first_pixels: bool = False
    """The first image itself: something is drawn over it or pasted into it."""
    mask_as_is: bool = False
    """The mask goes to the provider as it was named."""


def input_needs(request: ImageRequest, model: CatalogModel) -> InputNeeds:
    """What has to be looked at for `request` on `model`."""
    takes_mask = model.images is not None and model.images.mask
    named = isinstance(request.mask, LinkedImage) and (request.mask_is_native or request.mask.is_id)
    shapeless = request.size.exact is None and request.size.ratio is None
    return InputNeeds(
        first_size=wants_scaling(request, model) or (bool(request.images) and shapeless and sends_size(request, model)),
        first_pixels=request.markup is not None
        or (request.mask is not None and not takes_mask)
        or reference_shape(request, model) is not None,
        mask_as_is=named and takes_mask and request.markup is None,
    )


def check_request(request: ImageRequest, model: CatalogModel, alternatives: Iterable[str] = ()) -> None:
    """Raise InvalidRequestError for what a model cannot do at all, before any image is fetched or decoded.

    `alternatives` are models that can.
    """
    _check_mode(request, model, alternatives)
    _check_tool(request, model)
    _check_images(request, model)
    check_fit(request, model)


def normalize(
    request: ImageRequest,
    model: CatalogModel,
    *,
    default_delivery: Delivery,
    native_links: bool = True,
    image_size: tuple[int, int] | None = None,
) -> ImageSpec:
    """The spec for `request` on `model`, raising InvalidRequestError for what no adjustment can save.

    The request must have passed `check_request`. `native_links` allows links to the provider's own images;
    `image_size` is the first image's, upright.
    """
    request, report = scale_request(request, model, image_size)
    report += [dropped(field.param, field.value, field.reason) for field in request.ignored]
    prompt = _check_prompt(request, model, report)
    choice = _choose(request, model, image_size)
    fields = translate_parameters(request, model, report)
    tier = _own_resolution(request, model, choice)
    if tier is not None:
        fields["resolution"] = tier
    finish = plan_finish(request, model, choice, image_size)
    blank = choice.size or choose_blank(model, request.size) if is_emulated(request, model) else None
    report += _report_dimensions(request, model, choice, tier, finish, blank)
    report += report_extension(extend_size(request.size, request.passthrough, image_size), choice, model.id)
    merge_passthrough(request.passthrough, fields, report)
    # After everything was merged: two legal fields may be illegal together.
    _check_own_fields(request, model, fields, prompt)
    # OpenAI's SDKs read base64 from a stream and nothing else.
    delivery = Delivery.EMBEDDED if request.stream else request.delivery or default_delivery
    if request.stream and request.delivery not in {None, Delivery.EMBEDDED}:
        asked = "url" if request.delivery is Delivery.LINK else "dataURI"
        report.append(dropped("response_format", asked, "A stream carries the images themselves."))
    format_plan = plan_format(request, model, report, finished=finish is not None)
    transparent = promises_transparency(request, model, fields, report, format_plan.delivered)
    native_link = native_links and delivery is Delivery.LINK and not format_plan.converts and finish is None
    check_upload(fields, format_plan, finished=finish is not None)
    report += report_platform(fields, native_link=native_link)
    # `ttl` is about Runware's own link; where the caller gets ours it would delete the image before we fetch it.
    fields = {name: value for name, value in fields.items() if name != "ttl" or native_link}
    report += report_count(request.count, model)
    return ImageSpec(
        model=model,
        prompt=prompt,
        count=request.count,
        output=OutputSpec(
            choice.size, delivery, native_link, format_plan, finish, transparent, link_seconds=_ttl_of(fields)
        ),
        seed=request.seed if model.parameters.seed else None,
        fields=fields,
        blank=blank,
        splits=request.stream,
        reference_shape=reference_shape(request, model),
        adjustments=tuple(replace(one, param=request.names.get(one.param, one.param)) for one in report),
    )


def _ttl_of(fields: Mapping[str, JSONValue]) -> int | None:
    """How long Runware's own link lives, where the caller said."""
    ttl = fields.get("ttl")
    return ttl if isinstance(ttl, int) else None


def refuse_when_strict(adjustments: Iterable[Adjustment]) -> None:
    """Raise InvalidRequestError for the first field that was changed or dropped."""
    for adjustment in adjustments:
        # Converted and emulated give exactly what was asked for, by another way.
        if adjustment.mode in {AdjustmentMode.CHANGED, AdjustmentMode.DROPPED}:
            message = f"Strict mode: `{adjustment.param}` cannot be honored exactly. {adjustment.reason}"
            raise InvalidRequestError(message, param=adjustment.param, code="unsupported_value")


def _check_own_fields(
    request: ImageRequest, model: CatalogModel, fields: Mapping[str, JSONValue], prompt: str | None
) -> None:
    """Judge the task's fields, those that stand beside them included, by the rules of the model."""
    names = {
        target: name for name in request.parameters if (target := getattr(model.parameters, name, None)) is not None
    }
    task = dict(fields)
    if request.seed is not None and model.parameters.seed is not None:
        task[model.parameters.seed] = request.seed
    if model.exclusive:
        given = fields.get("inputs")
        slots: dict[str, JSONValue] = {}
        if model.images and request.images:
            slots[model.images.slot] = ["given"] if model.images.slot == "referenceImages" else "given"
        task |= {"inputs": {**(given if isinstance(given, dict) else {}), **slots}}
        task |= {} if prompt is None else {"positivePrompt": prompt}
    if task:
        check_fields(task, model.fields, names)


def _report_dimensions(
    request: ImageRequest,
    model: CatalogModel,
    choice: SizeChoice,
    tier: str | None,
    finish: Composition | None,
    blank: tuple[int, int] | None,
) -> list[Adjustment]:
    """What to say of the size, by what becomes of it."""
    if request.size.scale_factor is not None:
        size = finish.size if finish is not None else choice.size
        made = f"{size[0]}x{size[1]}" if size is not None else tier
        unsized = replace(request, size=SizeRequest())
        pasted = report_finish(unsized, model, choice, finish) if finish is not None else []
        return [*report_scaling(request.size.scale_factor, made, model), *pasted]
    if finish is not None:
        return report_finish(request, model, choice, finish)
    if blank is not None:
        return report_blank(request, model, choice, blank)
    return report_size(request.size, choice, model, tier, follows_reference=reference_shape(request, model) is not None)


def _check_mode(request: ImageRequest, model: CatalogModel, alternatives: Iterable[str]) -> None:
    if request.mode is Mode.EDIT and Mode.EDIT not in model.modes:
        hint = _name_three(alternatives)
        message = f"The model {model.id} makes images from text and does not edit them.{hint}"
        raise InvalidRequestError(message, param="model", code="unsupported_model")
    if is_from_text(request) and Mode.GENERATE not in model.modes and not starts_from_blank(model):
        hint = _name_three(alternatives)
        message = f"The model {model.id} edits images and does not make them from text alone.{hint}"
        raise InvalidRequestError(message, param="model", code="unsupported_model")


def _check_tool(request: ImageRequest, model: CatalogModel) -> None:
    """What cannot be asked of a tool, or of a model that makes no vector graphics."""
    if model.task != "imageInference" and request.mask is not None:
        raise InvalidRequestError(f"The model {model.id} works on the whole image and takes no `mask`.", param="mask")
    if makes_vectors(model) and request.fit is not None:
        raise InvalidRequestError(f"The model {model.id} makes vector graphics, which need no `fit`.", param="fit")
    if request.format is ImageFormat.SVG and not makes_vectors(model):
        message = f"The model {model.id} makes no vector graphics: use output_format png, jpeg, webp, gif or avif."
        raise InvalidRequestError(message, param="output_format")


def _name_three(models: Iterable[str]) -> str:
    names = ", ".join(islice(models, 3))
    return f" Models that do: {names}." if names else ""


def _check_prompt(request: ImageRequest, model: CatalogModel, report: list[Adjustment]) -> str | None:
    prompt = request.prompt
    if model.prompt.use == "none":
        if prompt is not None and prompt.strip():
            report.append(dropped("prompt", prompt, f"{model.id} takes no prompt."))
        return None
    if prompt is None or not prompt.strip():
        if model.prompt.use == "optional":
            return None
        message = "`prompt` is missing: describe the image you want."
        raise InvalidRequestError(message, param="prompt", code="missing_required_parameter")
    low, high = model.prompt.min_chars or 1, model.prompt.max_chars or MAX_PROMPT_CHARS
    if len(prompt) > high:
        message = f"`prompt` is too long: {len(prompt)} characters; {model.id} takes up to {high}."
        raise InvalidRequestError(message, param="prompt", code="string_above_max_length")
    if len(prompt) < low:
        message = f"`prompt` is too short: {len(prompt)} characters; {model.id} takes at least {low}."
        raise InvalidRequestError(message, param="prompt", code="string_below_min_length")
    return prompt


def _check_images(request: ImageRequest, model: CatalogModel) -> None:
    count, rules = len(request.images), model.images
    for name, image in (("mask", request.mask), ("markup", request.markup)):
        if image is not None and not count:
            raise InvalidRequestError(f"`{name}` needs an `image` to apply to.", param=name)
    if rules is None:
        if count:
            message = f"The model {model.id} takes no input images; got {count}."
            raise InvalidRequestError(message, param=request.images[0].param)
        return
    if count < rules.minimum and not is_emulated(request, model) and not request.passthrough.get("inputs"):
        message = f"The model {model.id} needs at least {rules.minimum} `image`; got {count}."
        raise InvalidRequestError(message, param="image", code="missing_required_parameter")
    if rules.maximum is not None and count > rules.maximum:
        images = "image" if rules.maximum == 1 else "images"
        message = f"The model {model.id} takes at most {rules.maximum} {images}; got {count}."
        raise InvalidRequestError(message, param="image")
    if count and rules.mask_required and request.mask is None:
        message = f"The model {model.id} needs a `mask`: transparent where to edit."
        raise InvalidRequestError(message, param="mask", code="missing_required_parameter")


def _choose(request: ImageRequest, model: CatalogModel, image_size: tuple[int, int] | None) -> SizeChoice:
    requested = request.size
    if image_size is not None and requested.exact is None and requested.ratio is None:
        like_image = SizeRequest(ratio=image_size[0] / image_size[1], area=requested.area)
        requested = extend_size(requested, request.passthrough, image_size) or like_image
    if not sends_size(request, model):
        return SizeChoice(None)
    return choose_size(model.sizes, requested, model.default_pixels)


def _own_resolution(request: ImageRequest, model: CatalogModel, choice: SizeChoice) -> str | None:
    """The tier for the task's own `resolution` field, which stands in where dimensions cannot be sent."""
    area = request.size.area or (math.prod(request.size.exact) if request.size.exact else None)
    if choice.size is not None or not model.resolutions or area is None:
        return None
    return nearest_tier(model.resolutions, area)
