"""The size aspect: what a model is asked to make, and what that changes of the size the caller asked for. Pure.

Which of the legal sizes is nearest is `sizing`'s arithmetic. What becomes of a size that is made after the
image was made is said by `composition`.
"""

import math

from app.catalog.model import CatalogModel, Dimensions, SizeUse
from app.catalog.modes import Mode
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest, SizeRequest
from app.images.geometry import TargetShape
from app.planning.adjustments import dropped
from app.planning.capabilities import is_emulated, is_tool, pastes_mask
from app.planning.derived_size import OUTPAINT, adjust_extension, adjust_scaling, extend_size
from app.planning.sizing import (
    SizeChoice,
    area_error,
    choose_blank,
    choose_size,
    nearest_tier,
    requested_ratio,
    shape_error,
    tier_area,
)

_SHAPE_TOLERANCE = 0.01
"""A shape this near (in ln) to the one asked for is the one asked for: grids have no exact 16:9."""
_AREA_TOLERANCE = 0.1


def sends_size(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether the task carries width and height; one that need not is left to the model when nothing was asked."""
    if model.sizes.kind == "automatic":
        return False
    # Runware refuses both together on these models; the shape is kept by other means where it can be.
    if model.size_use is SizeUse.WITHOUT_IMAGES and (request.images or is_emulated(request, model)):
        return False
    # Left out where nothing is known and nothing asked: the model's own default is better than one of ours.
    is_sized = request.size.exact or request.size.ratio or request.size.area
    return bool(is_sized) or model.size_use is SizeUse.REQUIRED or model.sizes.kind != "unpublished"


def reference_shape(request: ImageRequest, model: CatalogModel) -> TargetShape | None:
    """The shape to give to the first input image of a model that follows it and takes no size beside it."""
    shaped = request.size.exact is not None or request.size.ratio is not None
    if request.fit not in {"contain", "cover"} or not shaped or not request.images or request.mask is not None:
        return None
    if is_tool(model) or sends_size(request, model):
        return None
    return TargetShape(requested_ratio(request.size), "contain" if request.fit == "contain" else "cover")


def decide_size(
    request: ImageRequest, model: CatalogModel, image_size: Dimensions | None = None
) -> tuple[SizeChoice, tuple[Adjustment, ...]]:
    """What to ask for; `image_size` is the first image's, which a request that names no shape follows."""
    size = asked = request.size
    extended = None
    if image_size is not None and size.exact is None and size.ratio is None:
        extended = extend_size(size, request.passthrough, image_size) if OUTPAINT in request.passthrough else None
        # An edit of a photo that comes back square would be a surprise; its scale is the model's to choose.
        asked = extended or SizeRequest(ratio=image_size[0] / image_size[1], area=size.area)
    choice = _choose(request, model, asked)
    if size.scale_factor is not None:
        return choice, (_adjust_factor(request, model, choice, size.scale_factor),)
    if Mode.GENERATE not in model.modes and is_emulated(request, model):
        return _decide_blank(request, model, choice)
    adjustments = [*_drop_ignored(size), *_adjust_size(request, model, choice)]
    # Only of the size as such: a scale the caller named is stated as every scale is.
    if extended is not None and extended.exact is not None and choice.size not in {None, extended.exact}:
        adjustments.append(adjust_extension(extended.exact, choice.size, model))
    return choice, tuple(adjustments)


def _choose(request: ImageRequest, model: CatalogModel, requested: SizeRequest) -> SizeChoice:
    """The dimensions, or where none can be sent the tier of the task's own field and the shape of its image."""
    if sends_size(request, model):
        return choose_size(model.sizes, requested, model.default_pixels)
    size = request.size
    area = size.area or (math.prod(size.exact) if size.exact else None)
    tier = nearest_tier(model.resolutions, area) if model.resolutions and area is not None else None
    return SizeChoice(None, tier, reference_shape=reference_shape(request, model) if request.fit is not None else None)


def _decide_blank(
    request: ImageRequest, model: CatalogModel, choice: SizeChoice
) -> tuple[SizeChoice, tuple[Adjustment, ...]]:
    """The blank image beside the size: where no dimensions are sent, its own are those asked for or nearest to them."""
    size, blank = request.size, choice.size or choose_blank(model, request.size)
    decided = SizeChoice(choice.size, choice.tier, blank)
    name, reason = _name(blank), f"{model.id} only edits images, so it is given a blank one."
    image = Adjustment("image", None, f"blank {name}", AdjustmentMode.EMULATED, reason)
    if choice.size is not None:
        return decided, (*_drop_ignored(size), *_adjust_size(request, model, choice), image)
    reason = f"{model.id} takes no size and follows its input image: the blank one is {name}."
    asked = [] if _is_composed(request, model) else [("size" if size.exact else size.ratio_field, size.text)]
    asked.append((size.area_field, size.area_text))
    met = [Adjustment(param, text, name, AdjustmentMode.EMULATED, reason) for param, text in asked if text]
    return decided, (image, *met, *_drop_ignored(size))


def _adjust_size(request: ImageRequest, model: CatalogModel, choice: SizeChoice) -> list[Adjustment]:
    """What of the size the task does not ask for as the caller did."""
    size = request.size
    if _is_composed(request, model):
        return []
    if choice.size is None:
        return _adjust_unsent(request, model, choice)
    applied = _name(choice.size)
    reason = f"{applied} is the nearest size {model.id} can make."
    changed = []
    if size.exact is not None and choice.size != size.exact:
        changed.append(("size", size.text, applied))
    if size.ratio is not None and shape_error(choice.size, size.ratio) > _SHAPE_TOLERANCE:
        changed.append((size.ratio_field, size.text, applied))
    if size.area is not None and not _has_area(choice, size.area):
        changed.append((size.area_field, size.area_text, choice.tier or applied))
    return [Adjustment(param, asked, made, AdjustmentMode.CHANGED, reason) for param, asked, made in changed]


def _adjust_unsent(request: ImageRequest, model: CatalogModel, choice: SizeChoice) -> list[Adjustment]:
    """What to say when no dimensions could be sent: the shape is lost, the scale perhaps a tier of its own."""
    size, tier, adjustments = request.size, choice.tier, []
    reason = f"{model.id} chooses the size itself."
    if pastes_mask(request, model):
        tier, reason = None, "The result is pasted into your image, which keeps its size."
    elif tier is not None:
        reason = f"Beside input images {model.id} takes a tier only, and their shape."
    if size.text and choice.reference_shape is not None:
        # Not lost: the model follows its first image, and that one gets the shape before it is sent.
        reason = f"Beside input images {model.id} takes no size but follows the first one, which gets this shape."
        adjustments.append(Adjustment(size.ratio_field, size.text, size.text, AdjustmentMode.EMULATED, reason))
    elif size.text:
        mode = AdjustmentMode.DROPPED if tier is None or size.exact is None else AdjustmentMode.CHANGED
        applied = tier if mode is AdjustmentMode.CHANGED else None
        param = "size" if size.exact else size.ratio_field
        adjustments.append(Adjustment(param, size.text, applied, mode, reason))
    if size.area is not None and not (tier is not None and _has_area(choice, size.area)):
        mode = AdjustmentMode.DROPPED if tier is None else AdjustmentMode.CHANGED
        adjustments.append(Adjustment(size.area_field, size.area_text, tier, mode, reason))
    return adjustments


def _adjust_factor(request: ImageRequest, model: CatalogModel, choice: SizeChoice, factor: float) -> Adjustment:
    # A pasted result is stretched to the very size; any other is as large as the model makes it.
    size = request.size.exact if request.size.exact and pastes_mask(request, model) else choice.size
    return adjust_scaling(factor, choice.tier if size is None else _name(size), model)


def _is_composed(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether the exact size is made from the image afterwards, which is `composition`'s to say."""
    if request.size.exact is None or (request.fit is None and request.mask is None):
        return False
    return request.fit is not None or pastes_mask(request, model)


def _drop_ignored(size: SizeRequest) -> tuple[Adjustment, ...]:
    return tuple(dropped(name, value, "`size` says it already.") for name, value in size.ignored)


def _has_area(choice: SizeChoice, area: int) -> bool:
    if choice.tier is not None:
        return abs(math.log((tier_area(choice.tier) or area) / area)) < _AREA_TOLERANCE
    return choice.size is not None and area_error(choice.size, area) < _AREA_TOLERANCE


def _name(size: Dimensions) -> str:
    return f"{size[0]}x{size[1]}"
