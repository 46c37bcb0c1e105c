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


def read_rates(page: Facts, qualities: Sequence[str] = ()) -> Rates:
    """The prices of a page; `qualities` are the values of the model's own setting."""
    pricing: dict[str, object] = {}
    rates = [rate for rate in _listed(page.get("pricingRates")) if _amount(rate.get("amount")) is not None]
    # Named, not dropped: a price without one of its parts would be too low.
    unread = tuple(
        f"{rate.get('amount')} per {rate.get('unit')} ({rate.get('label')})"
        for rate in rates
        if not _place(rate, pricing, rates, qualities)
    )
    # Computing time cannot be worked out, so what was measured at one size is all there is (0030).
    if pricing.get("compute"):
        measured = {_name(one.size): one for one in _examples(page.get("pricingMeasured"), ()) if one.size is not None}
        if measured:
            pricing["per_size"] = {size: _text(one.price) for size, one in measured.items()}
            steps = {found[1] for one in measured.values() for found in [_STEPS.search(one.text)] if found}
            # Measured at several numbers of steps: then no one number stands for the price.
            if len(steps) == 1:
                pricing["steps"] = int(steps.pop())
    return Rates(pricing, unread)


def read_examples(page: Facts, qualities: Sequence[str] = ()) -> tuple[Example, ...]:
    """The examples of a page that say what they are for."""
    return tuple(_examples(page.get("pricingExamples"), qualities))


def _place(rate: Facts, pricing: dict[str, object], rates: Sequence[Facts], qualities: Sequence[str]) -> bool:
    """Put one rate where it belongs; False where there is no such place."""
    unit, label, further = str(rate.get("unit")), str(rate.get("label") or ""), bool(rate.get("after"))
    amount = _amount(rate.get("amount"))
    if amount is None:
        return True
    text = _text(amount)
    if unit == "output":
        return _place_output(label, text, pricing, qualities)
    alone = sum(one.get("unit") == unit for one in rates) == 1
    if unit == "outputMegapixel":
        first = "per_output_megapixel" if alone and "first" not in label.lower() else "first_megapixel"
        pricing["further_megapixel" if further else first] = text
    elif unit == "inputMegapixel" or (unit == "inputImage" and "megapixel" in label.lower()):
        first = "per_reference_megapixel" if alone else "first_input_megapixel"
        pricing["further_input_megapixel" if further else first] = text
    elif unit == "inputImage":
        pricing["per_extra_reference" if further else "per_reference"] = text
    elif unit in _TOKENS:
        tokens = pricing.setdefault("tokens", {})
        if isinstance(tokens, dict):
            # Pages print both, the price of a token and of a million, without saying which.
            tokens[_TOKENS[unit]] = _text(amount * _A_MILLION if amount < _PER_TOKEN else amount)
    elif unit == "durationSecond":
        pricing["compute"] = True
    else:
        return False
    return True


def _place_output(label: str, text: str, pricing: dict[str, object], qualities: Sequence[str]) -> bool:
    size, tier, quality = _size_in(label), _tier_in(label), _quality_in(label, qualities)
    if "reference" in label.lower() or "edit" in label.lower():
        pricing["per_edit"] = text
    elif quality is not None:
        _put(pricing, "per_quality", quality, text)
    elif tier is not None:
        _put(pricing, "per_tier", tier, text)
    elif size is not None:
        _put(pricing, "per_size", _name(size), text)
    elif "lora" in label.lower():
        pricing["with_lora"] = text
    elif not label or "image" in label.lower() or "all" in label.lower():
        pricing["per_image"] = text
    else:
        return False
    return True


def _put(pricing: dict[str, object], member: str, key: str, text: str) -> None:
    table = pricing.setdefault(member, {})
    if isinstance(table, dict):
        table[key] = text


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
    words = re.sub(r"[^a-z0-9]+", " ", text.lower())
    found = [one for one in qualities if re.search(rf"\b{re.escape(one.lower().replace('_', ' '))}\b", words)]
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
