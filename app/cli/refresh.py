"""`spillway models refresh`: what the command prints, and our arithmetic for the examples of price pages."""

import asyncio
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from app.catalog.model import CatalogModel
from app.catalog.published import RefreshError, Sources
from app.catalog.rates import Example
from app.catalog.update import refresh
from app.cli.exits import CommandError
from app.domain.words import JSONValue
from app.ledger.order import Order
from app.ledger.pricing import estimate_price

# The size of images in an example that names none.
_SQUARE = (1024, 1024)


def run_refresh(folder: Path, sources: Sources, *, write: bool) -> None:
    """Refresh, and print what changed."""
    console, errors = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    try:
        outcome = asyncio.run(refresh(folder, sources, price_example, write=write))
    except RefreshError as error:
        raise CommandError(str(error)) from None
    for note in outcome.notes:
        errors.print(note, markup=False, highlight=False)
    if outcome.diff:
        console.print(outcome.diff, markup=False, highlight=False)
    # With the space: the heads of a diff begin with more of the same sign.
    changed = sum(line.startswith(("+ ", "- ")) for line in outcome.diff.splitlines())
    done = "written" if write else "not written (--dry-run)"
    console.print(f"{changed} lines changed, {done}." if outcome.diff else "The catalog is current.", highlight=False)


def price_example(model: CatalogModel, example: Example) -> Decimal | None:
    """What an example of a price page costs by the catalog; None where that cannot be known."""
    fields: dict[str, JSONValue] = {} if example.tier is None else {"resolution": example.tier}
    choice = model.choices.get("quality")
    if choice is not None and example.quality is not None:
        # As a task would carry it, since prices follow what is sent.
        fields |= _nest(choice.field.split("."), example.quality)
    size = example.size or (None if example.tier else _SQUARE)
    references = [example.reference_size or size or _SQUARE] * example.references
    return estimate_price(Order(model, 1, size, references, fields)).total


def _nest(path: list[str], value: JSONValue) -> dict[str, JSONValue]:
    first, *rest = path
    return {first: _nest(rest, value) if rest else value}
