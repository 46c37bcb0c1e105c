"""Masks, from OpenAI's convention to Runware's. Runs in a worker process.

OpenAI: transparent means edit. Runware: white means edit. A mask with transparency is converted; a fully opaque
grayscale one is taken as Runware's already. The noise of lossy formats and of canvases changes nothing of that.
"""

import math
from dataclasses import dataclass
from itertools import combinations

from PIL import Image, ImageChops

from app.images.color import has_alpha
from app.images.convert import encode_image
from app.images.errors import MaskShapeError, MaskTooSmallError, MaskWithoutAreaError
from app.images.upright import open_upright

SHAPE_TOLERANCE = 0.01
"""How far, in ln(width / height), a mask's shape may be from its image's."""
_OPAQUE = 255
# Channels that differ by no more are equal, and gray this near to black or white is black or white.
_NOISE = 8
_TRANSPARENT_BELOW, _OPAQUE_ABOVE = 5, 250
# The part of the image that a mask must open: below, nobody would see an edit.
_SMALLEST_AREA = 0.001


@dataclass(frozen=True, slots=True)
class RunwareMask:
    """A mask as PNG, white where to edit; `resized_from` is its own size when it differed from the image's."""

    data: bytes
    resized_from: tuple[int, int] | None


def convert_mask(data: bytes, size: tuple[int, int], max_pixels: int) -> RunwareMask:
    """The mask for an image of `size`.

    Raises UnreadableImageError, TooManyPixelsError, MaskShapeError, MaskWithoutAreaError or MaskTooSmallError.
    """
    mask = open_upright(data, max_pixels)
    # Stretching a mask of another shape would edit other parts than the caller marked.
    if abs(math.log((mask.width / mask.height) / (size[0] / size[1]))) > SHAPE_TOLERANCE:
        raise MaskShapeError(*mask.size)
    area = _area_to_edit(mask)
    if 1 - area.histogram()[0] / (area.width * area.height) < _SMALLEST_AREA:
        # It would be paid for and change nothing.
        raise MaskTooSmallError
    resized_from = mask.size if mask.size != size else None
    if resized_from is not None:
        area = area.resize(size, Image.Resampling.BILINEAR)  # never darker or brighter than what it lies between
    return RunwareMask(encode_image(area, "png", None).data, resized_from)


def _area_to_edit(mask: Image.Image) -> Image.Image:
    """Grayscale, white where to edit, exactly black where not."""
    if has_alpha(mask):
        alpha = _snapped(mask.convert("RGBA").getchannel("A"), _TRANSPARENT_BELOW, _OPAQUE_ABOVE)
        if alpha.getextrema()[0] != _OPAQUE:
            return ImageChops.invert(alpha)
    red, green, blue = mask.convert("RGB").split()
    # A photograph sent as a mask is a mistake that costs money: colors say that it is none.
    for one, other in combinations((red, green, blue), 2):
        if any(ImageChops.difference(one, other).histogram()[_NOISE + 1 :]):
            raise MaskWithoutAreaError
    return _snapped(green, _NOISE + 1, _OPAQUE - _NOISE - 1)


def _snapped(channel: Image.Image, below: int, above: int) -> Image.Image:
    """The channel with 0 for what is below `below`, and 255 for what is above `above`."""
    return channel.point([0 if value < below else _OPAQUE if value > above else value for value in range(256)])
