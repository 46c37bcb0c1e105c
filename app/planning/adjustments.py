"""The report of every field that was not honored to the letter. Pure.

Decisions are `normalize`'s; this is their wording.
"""

import math
from collections.abc import Mapping

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest, JSONValue, SizeRequest
from app.domain.spec import Composition
from app.planning.sizing import SizeChoice, area_error, shape_error, tier_area

_SHAPE_TOLERANCE = 0.01
"""A shape this near (in ln) to the one asked for is the one asked for: grids have no exact 16:9."""
_AREA_TOLERANCE = 0.1
_HIDDEN = frozenset({"prompt", "negative_prompt", "positivePrompt", "negativePrompt", "apiKey"})
_LONGEST_SHOWN = 64


def report_count(count: int, model: CatalogModel) -> list[Adjustment]:
    """What to say of a model that only makes multiples: more images are made and billed than delivered."""
    multiple = model.results_multiple
    # Reported, since the images that are over are billed too.
    if count % multiple == 0:
        return []
    made = math.ceil(count / multiple) * multiple
    reason = f"{model.id} makes images in multiples of {multiple}: {made} are made and billed, {count} delivered."
    return [Adjustment("n", count, made, AdjustmentMode.EMULATED, reason)]


def report_own_size(
    requested: SizeRequest, model: CatalogModel, tier: str | None, *, follows_reference: bool
) -> list[Adjustment]:
    """What to say when no dimensions could be sent: the shape is lost, the scale perhaps a tier of its own.

    With `follows_reference` the shape is not lost: the first image is given it.
    """
    reason = f"{model.id} chooses the size itself."
    if tier is not None:
        reason = f"Beside input images {model.id} takes a tier only, and their shape."
    report = []
    if requested.text and follows_reference:
        reason = f"Beside input images {model.id} takes no size but follows the first one, which gets this shape."
        report.append(
            Adjustment(requested.ratio_field, requested.text, requested.text, AdjustmentMode.EMULATED, reason)
        )
    elif requested.text:
        mode = AdjustmentMode.DROPPED if tier is None or requested.exact is None else AdjustmentMode.CHANGED
        applied = tier if mode is AdjustmentMode.CHANGED else None
        report.append(
            Adjustment("size" if requested.exact else requested.ratio_field, requested.text, applied, mode, reason)
        )
    if requested.area is not None and (
        tier is None or abs(math.log((tier_area(tier) or 1) / requested.area)) > _AREA_TOLERANCE
    ):
        mode = AdjustmentMode.DROPPED if tier is None else AdjustmentMode.CHANGED
        report.append(Adjustment(requested.area_field, requested.area_text, tier, mode, reason))
    return report


def report_size(
    requested: SizeRequest,
    choice: SizeChoice,
    model: CatalogModel,
    tier: str | None,
    *,
    follows_reference: bool = False,
) -> list[Adjustment]:
    """What to say of a size that was chosen from the model's own."""
    report = [dropped(name, value, "`size` says it already.") for name, value in requested.ignored]
    if choice.size is None:
        return report + report_own_size(requested, model, tier, follows_reference=follows_reference)
    applied = f"{choice.size[0]}x{choice.size[1]}"
    reason = f"{applied} is the nearest size {model.id} can make."
    if requested.exact is not None and choice.size != requested.exact:
        report.append(Adjustment("size", requested.text, applied, AdjustmentMode.CHANGED, reason))
    if requested.ratio is not None and shape_error(choice.size, requested.ratio) > _SHAPE_TOLERANCE:
        report.append(Adjustment(requested.ratio_field, requested.text, applied, AdjustmentMode.CHANGED, reason))
    if requested.area is not None and not _has_area(choice, requested.area):
        report.append(
            Adjustment(
                requested.area_field, requested.area_text, choice.tier or applied, AdjustmentMode.CHANGED, reason
            )
        )
    return report


def report_blank(
    request: ImageRequest, model: CatalogModel, choice: SizeChoice, blank: tuple[int, int]
) -> list[Adjustment]:
    """What to say of a blank image: where no dimensions are sent, its own are those asked for or nearest to them."""
    name = f"{blank[0]}x{blank[1]}"
    reason = f"{model.id} only edits images, so it is given a blank one."
    report = [Adjustment("image", None, f"blank {name}", AdjustmentMode.EMULATED, reason)]
    if choice.size is not None:
        return [*report_size(request.size, choice, model, None), *report]
    requested = request.size
    reason = f"{model.id} takes no size and follows its input image: the blank one is {name}."
    asked = [
        ("size" if requested.exact else requested.ratio_field, requested.text),
        (requested.area_field, requested.area_text),
    ]
    report += [Adjustment(param, text, name, AdjustmentMode.EMULATED, reason) for param, text in asked if text]
    return report + [dropped(param, value, "`size` says it already.") for param, value in requested.ignored]


def _has_area(choice: SizeChoice, area: int) -> bool:
    if choice.tier is not None:
        return abs(math.log((tier_area(choice.tier) or area) / area)) < _AREA_TOLERANCE
    return choice.size is not None and area_error(choice.size, area) < _AREA_TOLERANCE


def report_finish(
    request: ImageRequest, model: CatalogModel, choice: SizeChoice, finish: Composition
) -> list[Adjustment]:
    """What to say of an image that is fitted or pasted after it was made."""
    report = [dropped(name, value, "`size` says it already.") for name, value in request.size.ignored]
    made = f"{choice.size[0]}x{choice.size[1]}" if choice.size else "another size"
    applied = f"{finish.size[0]}x{finish.size[1]}"
    if finish.pastes:
        reason = f"{model.id} takes no mask: its result is pasted into your image inside the mask."
        report.append(Adjustment("mask", None, "pasted inside the mask", AdjustmentMode.EMULATED, reason))
    if request.size.exact is not None and choice.size != finish.size:
        reason = f"{made} was made and brought to {applied} by {'stretching' if finish.pastes else finish.fit}."
        report.append(Adjustment("size", request.size.text, applied, AdjustmentMode.CONVERTED, reason))
    return report


def report_platform(fields: Mapping[str, JSONValue], *, native_link: bool) -> list[Adjustment]:
    """What to say of the provider's own ways of keeping images, where ours come between."""
    if "ttl" not in fields or native_link:
        return []
    return [dropped("ttl", fields["ttl"], "It is for Runware's own links; this answer has none.")]


def dropped(param: str, requested: JSONValue, reason: str) -> Adjustment:
    """The report of a field that the model has no equivalent for."""
    return Adjustment(param, _shown(param, requested), None, AdjustmentMode.DROPPED, reason)


def _shown(param: str, value: JSONValue) -> JSONValue:
    """A value as reports repeat it: None for prompts, addresses, images and whatever is long.

    Reports stand in headers and in the journal, which keep none of these.
    """
    return None if param in _HIDDEN or not _may_be_shown(value) else value


def _may_be_shown(value: JSONValue) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_SHOWN and "//" not in value
    if isinstance(value, dict):
        return all(name not in _HIDDEN and _may_be_shown(inner) for name, inner in value.items())
    return not isinstance(value, list) or all(_may_be_shown(inner) for inner in value)
