"""Recomputes every balance from the entries, and compares it with requests, tasks and accounts. Reads only.

In pages within one view of the database, so that a journal of any size needs little memory and nothing that happens
meanwhile looks like a difference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, or_, select

from app.database.key_tables import accounts, daily_totals, ledger_entries
from app.database.tables import requests, tasks
from app.domain.money import from_nanos, read_nanos
from app.domain.verification import Difference, Verification
from app.ledger.entries import read_held, read_money
from app.ledger.standing import NOTHING, Standing, standing_of

_AT_ONCE = 500
MOST_DIFFERENCES = 100
"""So many are named; the others are counted."""
_REQUESTS = (
    select(
        requests.c.id,
        requests.c.tenant,
        requests.c.status,
        requests.c.reserve,
        requests.c.cost,
        requests.c.known_cost,
    )
    .where(requests.c.id > bindparam("after"))
    .order_by(requests.c.id)
    .limit(_AT_ONCE)
)
_TASKS = select(tasks.c.request_id, tasks.c.cost).where(
    tasks.c.request_id.in_(bindparam("ids", expanding=True)), tasks.c.cost.is_not(None)
)
_WITHOUT_REQUEST = (
    select(
        ledger_entries.c.request_id,
        func.sum(ledger_entries.c.reserved).label("reserved"),
        func.sum(ledger_entries.c.spent).label("spent"),
    )
    .where(~select(requests.c.id).where(requests.c.id == ledger_entries.c.request_id).exists())
    .group_by(ledger_entries.c.request_id)
    .having(or_(func.sum(ledger_entries.c.reserved) != 0, func.sum(ledger_entries.c.spent) != 0))
    .order_by(ledger_entries.c.request_id)
)
_OF_PERIOD = and_(ledger_entries.c.tenant == accounts.c.key_id, ledger_entries.c.day >= accounts.c.period_start)
_REMOVED_OF_PERIOD = and_(daily_totals.c.tenant == accounts.c.key_id, daily_totals.c.day >= accounts.c.period_start)
_ACCOUNTS = select(
    accounts.c.key_id,
    accounts.c.reserved,
    accounts.c.spent,
    select(func.coalesce(func.sum(ledger_entries.c.reserved), 0)).where(_OF_PERIOD).scalar_subquery().label("held"),
    select(func.coalesce(func.sum(ledger_entries.c.spent), 0)).where(_OF_PERIOD).scalar_subquery().label("paid"),
    select(func.coalesce(func.sum(daily_totals.c.cost + daily_totals.c.estimated_cost), 0))
    .where(_REMOVED_OF_PERIOD)
    .scalar_subquery()
    .label("removed"),
).order_by(accounts.c.key_id)
_SUMS = select(
    func.count(),
    func.coalesce(func.sum(ledger_entries.c.reserved), 0),
    func.coalesce(func.sum(ledger_entries.c.spent), 0),
)
_REMOVED = select(func.coalesce(func.sum(daily_totals.c.cost + daily_totals.c.estimated_cost), 0))
_BROKEN_TOTALS = select(daily_totals.c.day, daily_totals.c.tenant).where(
    or_(
        daily_totals.c.requests < 1,
        daily_totals.c.images < 0,
        daily_totals.c.cost < 0,
        daily_totals.c.estimated_cost < 0,
    )
)


@dataclass(slots=True)
class _Tally:
    """What the pages add up to."""

    requests: int = 0
    accounts: int = 0
    reserved: int = 0
    spent: int = 0
    estimated: int = 0


def verify_ledger(connection: Connection) -> Verification:
    """Compare everything, in one transaction that sees one state."""
    tally = _Tally()
    differences = _compare(connection, tally)
    named = tuple(islice(differences, MOST_DIFFERENCES))
    more = sum(1 for _ in differences)
    entries = connection.execute(_SUMS).one()[0]
    return Verification(
        requests=tally.requests,
        entries=int(entries),
        accounts=tally.accounts,
        reserved=_dollars(tally.reserved),
        spent=_dollars(tally.spent),
        estimated=_dollars(tally.estimated),
        removed=_dollars(int(connection.execute(_REMOVED).scalar_one())),
        differences=named,
        more_differences=more,
    )


def _compare(connection: Connection, tally: _Tally) -> Iterator[Difference]:
    after = ""
    while rows := connection.execute(_REQUESTS, {"after": after}).all():
        yield from _compare_requests(connection, rows, tally)
        after = rows[-1].id
    for lost in connection.execute(_WITHOUT_REQUEST).all():
        left = Standing(int(lost.reserved), int(lost.spent))
        tally.reserved, tally.spent = tally.reserved + left.reserved, tally.spent + left.spent
        yield Difference("request", lost.request_id, _shown(left), "no such request")
    yield from _compare_accounts(connection, tally)
    # Once more as one sum: an entry that no page has seen is a difference too.
    _, reserved, spent = connection.execute(_SUMS).one()
    whole, counted = Standing(int(reserved), int(spent)), Standing(tally.reserved, tally.spent)
    if whole != counted:
        yield Difference("ledger", "all", _shown(whole), _shown(counted))
    for broken in connection.execute(_BROKEN_TOTALS).all():
        yield Difference(
            "totals", f"{broken.tenant} on day {broken.day}", "sums of what was removed", "a sum below zero"
        )


def _compare_requests(
    connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]], tally: _Tally
) -> Iterator[Difference]:
    ids = [row.id for row in rows]
    held, booked = read_held(connection, ids), _booked(connection, ids)
    for row in rows:
        entry = held.get(row.id)
        standing, money = NOTHING if entry is None else entry.standing, read_money(row)
        tally.requests += 1
        tally.reserved += standing.reserved
        tally.spent += standing.spent
        tally.estimated += standing.spent if standing.is_estimated else 0
        wanted = standing_of(money, standing)
        if wanted != standing:
            yield Difference("request", row.id, _shown(standing), _shown(wanted))
        if entry is not None and entry.owner.tenant != row.tenant:
            yield Difference("request", row.id, f"of {entry.owner.tenant}", f"of {row.tenant}")
        if money.is_final and money.cost is not None and booked.get(row.id, 0) != money.cost:
            tasks_say = f"{_dollars(booked.get(row.id, 0)):f} USD for its tasks"
            yield Difference("bill", row.id, f"{_dollars(money.cost):f} USD", tasks_say)


def _booked(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """What the tasks of these requests cost, by request."""
    sums: dict[str, int] = {}
    for request_id, cost in connection.execute(_TASKS, {"ids": ids}):
        sums[request_id] = sums.get(request_id, 0) + (read_nanos(cost) or 0)
    return sums


def _compare_accounts(connection: Connection, tally: _Tally) -> Iterator[Difference]:
    for row in connection.execute(_ACCOUNTS).all():
        tally.accounts += 1
        entries = Standing(int(row.held), int(row.paid) + int(row.removed))
        account = Standing(int(row.reserved), int(row.spent))
        if entries != account:
            yield Difference("account", row.key_id, _shown(entries), _shown(account))


def _shown(standing: Standing) -> str:
    guess = ", estimated" if standing.is_estimated else ""
    return f"{_dollars(standing.reserved):f} USD reserved, {_dollars(standing.spent):f} USD spent{guess}"


def _dollars(nanos: int) -> Decimal:
    # Below zero is what is being looked for: `from_nanos` is for what can be.
    return from_nanos(nanos) if nanos >= 0 else -from_nanos(-nanos)
