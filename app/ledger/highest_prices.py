"""The most that one image has cost of each model without a price: what the next request of it reserves.

Writes it; `access` reads it. In nano-dollars.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from sqlalchemy import Executable, case
from sqlalchemy.dialects import postgresql, sqlite

from app.database.key_tables import highest_prices
from app.database.transaction import Transaction
from app.domain.memory import Memory

_REMEMBERED = 1024


def _raise(new: postgresql.Insert | sqlite.Insert) -> Executable:
    kept, offered = highest_prices.c.per_image, new.excluded.per_image
    return new.on_conflict_do_update(
        index_elements=["model"], set_={"per_image": case((offered > kept, offered), else_=kept)}
    )


_RAISE = {
    "postgresql": _raise(postgresql.insert(highest_prices)),
    "sqlite": _raise(sqlite.insert(highest_prices)),
}


class HighestPrices:
    """Used by the thread that writes alone."""

    def __init__(self) -> None:
        # What surely is in the table, which never sinks: most images cost no more than others of their model.
        self._durable = Memory[str, int](_REMEMBERED)

    def note(self, transaction: Transaction, seen: Iterable[tuple[str, int]]) -> None:
        """Raise the prices of these models to what was seen, where it may be more than is known."""
        higher: dict[str, int] = {}
        for model, per_image in seen:
            if per_image > max(higher.get(model, 0), self._durable.find(model) or 0):
                higher[model] = per_image
        if higher:
            rows = [{"model": model, "per_image": higher[model]} for model in sorted(higher)]
            transaction.run(_RAISE[transaction.connection.dialect.name], *rows)
            transaction.once_durable.append(partial(self._remember, higher))

    def _remember(self, prices: Mapping[str, int]) -> None:
        for model, per_image in prices.items():
            self._durable.keep(model, per_image)
