"""Which size a model is asked for. Pure arithmetic over the requested size and the model's rules.

Shape is matched first, by the smallest |ln(r/r')|, then scale, by the smallest |ln(area/area')|; ties go to the
larger image. A fixed table beats any formula. Leaves parsing of sizes to `openai_api` and what is
said of them to `size`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from app.catalog.model import (
    AutomaticSizes,
    CatalogModel,
    Dimensions,
    FixedSizes,
    GridSizes,
    SizeRules,
    TierSizes,
    UnpublishedSizes,
)
from app.domain.request import SizeRequest
from app.images.geometry import TargetShape

DEFAULT_AREA = 1_048_576
_COMPETING_SHAPES = 0.03
"""With `WxH`, tiers whose best shape is this near (in ln) to the best of all compete on area."""
_SMALLEST_TIER, _LARGEST_TIER = 0.01, 100.0
_DIGITS = 9
_TIE = 10.0**-_DIGITS
"""Shape and area errors that agree to this many digits are ties, whatever floating point says."""


_UNPUBLISHED = GridSizes(kind="range", min_side=128, max_side=2048, step=64)
"""Where limits are not published, a size that must be computed lies on this grid."""


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """The size to ask for; `size` is None when the model chooses.

    `tier` is that of the table beside a size, else the one for the task's own `resolution` field.
    """

    size: Dimensions | None
    tier: str | None = None
    blank: Dimensions | None = None
    """The size of the blank image that stands in for one to edit."""
    reference_shape: TargetShape | None = None
    """The shape the first input image gets, so that the result has it."""


def tier_area(tier: str) -> int | None:
    """The pixels of a tier like `1K`, `0.5K` or `0.25MP`; None for anything else."""
    text = tier.strip().upper()
    for suffix in ("MP", "K"):
        if text.endswith(suffix):
            try:
                number = float(text.removesuffix(suffix))
            except ValueError:
                return None
            if not _SMALLEST_TIER <= number <= _LARGEST_TIER:
                return None
            return round(number * 1_048_576) if suffix == "MP" else round((number * 1024) ** 2)
    return None


def choose_size(rules: SizeRules, requested: SizeRequest, default_area: int | None = None) -> SizeChoice:
    """The legal size nearest to the requested one, by shape first and then by area."""
    if isinstance(rules, FixedSizes):
        return _choose_fixed(rules, requested)
    if isinstance(rules, GridSizes):
        width, height = _ideal(requested, default_area or DEFAULT_AREA)
        return SizeChoice(_choose_on_grid(rules, width, height))
    if isinstance(rules, TierSizes):
        return _choose_by_formula(rules, requested)
    if isinstance(rules, UnpublishedSizes):
        width, height = _ideal(requested, default_area or DEFAULT_AREA)
        # Passed as it is: a guess of ours at limits nobody published would refuse sizes that work.
        return SizeChoice(requested.exact or _choose_on_grid(_UNPUBLISHED, width, height))
    assert isinstance(rules, AutomaticSizes)  # noqa: S101 - the union ends here; mypy checks it too
    return SizeChoice(None)


def choose_blank(model: CatalogModel, requested: SizeRequest) -> Dimensions:
    """The size of a blank input image for a model that is sent no size: near the requested one, within its limits."""
    rules = model.images
    low, high = (rules.min_side, rules.max_side) if rules else (None, None)
    # A size that was named is met to the pixel, since the result follows the blank; other sizes are rounded.
    step = 1 if requested.exact else 16
    grid = GridSizes(kind="range", min_side=low or 128, max_side=min(high or 2048, 2048), step=step)
    width, height = _ideal(requested, model.default_pixels or DEFAULT_AREA)
    return _choose_on_grid(grid, width, height)


def shape_error(size: Dimensions, ratio: float) -> float:
    """|ln(r/r')| between a size and a shape."""
    return abs(math.log((size[0] / size[1]) / ratio))


def area_error(size: Dimensions, area: float) -> float:
    """|ln(a/a')| between a size and an area."""
    return abs(math.log(size[0] * size[1] / area))


def requested_ratio(requested: SizeRequest) -> float:
    """The shape asked for as width / height; square when nothing was said."""
    if requested.exact is not None:
        return requested.exact[0] / requested.exact[1]
    return requested.ratio if requested.ratio is not None else 1.0


def _ideal(requested: SizeRequest, default_area: int) -> tuple[float, float]:
    if requested.exact is not None:
        return float(requested.exact[0]), float(requested.exact[1])
    ratio = requested_ratio(requested)
    height = math.sqrt((requested.area or default_area) / ratio)
    return height * ratio, height


def _nearest(sizes: Iterable[Dimensions], ratio: float, area: float) -> Dimensions:
    """The size with the smallest shape error; among equals the nearest area, then the larger, then the wider."""
    wanted = math.log(ratio)
    shapes = [(abs(shape - wanted), size) for shape, size in _shapes(tuple(sizes))]
    # Floating point: sizes of one shape differ in the last digits and must still count as equal.
    limit = min(shapes)[0] + _TIE
    equals = [size for error, size in shapes if error <= limit]
    if len(equals) == 1:
        return equals[0]
    # The larger of two: pixels that are not wanted can be scaled away, missing ones cannot be had.
    return min(equals, key=lambda size: (round(area_error(size, area), _DIGITS), -size[0] * size[1], -size[0]))


@lru_cache(maxsize=1024)
def _shapes(sizes: tuple[Dimensions, ...]) -> tuple[tuple[float, Dimensions], ...]:
    """ln(width / height) of each size; tables never change."""
    return tuple((math.log(width / height), (width, height)) for width, height in sizes)


def nearest_tier(tiers: Iterable[str], area: float) -> str:
    """The tier nearest to an area, by |ln|; a tie goes to the larger."""
    areas = {tier: tier_area(tier) or DEFAULT_AREA for tier in tiers}
    return min(areas, key=lambda tier: (round(abs(math.log(areas[tier] / area)), _DIGITS), -areas[tier]))


def _default_tier(tiers: Iterable[str]) -> str:
    names = list(tiers)
    return "1K" if "1K" in names else min(names, key=lambda tier: tier_area(tier) or DEFAULT_AREA)


def _choose_fixed(rules: FixedSizes, requested: SizeRequest) -> SizeChoice:
    ratio = requested_ratio(requested)
    if requested.exact is None:
        tier = nearest_tier(rules.tiers, requested.area) if requested.area else _default_tier(rules.tiers)
        area = requested.area or tier_area(tier) or DEFAULT_AREA
        return SizeChoice(_nearest(rules.tiers[tier], ratio, area), tier)
    requested_area = requested.exact[0] * requested.exact[1]
    best: dict[str, Dimensions] = {}
    for tier, sizes in rules.tiers.items():
        # Whatever the formula prefers: a size that exists is what was meant.
        if requested.exact in sizes:
            return SizeChoice(requested.exact, tier)
        best[tier] = _nearest(sizes, ratio, requested_area)
    # Tables round: the same shape differs a little from tier to tier, and must not decide between them.
    limit = min(shape_error(size, ratio) for size in best.values()) + _COMPETING_SHAPES
    competing = {tier: size for tier, size in best.items() if shape_error(size, ratio) <= limit}
    tier = min(
        competing,
        key=lambda name: (round(area_error(best[name], requested_area), _DIGITS), -best[name][0] * best[name][1]),
    )
    return SizeChoice(best[tier], tier)


def _choose_by_formula(rules: TierSizes, requested: SizeRequest) -> SizeChoice:
    ratio = requested_ratio(requested)
    requested_area = requested.exact[0] * requested.exact[1] if requested.exact else requested.area
    tier = nearest_tier(rules.tiers, requested_area) if requested_area else _default_tier(rules.tiers)
    # Half up, as those round who published the examples; Python's `round` goes to the even number.
    height = math.floor(math.sqrt((tier_area(tier) or DEFAULT_AREA) / ratio) + 0.5)
    return SizeChoice((max(1, math.floor(height * ratio + 0.5)), max(1, height)), tier)


def _choose_on_grid(rules: GridSizes, width: float, height: float) -> Dimensions:
    # The shape survives, the scale gives way: a cut or stretched image is the worse surprise.
    width, height = _scale_into(rules, width, height)
    ratio, area = width / height, width * height
    # Around the ideal first: looking through the whole grid of a large model takes milliseconds.
    near = _legal(rules, [(w, h) for w in _around(rules, width) for h in _around(rules, height)])
    return _nearest(near or _legal(rules, _nearest_in_each_row(rules, ratio)), ratio, area)


def _scale_into(rules: GridSizes, width: float, height: float) -> tuple[float, float]:
    """The size scaled into every limit with its shape kept, or clamped where no such scale exists."""
    ratio = width / height
    ratio = min(max(ratio, rules.min_aspect or 0.0), rules.max_aspect or math.inf)
    low, high = _side_limits(rules)
    ratio = min(max(ratio, low / high), high / low)
    height = math.sqrt(width * height / ratio)
    smallest = max(low, low / ratio, math.sqrt((rules.min_pixels or 1) / ratio))
    largest = min(high, high / ratio, math.sqrt((rules.max_pixels or high * high) / ratio))
    height = min(max(height, smallest), largest)
    return height * ratio, height


def _side_limits(rules: GridSizes) -> tuple[int, int]:
    low = math.ceil(rules.min_side / rules.step) * rules.step
    return low, rules.max_side // rules.step * rules.step


def _around(rules: GridSizes, side: float) -> set[int]:
    """The grid points just below and above `side` that lie within the limits."""
    low, high = _side_limits(rules)
    # A side on the grid that floating point puts beside it must stay on it.
    tolerance = 1e-9 * side
    below = math.floor((side + tolerance) / rules.step) * rules.step
    above = math.ceil((side - tolerance) / rules.step) * rules.step
    return {point for point in (below, above) if low <= point <= high}


def _nearest_in_each_row(rules: GridSizes, ratio: float) -> list[Dimensions]:
    """For every legal height the legal widths nearest to the shape, for limits that leave nothing around the ideal."""
    low, high = _side_limits(rules)
    sizes: list[Dimensions] = []
    for height in range(low, high + 1, rules.step):
        narrowest = max(low, (rules.min_pixels or 0) / height, (rules.min_aspect or 0.0) * height)
        widest = min(high, (rules.max_pixels or math.inf) / height, (rules.max_aspect or math.inf) * height)
        sizes += [(width, height) for width in _around(rules, min(max(height * ratio, narrowest), widest))]
    return sizes


def _legal(rules: GridSizes, sizes: Iterable[Dimensions]) -> list[Dimensions]:
    smallest, largest = rules.min_pixels or 0, rules.max_pixels or math.inf
    narrowest, widest = rules.min_aspect or 0.0, rules.max_aspect or math.inf
    return [(w, h) for w, h in sizes if smallest <= w * h <= largest and narrowest <= w / h <= widest]
