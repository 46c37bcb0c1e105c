"""Which sizes can be delivered at all: by this machine's own limit, and by what each format can hold. Pure.

Checked before anything is sent: an image that no encoder can write would have been paid for.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

from app.catalog.model import Dimensions
from app.domain.request import ImageFormat, ImageRequest
from app.domain.spec import ImageSpec
from app.errors import InvalidRequestError
from app.planning.scaling import FIELD as SCALE_FACTOR
from app.planning.validation import find

LONGEST_SIDES: Mapping[ImageFormat, int] = MappingProxyType(
    {ImageFormat.WEBP: 16_383, ImageFormat.JPEG: 65_500, ImageFormat.GIF: 65_535, ImageFormat.AVIF: 32_768}
)
"""What encoders write and decoders read again; the standards of JPEG and AVIF would allow more."""


def check_output_size(
    request: ImageRequest, spec: ImageSpec, max_pixels: int, image_size: Dimensions | None = None
) -> None:
    """Raise InvalidRequestError for a size that could not be delivered; `image_size` is the first image's, upright."""
    size = _delivered_size(spec, image_size)
    if size is None or spec.output.format.delivered is ImageFormat.SVG:
        return
    format_, name = spec.output.format.delivered, f"{size[0]}x{size[1]}"
    longest = LONGEST_SIDES.get(format_)
    if longest is not None and max(size) > longest:
        message = (
            f"{name} is more than {format_.value} can hold: at most {longest} pixels a side. Use png, or ask for less."
        )
        raise _refusal(request, message)
    if math.prod(size) > max_pixels:
        message = f"{name} has more than the {max_pixels} pixels this gateway delivers: ask for less."
        raise _refusal(request, message)


def _delivered_size(spec: ImageSpec, image_size: Dimensions | None) -> Dimensions | None:
    """The size of the answer, where it is known beforehand."""
    output = spec.output
    if output.composition is not None:
        return output.composition.size
    if output.size is not None:
        return output.size
    field = spec.model.parameters.scale_factor
    factor = find(spec.fields, field) if field is not None else None
    # What an upscaler made itself goes through as it is; only what we must convert has to fit in here.
    if not isinstance(factor, int | float) or image_size is None or not output.format.converts:
        return None
    return round(image_size[0] * factor), round(image_size[1] * factor)


def _refusal(request: ImageRequest, message: str) -> InvalidRequestError:
    """The refusal, for the field that the size came from."""
    size = request.size
    param = "image"
    if size.exact is not None:
        param = "size"
    elif size.ratio is not None:
        param = size.ratio_field
    elif size.area is not None:
        param = size.area_field
    elif SCALE_FACTOR in request.parameters:
        param = SCALE_FACTOR
    param = request.names.get(param, param)
    return InvalidRequestError(f"`{param}`: {message}", param=param)
