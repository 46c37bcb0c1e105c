"""How each kind of price in the catalog is read for one image. Pure.

A rule gives the parts of a price, or the reason why nobody knows it, or nothing where the model has no such price.
Adding up is `pricing`'s.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.catalog.model import CatalogModel, Dimensions, FixedSizes
from app.catalog.prices import Pricing
from app.domain.request import JSONValue

_BINARY_MEGAPIXEL = 1_048_576
_FURTHER_MEGAPIXEL = 1_000_000
"""Published examples of most models fit no other rule: 1024x1024 is one unit, 1536x1024 two, 1920x1080 three."""
_WORKLOADS = ("hiresFix", "refiner", "ultralytics", "acceleration", "acceleratorOptions", "controlNet", "ipAdapters")
"""Fields that change how long a model computes, besides its steps."""


@dataclass(frozen=True, slots=True)
class PricePart:
    """What one image costs in one respect; `member` is the price of the catalog that says so."""

    member: str
    type: str
    metric: str
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class PriceQuestion:
    """One image to be priced: its model's prices, its size, what it is made from and with."""

    model: CatalogModel
    pricing: Pricing
    size: Dimensions | None
    references: Sequence[Dimensions | None]
    fields: Mapping[str, JSONValue]

    @property
    def size_name(self) -> str:
        """The size as the catalog writes it."""
        return f"{self.size[0]}x{self.size[1]}" if self.size else "a size the model chooses"

    @property
    def quality(self) -> str | None:
        """The quality the model will be told, in its own word; None when it is left to Runware."""
        choice = self.model.choices.get("quality")
        value = find_value(self.fields, choice.field) if choice is not None else None
        return value if isinstance(value, str) and value != "auto" else self.pricing.default_quality


def megapixels(size: Dimensions, pricing: Pricing | None = None) -> int:
    """The megapixels a size is billed as."""
    pixels = size[0] * size[1]
    if pricing is not None and pricing.megapixel == "1024x1024":
        units = math.ceil(pixels / _BINARY_MEGAPIXEL)
    else:
        units = 1 + max(0, math.ceil((pixels - _BINARY_MEGAPIXEL) / _FURTHER_MEGAPIXEL))
    return min(units, pricing.max_megapixels) if pricing is not None and pricing.max_megapixels else units


def find_obstacle(question: PriceQuestion) -> str | tuple[()]:
    """What makes the price of this order unknown although the model has one."""
    pricing, fields = question.pricing, question.fields
    lora = ("lora",) if pricing.compute and pricing.with_lora is None else ()
    for path in (*pricing.not_with, *(_WORKLOADS if pricing.compute else ()), *lora):
        # No price rather than a wrong one: budgets are made of estimates (0030).
        if find_value(fields, path) not in (None, False):
            return f"`{path}` changes the price in a way that is not published."
    steps = fields.get("steps")
    if pricing.compute and steps is not None and steps != pricing.steps:
        known = f"{pricing.steps} steps" if pricing.steps else "the steps Runware chooses"
        return f"The price depends on the steps; it is known for {known} only."
    return ()


def price_output(question: PriceQuestion) -> Sequence[PricePart] | str:
    """What one image costs before its input images are counted, or why nobody knows."""
    for rule in _OUTPUT_RULES:
        found = rule(question)
        if found is not None:
            return (found,) if isinstance(found, PricePart) else found
    if question.pricing.per_edit is not None:
        return "A price is known for edits only."
    if question.pricing.tokens is not None:
        return "It is billed by tokens, which nobody can count beforehand."
    return "Runware publishes no price for this model."


_Found = Sequence[PricePart] | PricePart | str | None


def _by_megapixel(question: PriceQuestion) -> _Found:
    pricing, size = question.pricing, question.size
    if pricing.first_megapixel is None and pricing.per_output_megapixel is None:
        return None
    if size is None:
        return "The price depends on the size of the result, which is not known beforehand."
    units = megapixels(size, pricing)
    if pricing.per_output_megapixel is not None:
        return PricePart("per_output_megapixel", "output", "megapixel", units, pricing.per_output_megapixel)
    assert pricing.first_megapixel is not None  # noqa: S101 - seen above; for mypy
    first = PricePart("first_megapixel", "output", "megapixel", 1, pricing.first_megapixel)
    if units == 1:
        return first
    if pricing.further_megapixel is None:
        return "Only the price of the first megapixel is known."
    return first, PricePart("further_megapixel", "output", "megapixel", units - 1, pricing.further_megapixel)


def _by_edit(question: PriceQuestion) -> _Found:
    price = question.pricing.per_edit
    return PricePart("per_edit", "output", "image", 1, price) if question.references and price is not None else None


def _by_quality(question: PriceQuestion) -> _Found:
    pricing, quality = question.pricing, question.quality
    sizes: Mapping[str, Decimal] | None = None
    if pricing.per_quality_size is not None:
        sizes = pricing.per_quality_size.get(quality or "")
    elif pricing.per_quality is None:
        return None
    elif quality in pricing.per_quality:
        if pricing.quality_tier is not None and pricing.quality_tier != _tier_of(question):
            return f"A price is known for {pricing.quality_tier} only."
        only = pricing.quality_size or question.size_name
        sizes = {only: pricing.per_quality[quality]}
    if sizes is None:
        return "The price depends on the quality: ask for one of those whose price is known."
    member = "per_quality_size" if pricing.per_quality_size is not None else "per_quality"
    return _from_table(question, member, sizes)


def _by_size(question: PriceQuestion) -> _Found:
    sizes = question.pricing.per_size
    return None if sizes is None else _from_table(question, "per_size", sizes)


def _from_table(question: PriceQuestion, member: str, sizes: Mapping[str, Decimal]) -> PricePart | str:
    if question.size_name not in sizes:
        return f"A price is known for {' and '.join(sizes)} only."
    return PricePart(member, "output", "image", 1, sizes[question.size_name])


def _by_tier(question: PriceQuestion) -> _Found:
    prices = question.pricing.per_tier
    if prices is None:
        return None
    tier = _tier_of(question)
    if tier is None or tier not in prices:
        return f"The price depends on the resolution; it is known for {' and '.join(prices)} only."
    return PricePart("per_tier", "output", "image", 1, prices[tier])


def _by_image(question: PriceQuestion) -> _Found:
    pricing = question.pricing
    member = "with_lora" if question.fields.get("lora") and pricing.with_lora is not None else "per_image"
    price: Decimal | None = getattr(pricing, member)
    return None if price is None else PricePart(member, "output", "image", 1, price)


def _by_observation(question: PriceQuestion) -> _Found:
    seen = question.pricing.observed
    # The upper end of what was seen: an estimate that is too low breaks a budget (0030).
    return None if seen is None else PricePart("observed", "output", "image", 1, seen[1])


_OUTPUT_RULES = (_by_megapixel, _by_edit, _by_quality, _by_size, _by_tier, _by_image, _by_observation)
"""The most exact first; the first that has a price, or says why it has none, decides."""


def price_inputs(question: PriceQuestion) -> Sequence[PricePart] | str:
    """What the input images of one image cost, or why nobody knows."""
    pricing, count = question.pricing, len(question.references)
    if not count:
        return ()
    parts = []
    if pricing.per_reference is not None:
        parts.append(PricePart("per_reference", "input", "image", count, pricing.per_reference))
    if pricing.per_extra_reference is not None and count > 1:
        parts.append(PricePart("per_extra_reference", "input", "image", count - 1, pricing.per_extra_reference))
    if pricing.per_reference_megapixel is None and pricing.first_input_megapixel is None:
        return parts
    known = [reference for reference in question.references if reference is not None]
    if len(known) < count:
        return "The price depends on the size of input images that are only addresses here."
    units = sum(megapixels(reference, pricing) for reference in known)
    if pricing.per_reference_megapixel is not None:
        parts.append(PricePart("per_reference_megapixel", "input", "megapixel", units, pricing.per_reference_megapixel))
    if pricing.first_input_megapixel is not None:
        parts.append(PricePart("first_input_megapixel", "input", "megapixel", 1, pricing.first_input_megapixel))
        if units > 1:
            price = pricing.further_input_megapixel
            if price is None:
                return "Only the price of the first input megapixel is known."
            parts.append(PricePart("further_input_megapixel", "input", "megapixel", units - 1, price))
    return parts


def _tier_of(question: PriceQuestion) -> str | None:
    """The tier a task names, or that of its size."""
    named = question.fields.get("resolution")
    if isinstance(named, str):
        return named
    sizes = question.model.sizes
    if not isinstance(sizes, FixedSizes) or question.size is None:
        return None
    return next((tier for tier, listed in sizes.tiers.items() if question.size in listed), None)


def find_value(fields: Mapping[str, JSONValue], path: str) -> JSONValue:
    """The value at a dotted path, or None."""
    found: JSONValue = dict(fields)
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
