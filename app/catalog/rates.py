"""What Runware's price pages say, in the catalog's terms. Pure.

A page holds rates, prices measured for a configuration, and examples. Rates that fit no kind of price are named and not
guessed; examples are read into orders, so that code that can price an order may check the rates against them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

Facts = Mapping[str, object]

_SIZE = re.compile(r"(\d{2,5})\s*[x×]\s*(\d{2,5})", re.IGNORECASE)  # noqa: RUF001 - pages print the sign
_TIER = re.compile(r"\b(\d+(?:\.\d+)?K)\b", re.IGNORECASE)
_REFERENCES = re.compile(r"(\d+)?\s*(?:reference|input)s?(?:\s+images?)?\b", re.IGNORECASE)
_STEPS = re.compile(r"(\d{1,3}) steps?\b", re.IGNORECASE)
_TOKENS = {"inputToken": "input", "outputToken": "output", "cachedInputToken": "cached input"}
_A_MILLION = 1_000_000
# No image and no million tokens cost as many dollars.
_BOUND = 1000
# An amount below this is for one token, above it for a million.
_PER_TOKEN = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Example:
    """A configuration and what it costs; `quality` is in the model's own word, where one is named."""

    text: str
    price: Decimal
    size: tuple[int, int] | None
    tier: str | None
    references: int
    reference_size: tuple[int, int] | None
    quality: str | None


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of a page as an entry's `pricing`, and the rates that fit nowhere."""

    pricing: Mapping[str, object]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A member of `pricing`; `key` is the entry of it, where it is a table."""

    member: str
    key: str | None = None


def read_rates(page: Facts, qualities: Sequence[str] = ()) -> Rates:
    """The prices of a page; `qualities` are the values of the model's own setting."""
    rates = [rate for rate in _listed(page.get("pricingRates")) if _amount(rate.get("amount")) is not None]
    placed = [(rate, _place_of(rate, rates, qualities)) for rate in rates]
    pricing: dict[str, object] = {}
    for rate, place in placed:
        if place is not None:
            pricing = _with_price(pricing, place, _price_of(rate, place))
    # Named, not dropped: a price without one of its parts would be too low.
    unread = tuple(
        f"{rate.get('amount')} per {rate.get('unit')} ({rate.get('label')})" for rate, place in placed if place is None
    )
    return Rates({**pricing, **_measured(page)} if pricing.get("compute") else pricing, unread)


def _measured(page: Facts) -> dict[str, object]:
    """What was measured at single sizes: computing time cannot be worked out, so that is all there is (0030)."""
    measured = {_name(one.size): one for one in _examples(page.get("pricingMeasured"), ()) if one.size is not None}
    if not measured:
        return {}
    sizes = {"per_size": {size: _text(one.price) for size, one in measured.items()}}
    steps = {found[1] for one in measured.values() for found in [_STEPS.search(one.text)] if found}
    # Measured at several numbers of steps: then no one number stands for the price.
    return {**sizes, "steps": int(steps.pop())} if len(steps) == 1 else {**sizes}


def read_examples(page: Facts, qualities: Sequence[str] = ()) -> tuple[Example, ...]:
    """The examples of a page that say what they are for."""
    return tuple(_examples(page.get("pricingExamples"), qualities))


def _place_of(rate: Facts, rates: Sequence[Facts], qualities: Sequence[str]) -> _Place | None:
    """Where a rate belongs in `pricing`, None where there is no such place."""
    unit, label, further = str(rate.get("unit")), str(rate.get("label") or ""), bool(rate.get("after"))
    alone = sum(one.get("unit") == unit for one in rates) == 1
    if unit == "output":
        return _place_of_output(label, qualities)
    if unit == "outputMegapixel":
        first = "per_output_megapixel" if alone and "first" not in label.lower() else "first_megapixel"
        return _Place("further_megapixel" if further else first)
    if unit == "inputMegapixel" or (unit == "inputImage" and "megapixel" in label.lower()):
        first = "per_reference_megapixel" if alone else "first_input_megapixel"
        return _Place("further_input_megapixel" if further else first)
    if unit == "inputImage":
        return _Place("per_extra_reference" if further else "per_reference")
    if unit in _TOKENS:
        return _Place("tokens", _TOKENS[unit])
    return _Place("compute") if unit == "durationSecond" else None


def _place_of_output(label: str, qualities: Sequence[str]) -> _Place | None:
    size, tier, quality = _size_in(label), _tier_in(label), _quality_in(label, qualities)
    if "reference" in label.lower() or "edit" in label.lower():
        return _Place("per_edit")
    if quality is not None:
        return _Place("per_quality", quality)
    if tier is not None:
        return _Place("per_tier", tier)
    if size is not None:
        return _Place("per_size", _name(size))
    if "lora" in label.lower():
        return _Place("with_lora")
    general = not label or "image" in label.lower() or "all" in label.lower()
    return _Place("per_image") if general else None


def _price_of(rate: Facts, place: _Place) -> object:
    amount = _amount(rate.get("amount")) or Decimal(0)
    if place.member == "compute":
        return True
    # Pages print both, the price of a token and of a million, without saying which.
    in_millions = place.member != "tokens" or amount >= _PER_TOKEN
    return _text(amount if in_millions else amount * _A_MILLION)


def _with_price(pricing: Mapping[str, object], place: _Place, price: object) -> dict[str, object]:
    table = pricing.get(place.member)
    if place.key is None:
        return {**pricing, place.member: price}
    return {**pricing, place.member: {**(table if isinstance(table, Mapping) else {}), place.key: price}}


def _examples(listed: object, qualities: Sequence[str]) -> Iterator[Example]:
    for one in _listed(listed):
        text, price = str(one.get("configuration") or ""), _amount(one.get("price"))
        if price is None or not text:
            continue
        sizes = [(int(width), int(height)) for width, height in _SIZE.findall(text)]
        # Without sizes: their digits would be read as a count.
        count = _REFERENCES.search(_SIZE.sub("", text))
        references = int(count[1] or 1) if count else 0
        size, other = (*sizes, None, None)[:2]
        yield Example(text, price, size, _tier_in(text), references, other, _quality_in(text, qualities))


def _size_in(text: str) -> tuple[int, int] | None:
    found = _SIZE.search(text)
    return (int(found[1]), int(found[2])) if found else None


def _tier_in(text: str) -> str | None:
    found = _TIER.search(text)
    return found[1].upper() if found else None


def _quality_in(text: str, qualities: Sequence[str]) -> str | None:
    """The longest quality that stands in the text as a word of its own."""
    plain = re.sub(r"[^a-z0-9]+", " ", text.lower())
    found = [one for one in qualities if re.search(rf"\b{re.escape(one.lower().replace('_', ' '))}\b", plain)]
    # `high` stands in `extra high` too.
    return max(found, key=len, default=None)


def _name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        return None
    # A page is text by somebody else: what is out of all proportion is no price.
    return amount if amount.is_finite() and 0 <= amount < _BOUND else None


def _text(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def _listed(value: object) -> list[Facts]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
