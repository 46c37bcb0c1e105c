"""Converts every kind of pixels to eight bits of gray or RGB with the tones they had. Runs in a worker process.

Deep and float samples are scaled, not clamped; LAB, and CMYK by its own profile, are computed through. A color profile
stays where it describes the pixels that come out, is computed through where it does not, and goes where it is broken.
"""

import io
import math
from collections.abc import Callable

from PIL import Image, ImageCms, ImageMath

_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})
_PLAIN = frozenset({"L", "LA", "RGB", "RGBA"})
_SPACES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "LAB"}
_SPACE_IN_PROFILE = slice(16, 20)
_BYTE, _WORD = 255, 65_535
_PROFILE = "icc_profile"


def has_alpha(image: Image.Image) -> bool:
    """Whether the image can carry transparency."""
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def to_plain(image: Image.Image, depth: int | None = None) -> Image.Image:
    """The image as L, LA, RGB or RGBA; its profile, if it still has one, describes just that.

    `depth` is the bits of a sample as the file has them, where that is known.
    """
    plain = _to_eight_bits(image, depth)
    if plain.mode not in _PLAIN or "transparency" in plain.info:
        plain = plain.convert(_plain_mode(plain))
    profile = image.info.get(_PROFILE)
    if profile is None:
        return plain
    space, was, now = _space_of(profile), _space_of_mode(image.mode), _space_of_mode(plain.mode)
    if space == now:
        # Kept only where it describes the pixels that come out: a wrong profile shifts every color.
        plain.info[_PROFILE] = profile
        return plain
    # Computed through while the pixels still have the colors that the profile describes; afterwards it is worthless.
    return (_computed(image, profile) if space == was else None) or _without_profile(plain)


def _plain_mode(image: Image.Image) -> str:
    gray = image.mode in {"1", "L", "La"}
    return ("LA" if gray else "RGBA") if has_alpha(image) else ("L" if gray else "RGB")


def _without_profile(image: Image.Image) -> Image.Image:
    if _PROFILE not in image.info:
        return image
    bare = image.copy()
    del bare.info[_PROFILE]
    return bare


def to_rgb(image: Image.Image) -> Image.Image:
    """The image as RGB or RGBA, its profile computed through where it described gray."""
    plain = to_plain(image)
    if plain.mode in {"RGB", "RGBA"}:
        return plain
    profile = plain.info.get(_PROFILE)
    computed = _computed(plain, profile) if profile else None
    if computed is None:
        computed = _without_profile(plain).convert("RGBA" if plain.mode == "LA" else "RGB")
    return computed


def to_srgb(image: Image.Image) -> Image.Image:
    """The image as RGB or RGBA without a profile, for formats that carry none."""
    rgb = to_rgb(image)
    profile = rgb.info.get(_PROFILE)
    return rgb if profile is None else _computed(rgb, profile) or _without_profile(rgb)


def match_profile(image: Image.Image, other: Image.Image) -> Image.Image:
    """`image` as RGB or RGBA in the colors of `other`, whose profile it gets."""
    # Both layers of a composition in one color space: otherwise the pasted part shows a different tone along its edge.
    profile = other.info.get(_PROFILE)
    if to_rgb(image).info.get(_PROFILE) == profile:
        return to_rgb(image)
    srgb = to_srgb(image)
    return srgb if profile is None else _transformed(srgb, _SRGB, _opener(profile), "RGB", profile) or srgb


def _to_eight_bits(image: Image.Image, depth: int | None) -> Image.Image:
    """The image with bytes for samples, gray where they were deep."""
    if image.mode == "LAB":
        computed = _transformed(image, _LAB, _SRGB, "RGB", None)
        return image.convert("L") if computed is None else computed
    # Pillow clamps deep samples to 255 when it converts: a sixteen-bit scan would come out white.
    if not image.mode.startswith(("I", "F")):
        return image
    wide = image if image.mode == "F" else image.convert("I")
    low, scale = _range_of(wide, depth, floats=image.mode == "F")
    gray = wide.point(lambda value: value * scale + (0.5 - low * scale)).convert("L")
    clear = image.info.get("transparency")
    # Before scaling: the transparent sample is one of the deep values and is lost with them.
    if isinstance(clear, int) and image.mode != "F":
        opaque = ImageMath.lambda_eval(lambda names: (names["pixel"] != clear) * _BYTE, pixel=wide).convert("L")
        gray.putalpha(opaque)
    gray.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return gray


def _range_of(image: Image.Image, depth: int | None, *, floats: bool) -> tuple[float, float]:
    """What becomes black, and how much of a byte a step is: by the samples' own depth, else by what is there."""
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]  # one band, one pair
    # Float samples may be NaN or infinite; they must not spread over the whole image.
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, float(_BYTE)
    white = _white_of(high, depth, floats=floats)
    if low >= 0 and high <= white:
        return 0.0, _BYTE / white
    return low, _BYTE / max(high - low, 1e-9)


def _white_of(high: float, depth: int | None, *, floats: bool) -> float:
    # Float samples have no white of their own; files use 1, 255 or 65535.
    if floats:
        return next((white for white in (1.0, float(_BYTE), float(_WORD)) if high <= white), high)
    if depth is not None and depth <= 16:  # noqa: PLR2004 - deeper samples never reach their white
        return float(2**depth - 1)
    return float(_WORD) if high <= _WORD else high


def _computed(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The image in sRGB by its own profile; None when the profile cannot be used."""
    return _transformed(image, _opener(profile), _SRGB, "RGB", None)


def _transformed(
    image: Image.Image,
    source: Callable[[], ImageCms.ImageCmsProfile],
    target: Callable[[], ImageCms.ImageCmsProfile],
    mode: str,
    profile: bytes | None,
) -> Image.Image | None:
    # Profiles know no alpha: it is taken off before and put back unchanged.
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    colors = image if alpha is None else image.convert("L" if image.mode == "LA" else "RGB")
    try:
        made = ImageCms.profileToProfile(colors, source(), target(), outputMode=mode)
    # A broken profile costs the exact tones, never the image.
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if made is None:
        return None
    if alpha is not None:
        made.putalpha(alpha)
    made.info = {name: value for name, value in image.info.items() if name != _PROFILE}
    if profile is not None:
        made.info[_PROFILE] = profile
    return made


def _opener(profile: bytes) -> Callable[[], ImageCms.ImageCmsProfile]:
    return lambda: ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _SRGB() -> ImageCms.ImageCmsProfile:  # noqa: N802 - reads as the name it is
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _LAB() -> ImageCms.ImageCmsProfile:  # noqa: N802 - reads as the name it is
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))


def _space_of(profile: object) -> str | None:
    """The mode whose pixels a profile describes; None when it is none, or of none we know."""
    return _SPACES.get(profile[_SPACE_IN_PROFILE]) if isinstance(profile, bytes) else None


def _space_of_mode(mode: str) -> str:
    if mode in {"1", "L", "LA", "La"} or mode.startswith(("I", "F")):
        return "L"
    return mode if mode in {"CMYK", "LAB"} else "RGB"
