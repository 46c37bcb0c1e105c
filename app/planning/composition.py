"""What we do to images around what the model makes: fitted, pasted into the caller's, or shaped before. Pure."""

from app.catalog.model import CatalogModel
from app.domain.request import ImageFormat, ImageRequest
from app.domain.spec import Composition
from app.errors import InvalidRequestError
from app.images.geometry import TargetShape
from app.planning.capabilities import sends_size
from app.planning.sizing import SizeChoice, requested_ratio


def check_fit(request: ImageRequest, model: CatalogModel) -> None:
    """Raise InvalidRequestError where `fit` has no size to fit to, and no shape to give to an input image."""
    if request.fit is None or request.size.exact is not None or reference_shape(request, model) is not None:
        return
    raise InvalidRequestError("`fit` needs `size` as WIDTHxHEIGHT: the exact size to fit to.", param="fit")


def reference_shape(request: ImageRequest, model: CatalogModel) -> TargetShape | None:
    """The shape to give to the first input image of a model that follows it and takes no size beside it."""
    shaped = request.size.exact is not None or request.size.ratio is not None
    if request.fit not in {"contain", "cover"} or not shaped or not request.images or request.mask is not None:
        return None
    if model.task != "imageInference" or sends_size(request, model):
        return None
    return TargetShape(requested_ratio(request.size), "contain" if request.fit == "contain" else "cover")


def plan_finish(
    request: ImageRequest, model: CatalogModel, choice: SizeChoice, image_size: tuple[int, int] | None
) -> Composition | None:
    """Pasting into the caller's image where the model takes no mask; fitting where the size asked for is another."""
    # A model without a mask may change everything; outside the mask the caller's own pixels are put back.
    pastes = request.mask is not None and not (model.images and model.images.mask)
    pad = request.background or "transparent"
    if pastes:
        is_sized = request.size.ratio is not None or request.size.area is not None
        size = request.size.exact or (choice.size if is_sized else None) or image_size or choice.size
        return None if size is None else Composition(size, "exact", pad, pastes=True)
    if request.fit is None or request.size.exact is None or request.size.exact == choice.size:
        return None
    return Composition(request.size.exact, request.fit, _pad_color(request), pastes=False)


def _pad_color(request: ImageRequest) -> str:
    if request.background in {"white", "black"}:
        return request.background
    opaque = request.background == "opaque" or request.format is ImageFormat.JPEG
    return "white" if opaque else "transparent"
