"""The sizes worth offering for a model: the usual shapes, and for each the size that the model really makes. Pure.

For whoever shows a choice of sizes. Which size becomes of any other request is `sizing`'s arithmetic, asked here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from app.catalog.model import Dimensions, FixedSizes, GridSizes, SizeRules, TierSizes, UnpublishedSizes
from app.domain.request import SizeRequest
from app.planning.sizing import area_error, choose_size, shape_error, tier_area

_RATIOS = ("1:1", "5:4", "4:3", "3:2", "16:9", "21:9", "4:5", "3:4", "2:3", "9:16", "9:21")
_TIERS = ("0.5K", "1K", "2K", "4K")
_SAME_SHAPE = 0.03
"""Tables and grids round: within this (in ln) a size is of a usual shape."""
_SAME_SCALE = 0.1
_LARGEST_PART = 64
"""Of a ratio that has no usual name."""


@dataclass(frozen=True, slots=True)
class OfferedSize:
    """A size that the model makes as it is; `ratio` is its shape by name, `resolution` its tier where it has one."""

    ratio: str
    resolution: str | None
    size: Dimensions


def offered_sizes(rules: SizeRules, default_area: int | None = None) -> tuple[OfferedSize, ...]:
    """The whole table of a model that has one, else the usual shapes on the usual tiers; none where it chooses."""
    if isinstance(rules, FixedSizes):
        return tuple(
            OfferedSize(name_ratio(size), tier, size)
            for tier, sizes in rules.tiers.items()
            for size in sorted(sizes, key=_by_shape)
        )
    if isinstance(rules, TierSizes):
        return tuple(_computed(rules, default_area, rules.tiers))
    if isinstance(rules, GridSizes):
        # Limits that hold no usual tier still allow the model's own scale.
        return tuple(_computed(rules, default_area, _TIERS)) or tuple(_computed(rules, default_area, (None,)))
    # Nobody knows how large such a model works: only the scale that is safe is offered.
    return tuple(_computed(rules, default_area, (None,))) if isinstance(rules, UnpublishedSizes) else ()


def name_ratio(size: Dimensions) -> str:
    """The shape of a size, as the usual ratio that it is or nearly is, else in the smallest numbers."""
    nearest = min(_RATIOS, key=lambda name: shape_error(size, _read(name)))
    if shape_error(size, _read(nearest)) <= _SAME_SHAPE:
        return nearest
    divisor = math.gcd(*size)
    width, height = size[0] // divisor, size[1] // divisor
    if max(width, height) <= _LARGEST_PART:
        return f"{width}:{height}"
    return f"{size[0] / size[1]:.2f}:1" if size[0] > size[1] else f"1:{size[1] / size[0]:.2f}"


def _computed(rules: SizeRules, default_area: int | None, tiers: tuple[str | None, ...]) -> Iterator[OfferedSize]:
    for tier in tiers:
        area = None if tier is None else tier_area(tier)
        for name in _RATIOS:
            ratio = _read(name)
            made = choose_size(rules, SizeRequest(ratio=ratio, area=area), default_area).size
            # What would only be the nearest thing is not a choice of this shape and scale.
            if made is None or shape_error(made, ratio) > _SAME_SHAPE:
                continue
            # Formulas round: a size that is not made again when it is asked for by name is no choice either.
            is_stable = choose_size(rules, SizeRequest(exact=made), default_area).size == made
            if is_stable and (area is None or area_error(made, area) <= _SAME_SCALE):
                yield OfferedSize(name, tier, made)


def _by_shape(size: Dimensions) -> tuple[bool, float]:
    """Square and wide first, then tall, each from the mildest shape on."""
    return size[0] < size[1], abs(math.log(size[0] / size[1]))


def _read(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return int(width) / int(height)
