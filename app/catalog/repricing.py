"""What the pages of Runware's content service change in an entry: names, dates, status, successors and prices. Pure.

A published price replaces one that others saw, and never the other way round. Rates are taken only where they fit a
kind of price and reproduce the page's own examples; otherwise the entry keeps its price and a note says why.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from decimal import ROUND_HALF_UP, Decimal

from pydantic import ValidationError

from app.catalog.model import AIR_PATTERN, CatalogModel
from app.catalog.placing import place
from app.catalog.prices import AMOUNTS, Pricing
from app.catalog.rates import Example, read_examples, read_rates

Facts = Mapping[str, object]
Entry = MutableMapping[str, object]
Pricer = Callable[[CatalogModel, Example], Decimal | None]
"""What our arithmetic says an example costs; None where it cannot know."""
# Prices of an image itself: a model has one kind of them.
_WHOLE = frozenset(
    {"per_image", "per_tier", "per_size", "per_quality", "per_quality_size", "first_megapixel", "per_output_megapixel"}
)
_STATUS = re.compile(r"[a-z][a-z-]*")


def update_listing(entry: Entry, listed: Facts, airs_by_name: Mapping[str, str]) -> None:
    """Write what the list of models says into the entry; `airs_by_name` finds a successor named in another way."""
    name = listed.get("name")
    if isinstance(name, str) and name.strip():
        _set(entry, "name", name.strip())
    # A description that somebody wrote by hand is better than a headline.
    headline = listed.get("headline")
    if isinstance(headline, str) and headline.strip() and "description" not in entry:
        place(entry, "description", headline.strip())
    released = listed.get("releasedAt")
    if isinstance(released, str) and re.match(r"\d{4}-\d{2}-\d{2}", released):
        _set(entry, "released", released[:10])
    status = str(listed.get("status") or "").strip().lower().replace("_", "-").replace(" ", "-")
    if _STATUS.fullmatch(status):
        _set_or_drop(entry, "status", None if status == "live" else status)
    successor = listed.get("replacedBy")
    if isinstance(successor, Mapping):
        successor = successor.get("air") or successor.get("model")
    if isinstance(successor, str) and successor:
        air = successor if AIR_PATTERN.fullmatch(successor) else airs_by_name.get(successor)
        _set_or_drop(entry, "replaced_by", air)
    else:
        # A successor that is named no longer is none.
        entry.pop("replaced_by", None)


def update_pricing(entry: Entry, creator: str, page: Facts, price: Pricer) -> Iterator[str]:
    """Write a price page into the entry; a note for what does not fit."""
    air = str(entry.get("air"))
    qualities = _qualities(entry)
    rates = read_rates(page, qualities)
    # All rates or none: a price of which one part is missing is a wrong price.
    if rates.unread:
        yield f"{air}: the rates {'; '.join(rates.unread)} fit no kind of price; its price stays as it is."
        return
    before = _plain(entry.get("pricing"))
    if not set(rates.pricing) & {*AMOUNTS} or _costs_the_same(before, rates.pricing):
        return
    pricing = _merge(before, rates.pricing, page.get("pricingOverview"))
    try:
        model = CatalogModel.model_validate({"creator": creator, **_plain(entry), "pricing": pricing})
    except ValidationError as error:
        yield f"{air}: its published rates make no valid price ({error.errors()[0]['msg']}); it stays as it is."
        return
    differing = [_difference(example, found) for example, found in _priced(model, page, qualities, price)]
    # The page's own examples are the proof: rates that are read wrong do not reproduce them.
    wrong = [text for text in differing if text]
    if wrong:
        yield f"{air}: its published rates do not make its own examples: {'; '.join(wrong)}. Its price stays as it is."
        return
    _set(entry, "pricing", pricing)


def _priced(
    model: CatalogModel, page: Facts, qualities: Collection[str], price: Pricer
) -> Iterator[tuple[Example, Decimal | None]]:
    for example in read_examples(page, [*qualities]):
        yield example, price(model, example)


def _difference(example: Example, found: Decimal | None) -> str | None:
    """What is wrong with our price of an example, to the digits the page prints; None where nothing is, or none is."""
    # To the digits of the page, which rounds as well.
    if found is None or found.quantize(example.price, ROUND_HALF_UP) == example.price:
        return None
    return f"{example.text} costs {example.price}, and would be {found.normalize():f}"


def _costs_the_same(before: Mapping[str, object], published: Mapping[str, object]) -> bool:
    """Whether the entry says all that is published already, and says that Runware publishes it."""
    others = before.get("third_party")
    known = Pricing.model_validate(before)
    stated = Pricing.model_validate(published)
    told_apart = isinstance(others, list) and any(name in published for name in others)
    return not told_apart and all(getattr(known, name) == getattr(stated, name) for name in published)


def _merge(before: Mapping[str, object], published: Mapping[str, object], overview: object) -> dict[str, object]:
    """The published price, with how it is counted and with what only others saw; the page's words are its note."""
    others = before.get("third_party")
    settles = bool(set(published) & _WHOLE)  # the image itself has a published price: no other price of it holds
    replaced = {*published, "note", *(_settled_by(published) if settles else ())}
    # Prices that others saw stay where Runware publishes none, and stay marked (0030).
    seen = [str(name) for name in others if name not in replaced] if isinstance(others, list) else []
    ranges = set() if settles else {"observed"}
    kept = {name: value for name, value in before.items() if name not in AMOUNTS or name in {*seen, *ranges}}
    merged = {**{name: value for name, value in kept.items() if name not in replaced}, **published}
    merged.pop("third_party", None)
    if seen:
        merged["third_party"] = seen
    else:
        merged.pop("seen", None)
    if isinstance(overview, str) and overview.strip():
        merged["note"] = overview.strip()
    return merged


def _settled_by(published: Mapping[str, object]) -> Iterator[str]:
    """What says nothing any longer beside a published price of the image itself."""
    yield from _WHOLE
    if "first_megapixel" not in published:
        yield "further_megapixel"
    if "per_quality" not in published:
        yield from ("quality_size", "quality_tier", "default_quality")
    if "compute" not in published:
        yield from ("compute", "steps")


def _qualities(entry: Entry) -> list[str]:
    """Every value that the model's own quality setting may get."""
    choices = entry.get("choices")
    choice = choices.get("quality") if isinstance(choices, Mapping) else None
    tables = [choice.get(name) for name in ("values", "nearest")] if isinstance(choice, Mapping) else []
    pricing = entry.get("pricing")
    known = pricing.get("per_quality") if isinstance(pricing, Mapping) else None
    # As texts: pages print what the setting gets as a word.
    values = [value for table in tables if isinstance(table, Mapping) for value in table.values()]
    return [*dict.fromkeys([*map(str, values), *(map(str, known) if isinstance(known, Mapping) else ())])]


def _plain(value: object) -> dict[str, object]:
    """A mapping as it was read, without the wrapping that keeps its form."""
    return {str(name): _unwrap(inner) for name, inner in value.items()} if isinstance(value, Mapping) else {}


def _unwrap(value: object) -> object:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_unwrap(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def _set(entry: Entry, name: str, value: object) -> None:
    """Set a member only where it says something new, so that what is untouched keeps its form."""
    before = entry.get(name)
    # Compared first: writing an equal value would still reformat lines that nobody changed.
    if (_plain(before) if isinstance(value, dict) else before) != value:
        place(entry, name, value)


def _set_or_drop(entry: Entry, name: str, value: str | None) -> None:
    if value is None:
        entry.pop(name, None)
    else:
        _set(entry, name, value)
