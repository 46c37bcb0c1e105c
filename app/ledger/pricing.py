"""What a request will cost by the catalog, in exact Decimal arithmetic. Pure.

Unknown stays unknown: where a price is not published, or depends on something that is not known beforehand, there is no
total but a reason. A rule gives the parts of one kind of price, or the reason why nobody knows it, or None where the
model has no such price. The bill is Runware's own and is summed in `bill`.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.catalog.model import Dimensions, FixedSizes
from app.catalog.prices import Confidence, Pricing
from app.domain.values import replace
from app.domain.words import JSONValue
from app.ledger.order import Estimate, Order, PriceComponent, megapixels

# Fields that change how long a model computes, besides its steps.
_WORKLOADS = ("hiresFix", "refiner", "ultralytics", "acceleration", "acceleratorOptions", "controlNet", "ipAdapters")
_NOT_PUBLISHED = "Runware publishes no price for this model."


def estimate_price(order: Order) -> Estimate:
    """The price of an order by the catalog."""
    pricing = order.model.pricing
    if pricing is None:
        return _unknown(_NOT_PUBLISHED)
    if order.size is None:
        order = replace(order, size=_following_size(order, pricing))
    obstacle = _find_obstacle(order, pricing)
    if obstacle is not None and pricing.amounts:
        return _unknown(obstacle)
    components: list[PriceComponent] = []
    for found in (_price_output(order, pricing), _price_inputs(order, pricing)):
        # One unknown part makes the whole unknown: a partial sum would pass for the price.
        if isinstance(found, str):
            return _unknown(found)
        components += found
    total = sum((component.total for component in components), Decimal(0))
    members = {component.member for component in components}
    lowest = order.count * pricing.observed[0] if pricing.observed and "observed" in members else total
    return Estimate(tuple(components), total, pricing.uncertain, _confidence(order, pricing, members), lowest)


def _unknown(reason: str) -> Estimate:
    return Estimate((), None, reason, "unknown")


def _confidence(order: Order, pricing: Pricing, members: set[str]) -> Confidence:
    """Whether all of a price is from Runware and holds for just this order."""
    seen_by_others = "observed" in members or not members.isdisjoint(pricing.third_party)
    # Prices by computing time are published for images from text; input images add work.
    more_work = pricing.compute and bool(order.references)
    return "estimated" if seen_by_others or more_work or pricing.uncertain else "published"


def _following_size(order: Order, pricing: Pricing) -> Dimensions | None:
    """The size of the result where it follows the first input image."""
    first = order.references[0] if order.references else None
    if pricing.output is None or first is None:
        return None
    if pricing.output == "input":
        return first
    left, right, top, bottom = (
        value if isinstance(value := _find_value(order.fields, f"outpaint.{side}"), int) else 0
        for side in ("left", "right", "top", "bottom")
    )
    return first[0] + left + right, first[1] + top + bottom


def _find_obstacle(order: Order, pricing: Pricing) -> str | None:
    """What makes the price of this order unknown although the model has one."""
    lora = ("lora",) if pricing.compute and pricing.with_lora is None else ()
    for path in (*pricing.not_with, *(_WORKLOADS if pricing.compute else ()), *lora):
        # No price rather than a wrong one: budgets are made of estimates (0030).
        if path.partition(".")[0] in order.fields and _find_value(order.fields, path) not in (None, False):
            return f"`{path}` changes the price in a way that is not published."
    steps = order.fields.get("steps")
    if pricing.compute and steps is not None and steps != pricing.steps:
        known = f"{pricing.steps} steps" if pricing.steps else "the steps Runware chooses"
        return f"The price depends on the steps; it is known for {known} only."
    return None


_Found = Sequence[PriceComponent] | PriceComponent | str | None


def _price_output(order: Order, pricing: Pricing) -> Sequence[PriceComponent] | str:
    """What the images cost before their input images are counted, or why nobody knows."""
    for rule in _OUTPUT_RULES:
        found = rule(order, pricing)
        if found is not None:
            return (found,) if isinstance(found, PriceComponent) else found
    if pricing.per_edit is not None:
        return "A price is known for edits only."
    if pricing.tokens is not None:
        return "It is billed by tokens, which nobody can count beforehand."
    return _NOT_PUBLISHED


def _by_megapixel(order: Order, pricing: Pricing) -> _Found:
    if pricing.first_megapixel is None and pricing.per_output_megapixel is None:
        return None
    if order.size is None:
        return "The price depends on the size of the result, which is not known beforehand."
    units = megapixels(order.size, pricing)
    if pricing.per_output_megapixel is not None:
        return order.price("per_output_megapixel", "output", "megapixel", units, pricing.per_output_megapixel)
    assert pricing.first_megapixel is not None  # noqa: S101 - seen above; for mypy
    first = order.price("first_megapixel", "output", "megapixel", 1, pricing.first_megapixel)
    # First and further megapixels are listed apart, as on the price page, so that a caller can check them.
    if units == 1:
        return first
    if pricing.further_megapixel is None:
        return "Only the price of the first megapixel is known."
    return first, order.price("further_megapixel", "output", "megapixel", units - 1, pricing.further_megapixel)


def _by_edit(order: Order, pricing: Pricing) -> _Found:
    price = pricing.per_edit
    return order.price("per_edit", "output", "image", 1, price) if order.references and price is not None else None


def _by_quality(order: Order, pricing: Pricing) -> _Found:
    if pricing.per_quality_size is None and pricing.per_quality is None:
        return None
    quality = _quality_of(order, pricing)
    sizes: Mapping[str, Decimal] | None = None
    if pricing.per_quality_size is not None:
        sizes = pricing.per_quality_size.get(quality or "")
    elif pricing.per_quality is not None and quality in pricing.per_quality:
        if pricing.quality_tier is not None and pricing.quality_tier != _tier_of(order):
            return f"A price is known for {pricing.quality_tier} only."
        sizes = {pricing.quality_size or _size_name(order): pricing.per_quality[quality]}
    if sizes is None:
        return "The price depends on the quality: ask for one of those whose price is known."
    member = "per_quality_size" if pricing.per_quality_size is not None else "per_quality"
    return _from_table(order, member, sizes)


def _by_size(order: Order, pricing: Pricing) -> _Found:
    return None if pricing.per_size is None else _from_table(order, "per_size", pricing.per_size)


def _from_table(order: Order, member: str, sizes: Mapping[str, Decimal]) -> PriceComponent | str:
    name = _size_name(order)
    if name not in sizes:
        return f"A price is known for {' and '.join(sizes)} only."
    return order.price(member, "output", "image", 1, sizes[name])


def _by_tier(order: Order, pricing: Pricing) -> _Found:
    prices = pricing.per_tier
    if prices is None:
        return None
    tier = _tier_of(order)
    if tier is None or tier not in prices:
        return f"The price depends on the resolution; it is known for {' and '.join(prices)} only."
    return order.price("per_tier", "output", "image", 1, prices[tier])


def _by_image(order: Order, pricing: Pricing) -> _Found:
    member = "with_lora" if order.fields.get("lora") and pricing.with_lora is not None else "per_image"
    price: Decimal | None = getattr(pricing, member)
    return None if price is None else order.price(member, "output", "image", 1, price)


def _by_observation(order: Order, pricing: Pricing) -> _Found:
    seen = pricing.observed
    # The upper end of what was seen: an estimate that is too low breaks a budget (0030).
    return None if seen is None else order.price("observed", "output", "image", 1, seen[1])


# The most exact first; the first that has a price, or says why it has none, decides.
_OUTPUT_RULES = (_by_megapixel, _by_edit, _by_quality, _by_size, _by_tier, _by_image, _by_observation)


def _price_inputs(order: Order, pricing: Pricing) -> Sequence[PriceComponent] | str:
    """What the input images cost, or why nobody knows."""
    count = len(order.references)
    parts: list[PriceComponent] = []
    if not count:
        return parts
    if pricing.per_reference is not None:
        parts.append(order.price("per_reference", "input", "image", count, pricing.per_reference))
    if pricing.per_extra_reference is not None and count > 1:
        parts.append(order.price("per_extra_reference", "input", "image", count - 1, pricing.per_extra_reference))
    if pricing.per_reference_megapixel is None and pricing.first_input_megapixel is None:
        return parts
    # An address is not fetched to learn its price.
    known = [reference for reference in order.references if reference is not None]
    if len(known) < count:
        return "The price depends on the size of input images that are only addresses here."
    units = sum(megapixels(reference, pricing) for reference in known)
    if pricing.per_reference_megapixel is not None:
        parts.append(
            order.price("per_reference_megapixel", "input", "megapixel", units, pricing.per_reference_megapixel)
        )
    if pricing.first_input_megapixel is not None:
        parts.append(order.price("first_input_megapixel", "input", "megapixel", 1, pricing.first_input_megapixel))
        if units > 1:
            price = pricing.further_input_megapixel
            if price is None:
                return "Only the price of the first input megapixel is known."
            parts.append(order.price("further_input_megapixel", "input", "megapixel", units - 1, price))
    return parts


def _size_name(order: Order) -> str:
    """The size as the catalog writes it."""
    return f"{order.size[0]}x{order.size[1]}" if order.size else "a size the model chooses"


def _quality_of(order: Order, pricing: Pricing) -> str | None:
    """The quality that is sent, in the model's own word; None when it is left to Runware."""
    choice = order.model.choices.get("quality")
    value = _find_value(order.fields, choice.field) if choice is not None else None
    return value if isinstance(value, str) and value != "auto" else pricing.default_quality


def _tier_of(order: Order) -> str | None:
    """The tier a task names, or that of its size."""
    # What is sent decides; the table is asked where only a size is sent.
    named = order.fields.get("resolution")
    if isinstance(named, str):
        return named
    sizes = order.model.sizes
    if not isinstance(sizes, FixedSizes) or order.size is None:
        return None
    return next((tier for tier, listed in sizes.tiers.items() if order.size in listed), None)


def _find_value(fields: Mapping[str, JSONValue], path: str) -> JSONValue:
    found: JSONValue = dict(fields)
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
