"""How requests end: begun, settled with their bills, reopened where their images are lost, forgotten.

Works on the caller's transaction. What a holder writes names its lease, and one that lost it writes nothing. Leaves to
`claims` who may join, to `bills` what is still unknown of a cost.
"""

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import bindparam, func, or_, select, update

from app.database.statement import Statement
from app.database.tables import requests
from app.database.transaction import Transaction
from app.domain.answer import TaskCost
from app.journal import statements as sql
from app.journal.records import Lease, Record, Settlement, Status
from app.journal.rows import FIRST_FENCE, to_record, write_money
from app.ledger.entries import Ledger
from app.ledger.openings import Ended, Opening

_PAUSE_GROWTH = 4.0
_TENANTS_AT_ONCE = 500
"""Values in one statement: databases bound how many it may have."""
_MAX_TRIES = 7
"""The last one some eight days after the end, with two minutes before the first."""
_FINAL = [status.value for status in Status if status.final]
_IS_DUE = (
    requests.c.bill_next <= bindparam("now"),
    # The first look waits, however long ago the row was marked: Runware rarely knows more right after the end.
    or_(requests.c.bill_tries > 0, requests.c.bill_next <= bindparam("ended_before")),
    func.coalesce(requests.c.status, "").in_(_FINAL),  # hidden from SQLite's planner: few are due
)
WAITING_TENANTS = select(func.coalesce(requests.c.tenant, "")).where(*_IS_DUE).distinct()  # hidden likewise
DUE = (
    select(requests)
    .where(*_IS_DUE)
    .where(func.coalesce(requests.c.tenant, "").in_(bindparam("tenants", expanding=True)))  # hidden likewise
    .limit(bindparam("limit"))
    # Rows that another replica is taking are left to it.
    .with_for_update(skip_locked=True)
)
_SET = (
    update(requests)
    .where(requests.c.id == bindparam("request_id"), requests.c.cost.is_(None))
    .values(cost=bindparam("new_cost"), known_cost=bindparam("new_known_cost"), bill_next=bindparam("new_bill_next"))
)
"""A bill that was completed meanwhile, by the process that fetched the images again, is left alone."""


class Outcomes:
    """Writes ends. `clock` is unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time, ledger: Ledger | None = None) -> None:
        self._clock = clock
        self._ledger = ledger or Ledger(clock)

    def begin_work(self, transaction: Transaction, lease: Lease) -> None:
        """A request that waited for its turn is carried out now."""
        transaction.add(sql.BEGIN, {"request_id": lease.request_id, "held_fence": lease.fence})

    def settle(self, transaction: Transaction, lease: Lease, settlement: Settlement, costs: Sequence[TaskCost]) -> None:
        """Write down how a request ended, and what each task cost; nothing where another process has it by now."""
        cost, known_cost = write_money(settlement.cost), write_money(settlement.known_cost)
        account = self._ledger.account_of(lease.request_id)
        end = _End(lease.request_id, account, lease.fence, settlement, str(settlement.status), cost, known_cost, costs)
        transaction.gather(self._write_ends, end)

    def _write_ends(self, transaction: Transaction, ends: Sequence["_End"]) -> None:
        """Write the ends of a group, in one transaction: status, key and costs agree whenever anybody reads them."""
        now = self._clock()
        rows, ids = [_to_row(end, now) for end in ends], [end.request_id for end in ends]
        transaction.announce_ends(ids)
        is_all = transaction.followed.isdisjoint(ids) and all(end.fence == FIRST_FENCE for end in ends)
        openings = self._ledger.openings_of(ids) if is_all else None
        # Opened here, and none had an end, also none in doubt (0051): what the ledger holds for them is known, unless
        # more than the end happens to one of them in this group (0206).
        if openings is not None and transaction.run(sql.SETTLE_FIRST, *rows) == len(rows):
            _run(transaction, sql.BOOK_TASK, [_booking(cost) for end in ends for cost in end.costs])
            pairs = zip(openings, ends, strict=True)
            self._ledger.settle(transaction, [_to_ended(opening, end) for opening, end in pairs])
        else:
            transaction.run(sql.SETTLE, *rows)
            _run(transaction, sql.BOOK_HELD, [row for end in ends for row in _held_bookings(end.lease, end.costs)])
            for request_id in ids:
                transaction.follow(self._ledger.follow, request_id)
        _run(transaction, sql.FREE_KEY, [end.lease for end in ends if end.settlement.releases])
        _run(transaction, sql.BOOK_UNSENT, [end.lease for end in ends if end.settlement.error is not None])

    def book_costs(self, transaction: Transaction, lease: Lease, costs: Sequence[TaskCost]) -> None:
        """Write down what is known of the cost of tasks whose request has not ended."""
        transaction.add(sql.BOOK_HELD, *_held_bookings((lease.request_id, lease.fence), costs))

    def reopen(self, transaction: Transaction, record: Record, callers: int = 0) -> None:
        """Have the images of an answer that did not arrive fetched again, unless somebody did that already.

        With more than so many `callers` nothing is done: they have the answer from elsewhere.
        """
        values = {"request_id": record.id, "held_fence": record.fence, "now": self._clock(), "callers": callers}
        transaction.add(sql.REOPEN, values)
        transaction.follow(self._ledger.follow, record.id)

    def store_answer(self, transaction: Transaction, request_id: str, answer: str, *, images_kept: bool) -> None:
        """Replace a stored answer by one that names its images."""
        values = {"request_id": request_id, "new_answer": answer, "new_images_kept": images_kept}
        transaction.add(sql.STORE_ANSWER, values)

    def purge_payloads(self, transaction: Transaction, record: Record, error: str | None) -> bool:
        """Forget prompt and images of a request that has ended; its metadata stays. False where it is open again.

        `error` is what is left of its own. Whoever has the request in hand loses it: nothing that was begun
        before brings anything back (0168).
        """
        transaction.lock_rows([record.id], [record.id])
        values = {"request_id": record.id, "now": self._clock(), "new_error": error}
        return transaction.execute(sql.PURGE, values).rowcount == 1


class OpenBills:
    """Bills of the journal with an unknown part; `first_pause` is in seconds, `clock` is unix seconds."""

    def __init__(self, first_pause: float, clock: Callable[[], float] = time.time) -> None:
        self._first_pause = first_pause
        self._clock = clock
        self._ledger = Ledger(clock)

    def take_due(
        self, transaction: Transaction, is_known: Callable[[str], bool] = lambda _: True, limit: int = 20
    ) -> list[Record]:
        """Requests to ask Runware about now; each is counted as asked, and nobody else gets it meanwhile.

        Those of tenants that `is_known` denies are left alone: nobody here could ask for them (0136).
        The first time is `first_pause` after the end: Runware rarely knows more at once.
        """
        now = self._clock()
        due: dict[str, object] = {"now": now, "ended_before": now - self._first_pause}
        # Not picked out of the rows: those of callers who never come again would fill every look.
        tenants = [one for one in transaction.connection.execute(WAITING_TENANTS, due).scalars() if is_known(one)]
        if not tenants:
            return []
        due |= {"tenants": tenants[:_TENANTS_AT_ONCE], "limit": limit}
        rows = transaction.connection.execute(DUE, due).all()
        for row in rows:
            tries = row.bill_tries + 1
            pause = self._first_pause * _PAUSE_GROWTH**tries
            # Counted before Runware is asked: a process that dies over a bill must not ask forever.
            values = {"bill_tries": tries, "bill_next": now + pause if tries < _MAX_TRIES else None}
            transaction.execute(update(requests).where(requests.c.id == row.id).values(values), {})
        return [to_record(transaction.connection, row) for row in rows]

    def complete(self, transaction: Transaction, request_id: str, costs: Sequence[TaskCost], cost: Decimal) -> None:
        """Write down the whole bill, and ask for it no more."""
        # The request before its tasks, as whoever settles it does: two that write the same then wait in one order.
        bill = {"request_id": request_id, "new_cost": write_money(cost), "new_known_cost": None, "new_bill_next": None}
        transaction.add(_SET, bill)
        transaction.add(sql.BOOK_TASK, *map(_booking, costs))
        transaction.follow(self._ledger.follow, request_id)


class _End(NamedTuple):
    """How a request ended, as its holder says; what it cost is nano-dollars. A `Change` of a transaction."""

    request_id: str
    account: str | None
    fence: int
    settlement: Settlement
    status: str
    cost: int | None
    known_cost: int | None
    costs: Sequence[TaskCost]

    @property
    def lease(self) -> tuple[str, int]:
        """What the holder must still have."""
        return self.request_id, self.fence


def _run(transaction: Transaction, statement: Statement, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        transaction.run(statement, *rows)


def _to_row(end: _End, now: float) -> tuple[object, ...]:
    """The values of `SETTLE`."""
    settlement = end.settlement
    return (
        end.status,
        now,
        end.cost,
        end.known_cost,
        settlement.images,
        None if end.known_cost is None else now,
        settlement.answer,
        settlement.images_kept,
        settlement.images_until,
        settlement.error,
        end.request_id,
        end.fence,
    )


def _to_ended(opening: Opening, end: _End) -> Ended:
    return Ended(opening, end.status, end.cost, end.known_cost, end.settlement.images)


def _held_bookings(lease: tuple[str, int], costs: Sequence[TaskCost]) -> list[tuple[object, ...]]:
    """What each task cost, to be written while the lease holds: costs of running work are its holder's (0059)."""
    return [_booking(cost) + lease for cost in costs]


def _booking(cost: TaskCost) -> tuple[object, ...]:
    """What one task cost. A bill that is completed long after the end has no holder any more."""
    nanos = write_money(cost.known)
    return (nanos, None, cost.task_id) if cost.is_complete else (None, nanos, cost.task_id)
