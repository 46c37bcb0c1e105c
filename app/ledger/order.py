"""What is to be priced, and what it comes to. Pure values; the prices are `pricing`'s."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct, field

from app.catalog.model import CatalogModel, Dimensions
from app.catalog.prices import Confidence, Pricing
from app.domain.words import JSONValue

_BINARY_MEGAPIXEL = 1_048_576
# Published examples of most models fit no other rule: 1024x1024 is one unit, 1536x1024 two, 1920x1080 three.
_FURTHER_MEGAPIXEL = 1_000_000


class Order(Struct, frozen=True):
    """What is to be priced: `count` images of `size`, from `references` of sizes that may be unknown, by `fields`."""

    model: CatalogModel
    count: int = 1
    size: Dimensions | None = None
    references: Sequence[Dimensions | None] = ()
    fields: Mapping[str, JSONValue] = field(default_factory=dict)

    def price(self, member: str, type_: str, metric: str, quantity: int, unit_price: Decimal) -> "PriceComponent":
        """A part of the price that is due `quantity` times for each image."""
        return PriceComponent(member, type_, metric, self.count * quantity, unit_price)


class PriceComponent(Struct, frozen=True):
    """A part of the price: `quantity` units of `metric` at `unit_price` US dollars.

    `member` is the price of the catalog that says so.
    """

    member: str
    type: str
    metric: str
    quantity: int
    unit_price: Decimal

    @property
    def total(self) -> Decimal:
        """Dollars."""
        return self.quantity * self.unit_price


class Estimate(Struct, frozen=True):
    """What a request will cost; `total` is None, with a `reason`, when nobody can know.

    `confidence` is `published`, `estimated` where a part of it is not from Runware, or `unknown`. `lowest` is below
    the total where only a range was seen.
    """

    components: tuple[PriceComponent, ...]
    total: Decimal | None
    reason: str | None = None
    confidence: Confidence = "published"
    lowest: Decimal | None = None


def megapixels(size: Dimensions, pricing: Pricing | None = None) -> int:
    """The megapixels a size is billed as."""
    pixels = size[0] * size[1]
    if pricing is not None and pricing.megapixel == "1024x1024":
        units = math.ceil(pixels / _BINARY_MEGAPIXEL)
    else:
        units = 1 + max(0, math.ceil((pixels - _BINARY_MEGAPIXEL) / _FURTHER_MEGAPIXEL))
    return min(units, pricing.max_megapixels) if pricing is not None and pricing.max_megapixels else units
