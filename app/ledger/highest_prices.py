"""The most that one image has cost of each model without a price, in nano-dollars: what its next request reserves.

Owns writing them; `access` reads them.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from sqlalchemy import Executable, case
from sqlalchemy.dialects import postgresql, sqlite

from app.database.key_tables import highest_prices
from app.database.transaction import Transaction
from app.domain.memory import Memory

_REMEMBERED = 1024
_TRUSTED_SECONDS = 60.0
"""A server that took over from another may not have all that was durable there."""


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
    """Used by the thread that writes alone. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Most images cost no more than others of their model: what was written lately is not written again.
        self._written = Memory[str, tuple[int, float]](_REMEMBERED)

    def note(self, transaction: Transaction, seen: Iterable[tuple[str, int]]) -> None:
        """Raise the prices of these models to what was seen, where it may be more than is known."""
        higher: dict[str, int] = {}
        for model, per_image in seen:
            if per_image > max(higher.get(model, 0), self._known(model)):
                higher[model] = per_image
        if higher:
            rows = [{"model": model, "per_image": higher[model]} for model in sorted(higher)]
            transaction.run(_RAISE[transaction.connection.dialect.name], *rows)
            transaction.once_durable.append(partial(self._remember, higher))

    def _known(self, model: str) -> int:
        """What surely stands."""
        per_image, written = self._written.find(model) or (0, 0.0)
        return per_image if self._clock() - written < _TRUSTED_SECONDS else 0

    def _remember(self, prices: Mapping[str, int]) -> None:
        now = self._clock()
        for model, per_image in prices.items():
            self._written.keep(model, (per_image, now))
