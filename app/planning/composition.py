"""The composition aspect: what is done to an image after it was made, fitted or pasted into the caller's. Pure.

There is something to do only where a request has `fit` or a mask.
"""

from app.catalog.model import CatalogModel, Dimensions
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest
from app.domain.spec import Composition
from app.domain.words import ImageFormat
from app.errors import InvalidRequestError
from app.planning.capabilities import pastes_mask
from app.planning.size import reference_shape
from app.planning.sizing import SizeChoice


def check_fit(request: ImageRequest, model: CatalogModel) -> None:
    """Raise InvalidRequestError where `fit` has no size to fit to, and no shape to give to an input image."""
    if request.fit is None or request.size.exact is not None or reference_shape(request, model) is not None:
        return
    raise InvalidRequestError("`fit` needs `size` as WIDTHxHEIGHT: the exact size to fit to.", param="fit")


def decide_composition(
    request: ImageRequest, model: CatalogModel, choice: SizeChoice, image_size: Dimensions | None
) -> tuple[Composition | None, tuple[Adjustment, ...]]:
    """Pasting into the caller's image where the model takes no mask; fitting where the size asked for is another."""
    composition = _compose(request, model, choice, image_size)
    if composition is None:
        return None, ()
    adjustments = []
    if composition.pastes:
        reason = f"{model.id} takes no mask: its result is pasted into your image inside the mask."
        adjustments.append(Adjustment("mask", None, "pasted inside the mask", AdjustmentMode.EMULATED, reason))
    size, exact = request.size, request.size.exact
    # A size that was computed from a factor is stated as what became of the factor.
    if exact is not None and exact != choice.size and size.scale_factor is None:
        made = f"{choice.size[0]}x{choice.size[1]}" if choice.size else "another size"
        applied = f"{exact[0]}x{exact[1]}"
        way = "stretching" if composition.pastes else composition.fit
        reason = f"{made} was made and turned into {applied} by {way}."
        adjustments.append(Adjustment("size", size.text, applied, AdjustmentMode.CONVERTED, reason))
    return composition, tuple(adjustments)


def _compose(
    request: ImageRequest, model: CatalogModel, choice: SizeChoice, image_size: Dimensions | None
) -> Composition | None:
    size = request.size
    # A model without a mask may change everything; outside the mask the caller's own pixels are put back.
    if pastes_mask(request, model):
        is_sized = size.ratio is not None or size.area is not None
        made = size.exact or (choice.size if is_sized else None) or image_size or choice.size
        return None if made is None else Composition(made, "exact", request.background or "transparent", pastes=True)
    if request.fit is None or size.exact is None or size.exact == choice.size:
        return None
    return Composition(size.exact, request.fit, _pad_color(request), pastes=False)


def _pad_color(request: ImageRequest) -> str:
    # What was named wins; holes are left only where the format can show them.
    if request.background in {"white", "black"}:
        return request.background
    opaque = request.background == "opaque" or request.format is ImageFormat.JPEG
    return "white" if opaque else "transparent"
