"""Sizes that follow from the first input image: its size times `scale_factor`, or the image extended by `outpaint`.

Pure. Asked only where a request has an image and one of these fields; `size` decides which legal size comes of it.
"""

from collections.abc import Mapping

from app.catalog.model import CatalogModel, Dimensions, SizeUse, UnpublishedSizes
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest, SizeRequest
from app.domain.values import replace
from app.domain.words import JSONValue
from app.planning.adjustments import dropped

SCALE_FACTOR, OUTPAINT = "scale_factor", "outpaint"
_SIDES = ("left", "right", "top", "bottom")


def scales_by_size(model: CatalogModel) -> bool:
    """Whether a factor can be met by a size or a tier, because the model has no field for it but takes one of these."""
    if model.images is None or model.parameters.scale_factor is not None:
        return False
    sends_size = model.sizes.kind != "automatic" and model.size_use is not SizeUse.WITHOUT_IMAGES
    return sends_size or bool(model.resolutions)


def wants_scaling(request: ImageRequest, model: CatalogModel) -> bool:
    """Whether the size of the first image is needed to meet a factor: nothing else was said of the size."""
    size = request.size
    sized = size.exact is not None or size.ratio is not None or size.area is not None
    return request.parameter(SCALE_FACTOR) is not None and bool(request.images) and not sized and scales_by_size(model)


def scale_request(
    request: ImageRequest, model: CatalogModel, image_size: Dimensions | None
) -> tuple[ImageRequest, tuple[Adjustment, ...]]:
    """The request with a factor turned into a size, or with the reason why it is dropped.

    Where the model has a field for it, or no size at all, the factor stays among the parameters.
    """
    factor = request.parameter(SCALE_FACTOR)
    if not isinstance(factor, int | float) or not request.images or not scales_by_size(model):
        return request, ()
    # Taken out of the parameters either way: what is met by a size must not be dropped a second time.
    others = tuple(one for one in request.parameters if one[0] != SCALE_FACTOR)
    rest = replace(request, parameters=others)
    if not wants_scaling(request, model):
        return rest, (dropped(SCALE_FACTOR, factor, "The size you asked for says it already."),)
    if image_size is None:
        return rest, (dropped(SCALE_FACTOR, factor, "The size of the image is not known here."),)
    width, height = (max(1, round(side * factor)) for side in image_size)
    if isinstance(model.sizes, UnpublishedSizes):  # an exact size would be passed as it is, however large
        return replace(rest, size=SizeRequest(ratio=width / height, area=width * height, scale_factor=factor)), ()
    return replace(rest, size=SizeRequest(exact=(width, height), scale_factor=factor)), ()


def adjust_scaling(factor: float, made: str | None, model: CatalogModel) -> Adjustment:
    """The adjustment of a factor that is met by the size `made`."""
    if made is None:
        return dropped(SCALE_FACTOR, factor, f"{model.id} chooses the size itself.")
    reason = f"{model.id} has no upscaler: the image is made anew at {made}, the nearest to its size times {factor:g}."
    return Adjustment(SCALE_FACTOR, factor, made, AdjustmentMode.EMULATED, reason)


def extend_size(size: SizeRequest, passthrough: Mapping[str, JSONValue], image: Dimensions) -> SizeRequest | None:
    """The size that `outpaint` asks for where the caller names no shape, None where it asks for none.

    A scale the caller asked for stays; without one the extended image keeps its pixels.
    """
    asked = passthrough.get(OUTPAINT)
    if not isinstance(asked, dict) or asked.keys().isdisjoint(_SIDES):
        return None
    # Models without a field for sides follow their width and height: these have to grow with the image.
    left, right, top, bottom = (_read_pixels(asked.get(side)) for side in _SIDES)
    width, height = image[0] + left + right, image[1] + top + bottom
    if size.area is not None:
        return SizeRequest(ratio=width / height, area=size.area)
    return SizeRequest(exact=(width, height))


def adjust_extension(extended: Dimensions, made: Dimensions, model: CatalogModel) -> Adjustment:
    """The adjustment where the model cannot make the image exactly as large as its extension makes it."""
    wanted, applied = (f"{width}x{height}" for width, height in (extended, made))
    reason = f"The extended image has {wanted}; {applied} is the nearest size {model.id} can make."
    return Adjustment(OUTPAINT, wanted, applied, AdjustmentMode.CHANGED, reason)


def _read_pixels(value: JSONValue) -> int:
    """What is added to one side; other values are refused where the fields of the task are judged."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
