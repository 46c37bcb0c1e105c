"""Fits a request to a model: every field is honored, changed, converted, emulated, dropped and reported, or refused.

Pure. Leaves sizes to `sizing`, pictures to `pictures`, and the tasks to `plan`.
"""

import math
from collections.abc import Iterable, Mapping

from app.catalog.model import CatalogModel, Mode, SizeUse
from app.errors import InvalidRequestError
from app.generation.sizing import SizeChoice, area_error, choose_size, nearest_tier, shape_error, tier_area
from app.generation.types import (
    NATIVE_FORMATS,
    Adjustment,
    AdjustmentMode,
    Delivery,
    FormatPlan,
    ImageRequest,
    ImageSpec,
    JSONValue,
    PictureFormat,
    SizeWish,
)
from app.runware.tasks import OWN_FIELDS

MAX_PROMPT_CHARS = 32_000
"""OpenAI's limit, for models whose own is not known."""
_SHAPE_TOLERANCE = 0.01
"""A shape this near (in ln) to the one asked for is the one asked for: grids have no exact 16:9."""
_AREA_TOLERANCE = 0.1
_SHOWN_PROMPT = 80
_LOSSY = frozenset({PictureFormat.JPEG, PictureFormat.WEBP, PictureFormat.AVIF})
_MIN_NATIVE_QUALITY, _MAX_NATIVE_QUALITY = 20, 99
_OWN_WORDS = {
    "positivePrompt": "prompt",
    "numberResults": "n",
    "width": "size",
    "height": "size",
    "outputFormat": "output_format",
    "outputQuality": "output_compression",
}


def follows_picture(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether the size must be taken from the first picture: an edit that names no shape."""
    shapeless = request.size.exact is None and request.size.ratio is None
    return bool(request.pictures) and shapeless and _sends_size(request, model)


def normalize(
    request: ImageRequest,
    model: CatalogModel,
    *,
    default_delivery: Delivery,
    native_links: bool = True,
    picture_size: tuple[int, int] | None = None,
    alternatives: Iterable[str] = (),
) -> ImageSpec:
    """The spec for `request` on `model`, raising InvalidRequestError for what no adjustment can save.

    `native_links` allows links to the provider's own pictures; `picture_size` is the first picture's, upright;
    `alternatives` are models for what this one cannot do.
    """
    report: list[Adjustment] = []
    _check_mode(request, model, list(alternatives))
    prompt = _check_prompt(request, model, report)
    _check_pictures(request, model)
    choice = _choose(request, model, picture_size)
    fields = _translate_words(request, model, report)
    tier = _own_resolution(request, model, choice)
    if tier is not None:
        fields["resolution"] = tier
    report += _report_size(request.size, choice, model, tier)
    _merge_extras(request.extras, fields, report)
    if _is_emulated(request, model):
        size = f"{choice.size[0]}x{choice.size[1]}" if choice.size else None
        reason = f"{model.id} only edits pictures, so it is given a blank one."
        report.append(Adjustment("image", None, f"blank {size}", AdjustmentMode.EMULATED, reason))
    delivery = request.delivery or default_delivery
    format_plan = _plan_format(request, model, report)
    report += _report_count(request.count, model)
    return ImageSpec(
        model=model,
        prompt=prompt,
        count=request.count,
        size=choice.size,
        delivery=delivery,
        native_link=native_links and delivery is Delivery.LINK and not format_plan.converts,
        format=format_plan,
        seed=request.seed if model.words.seed else None,
        fields=fields,
        needs_blank_picture=_is_emulated(request, model),
        adjustments=tuple(report),
    )


def _report_count(count: int, model: CatalogModel) -> list[Adjustment]:
    """What to say of a model that only makes multiples: more pictures are made and billed than delivered."""
    multiple = model.results_multiple
    if count % multiple == 0:
        return []
    made = math.ceil(count / multiple) * multiple
    reason = f"{model.id} makes pictures in multiples of {multiple}: {made} are made and billed, {count} delivered."
    return [Adjustment("n", count, made, AdjustmentMode.EMULATED, reason)]


def refuse_when_strict(adjustments: Iterable[Adjustment]) -> None:
    """Raise InvalidRequestError for the first wish that was changed or dropped."""
    for adjustment in adjustments:
        if adjustment.mode in {AdjustmentMode.CHANGED, AdjustmentMode.DROPPED}:
            message = f"Strict mode: `{adjustment.param}` cannot be honored exactly. {adjustment.reason}"
            raise InvalidRequestError(message, param=adjustment.param, code="unsupported_value")


def _sends_size(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether the task carries width and height; one that need not is left to the model when nothing was asked."""
    if model.sizes.kind == "automatic":
        return False
    if model.size_use is SizeUse.WITHOUT_PICTURES and request.pictures:
        return False
    wished = request.size.exact or request.size.ratio or request.size.area
    return bool(wished) or model.size_use is SizeUse.REQUIRED or model.sizes.kind != "unpublished"


def _is_emulated(request: ImageRequest, model: CatalogModel) -> bool:
    return request.mode is Mode.GENERATE and not request.pictures and Mode.GENERATE not in model.modes


def _check_mode(request: ImageRequest, model: CatalogModel, alternatives: list[str]) -> None:
    if request.mode is Mode.EDIT and Mode.EDIT not in model.modes:
        hint = f" Models that do: {', '.join(alternatives[:3])}." if alternatives else ""
        message = f"The model {model.id} makes pictures from text and does not edit them.{hint}"
        raise InvalidRequestError(message, param="model", code="unsupported_model")
    if _is_emulated(request, model) and (model.pictures is None or model.pictures.slot != "referenceImages"):
        hint = f" Models that do: {', '.join(alternatives[:3])}." if alternatives else ""
        message = f"The model {model.id} edits pictures and does not make them from text alone.{hint}"
        raise InvalidRequestError(message, param="model", code="unsupported_model")


def _check_prompt(request: ImageRequest, model: CatalogModel, report: list[Adjustment]) -> str | None:
    prompt = request.prompt
    if model.prompt.use == "none":
        if prompt is not None and prompt.strip():
            report.append(_dropped("prompt", prompt[:_SHOWN_PROMPT], f"{model.id} takes no prompt."))
        return None
    if prompt is None or not prompt.strip():
        if model.prompt.use == "optional":
            return None
        message = "`prompt` is missing: describe the picture you want."
        raise InvalidRequestError(message, param="prompt", code="missing_required_parameter")
    low, high = model.prompt.min_chars or 1, model.prompt.max_chars or MAX_PROMPT_CHARS
    if len(prompt) > high:
        message = f"`prompt` is too long: {len(prompt)} characters; {model.id} takes up to {high}."
        raise InvalidRequestError(message, param="prompt", code="string_above_max_length")
    if len(prompt) < low:
        message = f"`prompt` is too short: {len(prompt)} characters; {model.id} takes at least {low}."
        raise InvalidRequestError(message, param="prompt", code="string_below_min_length")
    return prompt


def _check_pictures(request: ImageRequest, model: CatalogModel) -> None:
    count, rules = len(request.pictures), model.pictures
    if rules is None:
        if count:
            message = f"The model {model.id} takes no input pictures; got {count}."
            raise InvalidRequestError(message, param=request.pictures[0].param)
        return
    if rules.maximum is not None and count > rules.maximum:
        pictures = "picture" if rules.maximum == 1 else "pictures"
        message = f"The model {model.id} takes at most {rules.maximum} {pictures}; got {count}."
        raise InvalidRequestError(message, param="image")
    if request.mask is not None and not rules.mask:
        message = f"The model {model.id} takes no mask. Describe in the prompt what to change, or use another model."
        raise InvalidRequestError(message, param="mask", code="unsupported_parameter")
    if count and rules.mask_required and request.mask is None:
        message = f"The model {model.id} needs a `mask`: transparent where to edit."
        raise InvalidRequestError(message, param="mask", code="missing_required_parameter")
    for name, picture in (("mask", request.mask), ("markup", request.markup)):
        if picture is not None and not count:
            raise InvalidRequestError(f"`{name}` needs an `image` to apply to.", param=name)


def _choose(request: ImageRequest, model: CatalogModel, picture_size: tuple[int, int] | None) -> SizeChoice:
    wish = request.size
    if picture_size is not None and wish.exact is None and wish.ratio is None:
        wish = SizeWish(ratio=picture_size[0] / picture_size[1], area=wish.area)
    if not _sends_size(request, model):
        return SizeChoice(None)
    return choose_size(model.sizes, wish, model.default_pixels)


def _own_resolution(request: ImageRequest, model: CatalogModel, choice: SizeChoice) -> str | None:
    """The tier for the task's own `resolution` field, which stands in where dimensions cannot be sent."""
    area = request.size.area or (math.prod(request.size.exact) if request.size.exact else None)
    if choice.size is not None or not model.resolutions or area is None:
        return None
    return nearest_tier(model.resolutions, area)


def _report_own_size(wish: SizeWish, model: CatalogModel, tier: str | None) -> list[Adjustment]:
    """What to say when no dimensions could be sent: the shape is lost, the scale perhaps a tier of its own."""
    reason = f"{model.id} chooses the size itself."
    if tier is not None:
        reason = f"Beside input pictures {model.id} takes a tier only, and their shape."
    report = []
    if wish.text:
        mode = AdjustmentMode.DROPPED if tier is None or wish.exact is None else AdjustmentMode.CHANGED
        applied = tier if mode is AdjustmentMode.CHANGED else None
        report.append(Adjustment("size" if wish.exact else wish.ratio_field, wish.text, applied, mode, reason))
    if wish.area is not None and (tier is None or abs(math.log((tier_area(tier) or 1) / wish.area)) > _AREA_TOLERANCE):
        mode = AdjustmentMode.DROPPED if tier is None else AdjustmentMode.CHANGED
        report.append(Adjustment("resolution", wish.area_text, tier, mode, reason))
    return report


def _report_size(wish: SizeWish, choice: SizeChoice, model: CatalogModel, tier: str | None) -> list[Adjustment]:
    report = [
        Adjustment(name, value, None, AdjustmentMode.DROPPED, "`size` says it already.") for name, value in wish.ignored
    ]
    if choice.size is None:
        return report + _report_own_size(wish, model, tier)
    applied = f"{choice.size[0]}x{choice.size[1]}"
    reason = f"{applied} is the nearest size {model.id} can make."
    if wish.exact is not None and choice.size != wish.exact:
        report.append(Adjustment("size", wish.text, applied, AdjustmentMode.CHANGED, reason))
    if wish.ratio is not None and shape_error(choice.size, wish.ratio) > _SHAPE_TOLERANCE:
        report.append(Adjustment(wish.ratio_field, wish.text, applied, AdjustmentMode.CHANGED, reason))
    if wish.area is not None and not _has_area(choice, wish.area):
        report.append(Adjustment("resolution", wish.area_text, choice.tier or applied, AdjustmentMode.CHANGED, reason))
    return report


def _has_area(choice: SizeChoice, area: int) -> bool:
    if choice.tier is not None:
        return abs(math.log((tier_area(choice.tier) or area) / area)) < _AREA_TOLERANCE
    return choice.size is not None and area_error(choice.size, area) < _AREA_TOLERANCE


def _translate_words(request: ImageRequest, model: CatalogModel, report: list[Adjustment]) -> dict[str, JSONValue]:
    """The caller's words in the provider's, where the model has the thing; the rest is reported."""
    fields: dict[str, JSONValue] = {}
    known = {
        "negative_prompt": model.words.negative_prompt,
        "guidance_scale": model.words.guidance_scale,
        "num_inference_steps": model.words.num_inference_steps,
    }
    for name, value in request.words.items():
        target = known.get(name)
        if target is not None:
            fields[target] = value
        else:
            report.append(_dropped(name, value, f"{model.id} has no equivalent."))
    if request.seed is not None and model.words.seed is None:
        report.append(_dropped("seed", request.seed, f"{model.id} chooses its own seeds."))
    if request.background == "transparent":
        if model.words.transparent_background is not None:
            for key, members in model.words.transparent_background.items():
                fields[key] = dict(members)
        else:
            report.append(_dropped("background", "transparent", f"{model.id} cannot make transparent backgrounds."))
    return fields


def _merge_extras(extras: Mapping[str, JSONValue], fields: dict[str, JSONValue], report: list[Adjustment]) -> None:
    """Add the caller's own provider fields, save those that are the gateway's."""
    for name, value in extras.items():
        if name in OWN_FIELDS:
            hint = f"use `{_OWN_WORDS[name]}`." if name in _OWN_WORDS else "it cannot be set from outside."
            shown = None if name == "apiKey" else value
            report.append(_dropped(name, shown, f"The gateway sets this field itself; {hint}"))
            continue
        present = fields.get(name)
        fields[name] = {**present, **value} if isinstance(present, dict) and isinstance(value, dict) else value


def _dropped(param: str, requested: JSONValue, reason: str) -> Adjustment:
    return Adjustment(param, requested, None, AdjustmentMode.DROPPED, reason)


def _plan_format(request: ImageRequest, model: CatalogModel, report: list[Adjustment]) -> FormatPlan:
    """Which format the provider makes, and whether we convert: only what it cannot make is converted."""
    wanted, compression = request.format or PictureFormat.PNG, request.compression
    if wanted not in _LOSSY:
        if compression not in {None, 100}:
            report.append(_dropped("output_compression", compression, f"{wanted.value} has no quality setting."))
        compression = None
    native = NATIVE_FORMATS.get(wanted)
    too_low = compression is not None and compression < _MIN_NATIVE_QUALITY
    if native in model.formats and not too_low:
        native_quality = None if compression is None else min(compression, _MAX_NATIVE_QUALITY)
        return FormatPlan(wanted, compression, native, native_quality)
    source = "PNG" if "PNG" in model.formats else model.formats[0]
    return FormatPlan(wanted, compression, source, None)
