"""The last touch on an image: fitted to an exact size, or pasted into the caller's own. Runs in a worker process.

Pasting keeps every pixel outside the mask exactly as the caller's image has it; the provider's result is stretched
to the caller's size and shows only where the mask is white.
"""

from PIL import Image, ImageOps

from app.images.color import has_alpha, match_profile, to_rgb
from app.images.convert import EncodedImage, encode_image, open_image
from app.images.types import CompositeBase, Fit
from app.images.upright import open_upright

_PAD_COLORS = {"black": (0, 0, 0, 255), "transparent": (0, 0, 0, 0)}
_WHITE = (255, 255, 255, 255)


def compose_image(
    data: bytes,
    size: tuple[int, int],
    fit: Fit,
    pad: str,
    base: CompositeBase | None,
    format_: str,
    quality: int | None,
    max_pixels: int,
) -> EncodedImage:
    """`data` at exactly `size`, pasted into `base` if given, in `format_`.

    `pad` is black, white or transparent. Raises UnreadableImageError or TooManyPixelsError.
    """
    image = to_rgb(open_image(data, max_pixels))
    if base is not None:
        return encode_image(_paste(image, size, base, max_pixels), format_, quality)
    return encode_image(_FITS[fit](image, size, pad), format_, quality)


def _cover(image: Image.Image, size: tuple[int, int], _: str) -> Image.Image:
    """Scaled and cropped centrally."""
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def _contain(image: Image.Image, size: tuple[int, int], pad: str) -> Image.Image:
    """Scaled and padded centrally."""
    inner = ImageOps.contain(image, size, Image.Resampling.LANCZOS).convert("RGBA")
    base = Image.new("RGBA", size, _PAD_COLORS.get(pad, _WHITE))
    base.alpha_composite(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    # Alpha only where it is wanted: an opaque image needs none.
    made = base if pad == "transparent" or has_alpha(image) else base.convert("RGB")
    made.info = dict(image.info)
    return made


def _stretch(image: Image.Image, size: tuple[int, int], _: str) -> Image.Image:
    """Each side scaled by itself."""
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


_FITS = {"cover": _cover, "contain": _contain, "exact": _stretch}


def _paste(result: Image.Image, size: tuple[int, int], base: CompositeBase, max_pixels: int) -> Image.Image:
    # The caller's own image sets mode, colors and profile, so that what lies outside the mask is theirs to the bit.
    own = to_rgb(open_upright(base.image, max_pixels))
    kept = _stretch(own, size, "")
    mask = open_image(base.mask, max_pixels).convert("L")
    if mask.size != size:
        # A soft edge where the mask is enlarged; nearest would show steps along it.
        mask = mask.resize(size, Image.Resampling.BILINEAR)
    pasted = Image.composite(_stretch(match_profile(result, own), size, "").convert(own.mode), kept, mask)
    pasted.info = dict(own.info)
    return pasted
