"""Masks, from OpenAI's convention to Runware's. Runs in a worker process.

OpenAI: transparent means edit. Runware: white means edit. A mask with transparency is converted; a fully opaque
grayscale one is taken as Runware's already.
"""

import math
from dataclasses import dataclass

from PIL import Image, ImageChops

from app.images.color import has_alpha
from app.images.convert import encode_image
from app.images.errors import MaskShapeError, MaskWithoutAreaError
from app.images.upright import open_upright

SHAPE_TOLERANCE = 0.01
"""How far, in ln(width / height), a mask's shape may be from its image's."""
_OPAQUE = 255


@dataclass(frozen=True, slots=True)
class RunwareMask:
    """A mask as PNG, white where to edit; `resized_from` is its own size when it differed from the image's."""

    data: bytes
    resized_from: tuple[int, int] | None


def convert_mask(data: bytes, size: tuple[int, int], max_pixels: int) -> RunwareMask:
    """The mask for an image of `size`.

    Raises UnreadableImageError, TooManyPixelsError, MaskShapeError or MaskWithoutAreaError.
    """
    mask = open_upright(data, max_pixels)
    if abs(math.log((mask.width / mask.height) / (size[0] / size[1]))) > SHAPE_TOLERANCE:
        raise MaskShapeError(*mask.size)
    area = _area_to_edit(mask)
    resized_from = mask.size if mask.size != size else None
    if resized_from is not None:
        area = area.resize(size, Image.Resampling.LANCZOS)
    return RunwareMask(encode_image(area, "png", None).data, resized_from)


def _area_to_edit(mask: Image.Image) -> Image.Image:
    """Grayscale, white where to edit."""
    if has_alpha(mask):
        alpha = mask.convert("RGBA").getchannel("A")
        if alpha.getextrema()[0] != _OPAQUE:
            return ImageChops.invert(alpha)
    rgb = mask.convert("RGB")
    red, green, blue = rgb.split()
    if ImageChops.difference(red, green).getbbox() or ImageChops.difference(green, blue).getbbox():
        raise MaskWithoutAreaError
    return red
