"""Removes requests that are old, after their sums went into the daily totals: both in one transaction, or neither.

Leaves when to `jobs.retention`. What may still be asked for stays: open requests, keys that are remembered, bills that
are not known yet, webhooks to be sent, answers somebody waits for.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, bindparam, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from app.database.key_tables import daily_totals, ledger_entries, notices
from app.database.tables import requests, tasks
from app.database.transaction import Transaction
from app.ledger.entries import KEY_PREFIX, Held, Ledger, day_of, read_held

AT_ONCE = 200
"""Requests in one transaction: claims wait for it no longer than for a group of their own."""
_FINAL = ("completed", "partial", "failed")
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_OLD: tuple[ColumnElement[bool], ...] = (
    requests.c.created_at < bindparam("before"),
    requests.c.status.in_(_FINAL),
    # A key that is remembered leads to its answer, however short the journal's memory is (0126).
    requests.c.key_until < bindparam("now"),
    requests.c.bill_next.is_(None),
    requests.c.webhook_next.is_(None),
    or_(requests.c.connected <= 0, requests.c.delivered_at.is_not(None), requests.c.error.is_not(None)),
)
_CANDIDATES = select(requests.c.id).where(*_OLD).order_by(requests.c.created_at).limit(AT_ONCE)
_ROWS = (
    select(
        requests.c.id,
        requests.c.tenant,
        requests.c.created_at,
        requests.c.executed_model,
        requests.c.user,
        requests.c.status,
        requests.c.images,
        requests.c.dropped,
    )
    .where(requests.c.id.in_(_IDS), *_OLD)
    .order_by(requests.c.id)
    # What somebody else has in hand is not old after all, or is taken the next time.
    .with_for_update(skip_locked=True)
)
_TENANTS = select(requests.c.tenant).where(requests.c.id.in_(_IDS)).distinct()
_LEFT_OVER = (
    select(ledger_entries.c.request_id)
    .where(~select(requests.c.id).where(requests.c.id == ledger_entries.c.request_id).exists())
    .group_by(ledger_entries.c.request_id)
    .having(
        func.max(ledger_entries.c.at) < bindparam("before"),
        func.sum(ledger_entries.c.reserved) == 0,
        func.sum(ledger_entries.c.spent) == 0,
    )
    .limit(AT_ONCE)
)
"""Entries of claims that were taken back: they add up to nothing, and no request is left of them."""
_SUMMED = ("requests", "images", "dropped", "cost", "estimated_cost")


@dataclass(frozen=True, slots=True, order=True)
class _Group:
    """Requests that become one row of the totals."""

    day: int
    tenant: str
    model: str
    user: str
    status: str


@dataclass(slots=True)
class _Sums:
    """What a group adds up to."""

    requests: int = 0
    images: int = 0
    dropped: int = 0
    cost: int = 0
    estimated_cost: int = 0


def _add_to_totals(new: postgresql.Insert | sqlite.Insert) -> postgresql.Insert | sqlite.Insert:
    kept, added = daily_totals.c, new.excluded
    return new.on_conflict_do_update(
        index_elements=["day", "tenant", "model", "user", "status"],
        set_={name: kept[name] + added[name] for name in _SUMMED},
    )


_ADD = {
    "postgresql": _add_to_totals(postgresql.insert(daily_totals)),
    "sqlite": _add_to_totals(sqlite.insert(daily_totals)),
}


class Retention:
    """Removes what is older than `seconds`. `clock` is unix seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ledger = Ledger(clock)

    def find_old(self, connection: Connection) -> list[str]:
        """The oldest requests that may go, as many as one transaction takes."""
        return list(connection.execute(_CANDIDATES, self._times()).scalars())

    def remove(self, transaction: Transaction, request_ids: Sequence[str]) -> int:
        """Add these requests to the totals and remove them; how many there were.

        Those that may not go any more stay. A second time removes nothing, and adds nothing.
        """
        connection, wanted = transaction.connection, {"ids": list(request_ids)}
        # Accounts before rows (0114): who recomputes one from entries and totals must not see a request in both.
        owners = connection.execute(_TENANTS, wanted).scalars().all()
        transaction.lock_accounts(owner for owner in owners if str(owner).startswith(KEY_PREFIX))
        rows = connection.execute(_ROWS, wanted | self._times()).all()
        if not rows:
            return 0
        ids = [row.id for row in rows]
        # What the ledger has not heard of yet it hears now, or a sum would be lost with the row.
        self._ledger.follow(transaction, ids)
        totals = _sum_up(rows, read_held(connection, ids))
        transaction.execute(_ADD[connection.dialect.name], totals)
        transaction.execute(delete(ledger_entries).where(ledger_entries.c.request_id.in_(ids)), {})
        transaction.execute(delete(tasks).where(tasks.c.request_id.in_(ids)), {})
        transaction.execute(delete(requests).where(requests.c.id.in_(ids)), {})
        return len(ids)

    def find_left_over(self, connection: Connection) -> list[str]:
        """The ids of old entries that no request is left of and that add up to nothing."""
        return list(connection.execute(_LEFT_OVER, self._times()).scalars())

    def remove_left_over(self, transaction: Transaction, request_ids: Collection[str]) -> int:
        """Remove those; how many entries there were."""
        of_them = ledger_entries.c.request_id.in_(list(request_ids))
        gone = ~select(requests.c.id).where(requests.c.id == ledger_entries.c.request_id).exists()
        return transaction.execute(delete(ledger_entries).where(of_them, gone), {}).rowcount

    def remove_notices(self, transaction: Transaction) -> None:
        """Remove webhooks about budgets that were sent or given up long ago."""
        old = (notices.c.created_at < self._times()["before"], notices.c.next_at.is_(None))
        transaction.execute(delete(notices).where(*old), {})

    def _times(self) -> dict[str, float]:
        now = self._clock()
        return {"before": now - self._seconds, "now": now}


def _sum_up(rows: Sequence[Row[*tuple[Any, ...]]], held: dict[str, Held]) -> list[dict[str, object]]:
    """The rows of the totals, in the order in which every process takes them."""
    sums: dict[_Group, _Sums] = defaultdict(_Sums)
    for row in rows:
        entry = held.get(row.id)
        # By the day of the entries, which is that of the account.
        day = day_of(row.created_at) if entry is None else entry.owner.day
        group = _Group(day, str(row.tenant), str(row.executed_model), str(row.user or ""), row.status)
        one = sums[group]
        one.requests += 1
        one.images += _count(row.images)
        one.dropped += _count(row.dropped)
        if entry is not None and entry.standing.is_estimated:
            one.estimated_cost += entry.standing.spent
        elif entry is not None:
            one.cost += entry.standing.spent
    names = ("day", "tenant", "model", "user", "status", *_SUMMED)
    return [dict(zip(names, (*astuple(group), *astuple(sums[group])), strict=True)) for group in sorted(sums)]


def _count(value: object) -> int:
    # A damaged row counts as what can be read of it (0103).
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0
