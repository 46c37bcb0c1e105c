"""What a request will cost by the catalog, in exact Decimal arithmetic. Pure.

Unknown stays unknown: where a price is not published, or depends on something that is not known beforehand, there is no
total but a reason. What others saw is used and says so. How each kind of price is read is `price_rules`'; the bill
itself is Runware's and is summed elsewhere.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from app.catalog.model import CatalogModel, Dimensions
from app.catalog.prices import Confidence, Pricing
from app.domain.request import JSONValue
from app.ledger.price_rules import PricePart, PriceQuestion, find_obstacle, find_value, price_inputs, price_output


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be priced: `count` images of `size`, made from `references` whose sizes may be unknown.

    `fields` are the task's own, by which some prices differ.
    """

    count: int = 1
    size: Dimensions | None = None
    references: Sequence[Dimensions | None] = ()
    fields: Mapping[str, JSONValue] | None = None


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
    """What a request will cost; `total` is None, with a `reason`, when nobody can know.

    `confidence` is `published`, `estimated` where a part of it is not from Runware, or `unknown`. `lowest` is below
    the total where only a range was seen.
    """

    components: tuple[Component, ...]
    total: Decimal | None
    reason: str | None = None
    confidence: Confidence = "published"
    lowest: Decimal | None = None


def estimate_price(model: CatalogModel, order: Order) -> Estimate:
    """The price of an order by the catalog."""
    pricing = model.pricing
    if pricing is None or not pricing.amounts:
        return _unknown("Runware publishes no price for this model.")
    fields = order.fields or {}
    size = order.size or _following_size(pricing, order.references, fields)
    question = PriceQuestion(model, pricing, size, order.references, fields)
    parts: list[PricePart] = []
    for found in (find_obstacle(question), price_output(question), price_inputs(question)):
        # One unknown part makes the whole unknown: a partial sum would pass for the price.
        if isinstance(found, str):
            return _unknown(found)
        parts += found
    components = tuple(
        Component(part.type, part.metric, order.count * part.quantity, part.unit_price) for part in parts
    )
    total = sum((component.total for component in components), Decimal(0))
    members = {part.member for part in parts}
    lowest = order.count * pricing.observed[0] if pricing.observed and "observed" in members else total
    return Estimate(components, total, pricing.uncertain, _confidence(question, members), lowest)


def _confidence(question: PriceQuestion, members: AbstractSet[str]) -> Confidence:
    """Whether all of a price is from Runware and holds for just this order."""
    seen_by_others = "observed" in members or not members.isdisjoint(question.pricing.third_party)
    # Prices by computing time are published for images from text; input images add work.
    more_work = question.pricing.compute and bool(question.references)
    return "estimated" if seen_by_others or more_work or question.pricing.uncertain else "published"


def _following_size(
    pricing: Pricing, references: Sequence[Dimensions | None], fields: Mapping[str, JSONValue]
) -> Dimensions | None:
    """The size of the result where it follows the first input image."""
    first = references[0] if references else None
    if pricing.output is None or first is None:
        return None
    if pricing.output == "input":
        return first
    left, right, top, bottom = (
        value if isinstance(value := find_value(fields, f"outpaint.{side}"), int) else 0
        for side in ("left", "right", "top", "bottom")
    )
    return first[0] + left + right, first[1] + top + bottom


def _unknown(reason: str) -> Estimate:
    return Estimate((), None, reason, "unknown")
