"""The ledger: for each request append-only entries, whose sums are what is reserved for it and what it cost.

Follows the journal in the journal's own transactions: whatever changes the money of a request names it here, and the
difference is written before the commit. Owns the sums of accounts; leaves to `access` what an account may spend.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from app.database.key_tables import accounts, ledger_entries
from app.database.prepared import listed, look, one_of
from app.database.statement import Statement
from app.database.tables import requests
from app.database.transaction import Transaction
from app.domain.money import read_nanos
from app.ledger.highest_prices import HighestPrices
from app.ledger.openings import Ended, Opening, Openings
from app.ledger.periods import SECONDS_OF_A_DAY
from app.ledger.standing import NOTHING, EntryKind, Money, Standing, kind_of, standing_of
from app.ledger.warnings import warn_owners
from app.observability.metrics import Ending

KEY_PREFIX = "key_"
"""Of the ids of keys of the database; no other tenant has an account."""
_END_OF_TIME = 253_402_300_800
_FINAL = frozenset({"completed", "partial", "failed"})
_AT_ONCE = 500
"""Ids in one statement: databases bound how many values it may have."""
INSERT_ENTRY = Statement(
    insert(ledger_entries), "request_id", "tenant", "day", "at", "kind", "reserved", "spent", "is_estimated"
)
_DIALECTS = ("sqlite", "postgresql")
_REQUESTS = {
    dialect: select(
        requests.c.id,
        requests.c.tenant,
        requests.c.created_at,
        requests.c.status,
        requests.c.reserve,
        requests.c.cost,
        requests.c.known_cost,
        requests.c.estimate,
        requests.c.executed_model,
        requests.c.n,
        requests.c.images,
    ).where(one_of(requests.c.id, "ids", dialect))
    for dialect in _DIALECTS
}
_ENTRIES = {
    dialect: select(
        ledger_entries.c.request_id,
        ledger_entries.c.tenant,
        ledger_entries.c.day,
        ledger_entries.c.reserved,
        ledger_entries.c.spent,
        ledger_entries.c.is_estimated,
    )
    .where(one_of(ledger_entries.c.request_id, "ids", dialect))
    .order_by(ledger_entries.c.id)
    for dialect in _DIALECTS
}
_CHARGE = Statement(
    update(accounts)
    # A request of an earlier period counts in that one.
    .where(accounts.c.key_id == bindparam("of_key"), accounts.c.period_start <= bindparam("of_day"))
    .values(
        spent=accounts.c.spent + bindparam("more_spent"), reserved=accounts.c.reserved + bindparam("more_reserved")
    ),
    "more_spent",
    "more_reserved",
    "of_key",
    "of_day",
)


class Owner(NamedTuple):
    """Whose request it is, and of which day."""

    tenant: str
    day: int


class Held(Struct, frozen=True):
    """What the entries of a request say."""

    owner: Owner
    standing: Standing


class _Request(Struct, frozen=True):
    """What the ledger asks of a request: the columns of `_REQUESTS`, with whatever was in them."""

    id: str
    tenant: str
    created_at: float
    status: str
    reserve: object
    cost: object
    known_cost: object
    estimate: object
    executed_model: str
    n: object
    images: object


class _Change(Struct, frozen=True):
    """What is held for a request before and after; `unpriced` is a model without a price, and what an image cost."""

    request_id: str
    owner: Owner
    kind: EntryKind
    before: Standing
    after: Standing
    unpriced: tuple[str, int] | None


class Ledger:
    """Writes entries. `clock` is unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._openings = Openings()
        self._highest_prices = HighestPrices()

    def open_request(self, transaction: Transaction, opening: Opening) -> None:
        """Reserve for a request that is new; its account is charged by whoever decided that it may be."""
        self._openings.note(opening)
        owner = Owner(opening.tenant, day_of(opening.created_at))
        reserved = Standing(opening.reserve)
        transaction.add(INSERT_ENTRY, self._entry(opening.request_id, owner, EntryKind.RESERVE, NOTHING, reserved))

    def account_of(self, request_id: str) -> str | None:
        """The tenant on whose account the end of a request has an effect, empty for none; None where nobody knows."""
        opening = self._openings.find(request_id)
        if opening is None:
            return None
        return opening.tenant if opening.tenant.startswith(KEY_PREFIX) else ""

    def openings_of(self, request_ids: Sequence[str]) -> list[Opening] | None:
        """How these requests were opened here, once for each; None where that is not known of all."""
        return self._openings.take(request_ids)

    def settle(self, transaction: Transaction, ended: Sequence[Ended]) -> None:
        """Write the ends of requests of which nothing but their opening was written."""
        self._write(transaction, [_change_of(*_known(one), transaction.endings) for one in ended])

    def follow(self, transaction: Transaction, request_ids: Collection[str]) -> None:
        """Write what has changed of these requests since their last entries. A second time does nothing."""
        ids = sorted(request_ids)
        for start in range(0, len(ids), _AT_ONCE):
            self._write(transaction, _changes(transaction, ids[start : start + _AT_ONCE]))

    def _write(self, transaction: Transaction, changes: Iterable[_Change | None]) -> None:
        entries: list[tuple[object, ...]] = []
        charges: dict[Owner, tuple[int, int]] = {}
        rising: set[str] = set()
        unpriced: list[tuple[str, int]] = []
        for change in changes:
            if change is None:
                continue
            entries.append(self._entry(change.request_id, change.owner, change.kind, change.before, change.after))
            if change.owner.tenant.startswith(KEY_PREFIX):
                spent, reserved = charges.get(change.owner, (0, 0))
                charges[change.owner] = (
                    spent + change.after.spent - change.before.spent,
                    reserved + change.after.reserved - change.before.reserved,
                )
                if change.after.taken > change.before.taken:
                    rising.add(change.owner.tenant)
            if change.unpriced is not None:
                unpriced.append(change.unpriced)
        if entries:
            transaction.run(INSERT_ENTRY, *entries)
        if charges:
            # One row for each key and day, however many of its requests end together.
            transaction.run(_CHARGE, *((*sums, *owner) for owner, sums in charges.items()))
        if rising:
            # More is taken than was reserved: no claim has warned of that.
            warn_owners(transaction, sorted(rising), self._clock())
        self._highest_prices.note(transaction, unpriced)

    def _entry(
        self, request_id: str, owner: Owner, kind: EntryKind, before: Standing, after: Standing
    ) -> tuple[object, ...]:
        """The values of `INSERT_ENTRY`."""
        reserved, spent = after.reserved - before.reserved, after.spent - before.spent
        return request_id, owner.tenant, owner.day, self._clock(), str(kind), reserved, spent, after.is_estimated


def read_held(connection: Connection, ids: Sequence[str]) -> dict[str, Held]:
    """What the entries say is held for these requests, by id; nothing for those without one."""
    held: dict[str, Held] = {}
    # Summed here: a request has two or three entries, and whose it is and whether it is a guess only its last one says.
    for request_id, tenant, day, reserved, spent, is_estimated in _rows_of(connection, _ENTRIES, ids):
        before = held[request_id].standing if request_id in held else NOTHING
        standing = Standing(before.reserved + reserved, before.spent + spent, bool(is_estimated))
        # The last entry's owner and day: one id may be claimed, taken back and claimed again across midnight (0051).
        held[request_id] = Held(Owner(tenant, day), standing)
    return held


def _rows_of(
    connection: Connection, statements: Mapping[str, Select[*tuple[Any, ...]]], ids: Sequence[str]
) -> Sequence[Sequence[Any]]:
    return look(connection, statements[connection.dialect.name], {"ids": listed(connection, ids)})


def read_money(row: "Row[*tuple[Any, ...]] | _Request") -> Money:
    """The money of a row of `requests`. A damaged one counts as what can be read of it (0103)."""
    return Money(row.status in _FINAL, read_nanos(row.reserve) or 0, read_nanos(row.cost), read_nanos(row.known_cost))


def _changes(transaction: Transaction, ids: Sequence[str]) -> Iterator[_Change | None]:
    """What has changed of these requests since their last entries; what is to be counted of them is noted."""
    connection = transaction.connection
    rows = {found[0]: _Request(*found) for found in _rows_of(connection, _REQUESTS, ids)}
    held = read_held(connection, ids)
    for request_id in ids:
        row, earlier = rows.get(request_id), held.get(request_id)
        if row is not None:
            earlier = earlier or Held(Owner(str(row.tenant), day_of(row.created_at)), NOTHING)
            yield _change_of(row, earlier, transaction.endings)
        elif earlier is not None:
            before, after = earlier.standing, standing_of(None, earlier.standing)
            kind = kind_of(before, after)
            yield None if kind is None else _Change(request_id, earlier.owner, kind, before, after, None)


def _known(ended: Ended) -> tuple[_Request, Held]:
    """What would be read of a request of which only its opening was written."""
    of = ended.opening
    row = _Request(
        of.request_id, of.tenant, of.created_at, ended.status, of.reserve, ended.cost, ended.known_cost, of.estimate,
        of.executed_model, of.n, ended.images,
    )  # fmt: skip
    return row, Held(Owner(of.tenant, day_of(of.created_at)), Standing(of.reserve))


def _change_of(row: _Request, earlier: Held, endings: list[Ending]) -> _Change | None:
    """What has changed of a request; what is to be counted of it is put to `endings`."""
    before = earlier.standing
    after = standing_of(read_money(row), before)
    ending = _ending_of(row, before, after)
    if ending is not None:
        endings.append(ending)
    kind = kind_of(before, after)
    return None if kind is None else _Change(row.id, earlier.owner, kind, before, after, _price_of(row, after))


def _ending_of(row: _Request, before: Standing, after: Standing) -> Ending | None:
    """What is to be counted of a request whose row stands as it does; None for nothing."""
    nanos = after.known - before.known
    # Its images came once, also where they were fetched a second time, and a bill may be completed long afterwards.
    if row.status not in _FINAL or before.is_settled:
        return Ending(str(row.executed_model), 0, 0, nanos) if nanos else None
    made = row.images if isinstance(row.images, int) else 0
    failed = max(row.n - made, 0) if isinstance(row.n, int) else 0
    return Ending(str(row.executed_model), made, failed, nanos)


def _price_of(row: _Request, after: Standing) -> tuple[str, int] | None:
    """What one image cost of a model without a price; None where it has one, or that cannot be said."""
    # Only where all images were made: shared among those that were asked for, a part of the cost is too low.
    count = row.n if row.status == "completed" and isinstance(row.n, int) else 0
    if row.estimate is not None or after.is_estimated or not after.spent or count <= 0:
        return None
    return str(row.executed_model), -(-after.spent // count)  # rounded up: the next reservation must suffice


def day_of(seconds: object) -> int:
    """The UTC day of a moment in unix seconds, 0 for what is none."""
    if isinstance(seconds, int | float) and 0 <= seconds < _END_OF_TIME:
        return int(seconds // SECONDS_OF_A_DAY)
    return 0
