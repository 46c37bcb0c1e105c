"""`scale_factor` on a model that is no upscaler: the image's size times the factor, as the size to make. Pure."""

from dataclasses import replace

from app.catalog.model import CatalogModel, Dimensions, SizeUse, UnpublishedSizes
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest, SizeRequest
from app.planning.adjustments import dropped

FIELD = "scale_factor"


def scales_by_size(model: CatalogModel) -> bool:
    """Whether a factor can be met by a size or a tier, because the model has no field for it but takes one of these."""
    if model.images is None or model.parameters.scale_factor is not None:
        return False
    sends_size = model.sizes.kind != "automatic" and model.size_use is not SizeUse.WITHOUT_IMAGES
    return sends_size or bool(model.resolutions)


def wants_scaling(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether the size of the first image is needed to meet a factor: nothing else was said of the size."""
    size = request.size
    said = size.exact is not None or size.ratio is not None or size.area is not None
    return FIELD in request.parameters and bool(request.images) and not said and scales_by_size(model)


def scale_request(
    request: ImageRequest, model: CatalogModel, image_size: Dimensions | None
) -> tuple[ImageRequest, list[Adjustment]]:
    """The request with a factor turned into a size, or with the reason why it is dropped.

    Where the model has a field for it, or no size at all, the factor stays among the parameters.
    """
    factor = request.parameters.get(FIELD)
    if not isinstance(factor, int | float) or not request.images or not scales_by_size(model):
        return request, []
    rest = replace(request, parameters={name: value for name, value in request.parameters.items() if name != FIELD})
    if not wants_scaling(request, model):
        return rest, [dropped(FIELD, factor, "The size you asked for says it already.")]
    if image_size is None:
        return rest, [dropped(FIELD, factor, "The size of the image is not known here.")]
    width, height = (max(1, round(side * factor)) for side in image_size)
    if isinstance(model.sizes, UnpublishedSizes):  # an exact size would be passed as it is, however large
        return replace(rest, size=SizeRequest(ratio=width / height, area=width * height, scale_factor=factor)), []
    return replace(rest, size=SizeRequest(exact=(width, height), scale_factor=factor)), []


def report_scaling(factor: float, made: str | None, model: CatalogModel) -> list[Adjustment]:
    """What to say of a factor that was met by the size `made`."""
    if made is None:
        return [dropped(FIELD, factor, f"{model.id} chooses the size itself.")]
    reason = f"{model.id} has no upscaler: the image is made anew at {made}, the nearest to its size times {factor:g}."
    return [Adjustment(FIELD, factor, made, AdjustmentMode.EMULATED, reason)]
