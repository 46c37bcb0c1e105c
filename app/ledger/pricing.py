"""What a request will cost by the catalog, in exact Decimal arithmetic. Pure.

Unknown stays unknown: where a price is not published, or depends on something that is not known beforehand, there is no
total but a reason. The bill itself is Runware's and is summed elsewhere.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.catalog.model import CatalogModel, Dimensions, FixedSizes, Pricing

_FIRST_MEGAPIXEL = 1_048_576
_FURTHER_MEGAPIXEL = 1_000_000
"""Published examples fit no other rule: 1024x1024 is one unit, 1536x1024 two, 1920x1080 three."""


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the price: `quantity` units of `metric` at `unit_price` US dollars."""

    type: str
    metric: str
    quantity: int
    unit_price: Decimal

    @property
    def total(self) -> Decimal:
        """Dollars."""
        return self.quantity * self.unit_price


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request will cost; `total` is None, with a `reason`, when nobody can know."""

    components: tuple[Component, ...]
    total: Decimal | None
    reason: str | None = None


def estimate(
    model: CatalogModel,
    count: int,
    size: Dimensions | None,
    resolution: str | None,
    references: Sequence[Dimensions | None],
    quality: str | None = None,
) -> Estimate:
    """The price of `count` images of `size` made from `references`, whose sizes may be unknown.

    `quality` is the value of the model's own setting, None when Runware chooses it.
    """
    pricing = model.pricing
    if pricing is None:
        return _unknown("Runware publishes no price for this model.")
    per_image = _per_image(model, pricing, size, resolution or quality, edits=bool(references))
    if isinstance(per_image, str):
        return _unknown(per_image)
    components = [Component("output", metric, count * units, price) for metric, units, price in per_image]
    if pricing.per_reference_megapixel is not None and references:
        known = [reference for reference in references if reference is not None]
        if len(known) < len(references):
            return _unknown("The price depends on the size of input images that are only addresses here.")
        units = count * sum(megapixels(reference) for reference in known)
        components.append(Component("input", "megapixel", units, pricing.per_reference_megapixel))
    if pricing.per_extra_reference is not None and len(references) > 1:
        units = count * (len(references) - 1)
        components.append(Component("input", "image", units, pricing.per_extra_reference))
    return Estimate(tuple(components), sum((part.total for part in components), Decimal(0)))


def megapixels(size: Dimensions) -> int:
    """The megapixels a size is billed as."""
    beyond = size[0] * size[1] - _FIRST_MEGAPIXEL
    return 1 + max(0, math.ceil(beyond / _FURTHER_MEGAPIXEL))


def _per_image(
    model: CatalogModel, pricing: Pricing, size: Dimensions | None, level: str | None, *, edits: bool
) -> list[tuple[str, int, Decimal]] | str:
    """Metric, units and price of one image, or why there is none; `level` is a tier or a quality that was chosen."""
    if pricing.first_megapixel is not None:
        if size is None:
            return "The price depends on the size, which the model chooses itself."
        further = megapixels(size) - 1
        parts = [("megapixel", 1, pricing.first_megapixel)]
        return parts + ([("megapixel", further, pricing.further_megapixel or Decimal(0))] if further else [])
    if pricing.per_tier is not None:
        tier = level if level in pricing.per_tier else _tier_of(model, size)
        if tier is None or tier not in pricing.per_tier:
            return "The price depends on the resolution, and none is published for this one."
        return [("image", 1, pricing.per_tier[tier])]
    if edits and pricing.per_edit is not None:
        return [("image", 1, pricing.per_edit)]
    if pricing.per_image is not None:
        return [("image", 1, pricing.per_image)]
    if pricing.per_quality is not None:
        return _by_quality(pricing, pricing.per_quality, size, level)
    return "Runware publishes no price for this model."


def _by_quality(
    pricing: Pricing, prices: Mapping[str, Decimal], size: Dimensions | None, quality: str | None
) -> list[tuple[str, int, Decimal]] | str:
    if quality is None or quality not in prices:
        return "The price depends on the quality Runware chooses: ask for one."
    if pricing.quality_size is not None and size != pricing.quality_size:
        return f"A price is published for {pricing.quality_size[0]}x{pricing.quality_size[1]} only."
    return [("image", 1, prices[quality])]


def _tier_of(model: CatalogModel, size: Dimensions | None) -> str | None:
    if not isinstance(model.sizes, FixedSizes) or size is None:
        return None
    return next((tier for tier, sizes in model.sizes.tiers.items() if size in sizes), None)


def _unknown(reason: str) -> Estimate:
    return Estimate((), None, reason)
