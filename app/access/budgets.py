"""Charges the account of a key in the transaction of a claim: what it may spend is reserved before anything is sent.

One row for each key, read once and written once for all claims of a group, under its lock: no other claim of the key,
on whatever replica, decides meanwhile. Owns the rows of accounts; the decision itself is `account`'s, and what becomes
of a reservation the ledger's.
"""

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct
from sqlalchemy import BindParameter, Connection, Row, Text, bindparam, func, insert, literal_column, select, update

from app.access.account import BUDGET_EXCEEDED, Account, Ask
from app.access.rate_limits import Tokens
from app.database.key_tables import accounts, api_keys, daily_totals, highest_prices, ledger_entries
from app.database.prepared import find
from app.database.statement import Statement
from app.database.tables import requests
from app.database.transaction import Transaction
from app.domain.caller import Limits, Period
from app.domain.money import from_nanos, to_nanos
from app.errors import AuthenticationError, GatewayError
from app.journal.records import Intent, Status
from app.ledger.budget_state import NEARLY_USED_UP, USED_UP
from app.ledger.periods import first_day
from app.ledger.warnings import INSERT_NOTICE, notice_of, warn_owners

_OPEN = [literal_column(f"'{status.value}'", Text) for status in Status if not status.final]
_KEY: BindParameter[str] = bindparam("of_key")
_DAY: BindParameter[int] = bindparam("first_day")
_READ = (
    # The limits as they stand, not as they were cached with the key: a changed budget holds from its own commit on.
    select(
        api_keys.c.id,
        api_keys.c.name,
        api_keys.c.budget,
        api_keys.c.period,
        api_keys.c.rpm,
        api_keys.c.images_per_minute,
        api_keys.c.concurrency,
        api_keys.c.forbid_unpriced,
        api_keys.c.webhook_url,
        api_keys.c.revoked_at,
        accounts.c.period_start,
        accounts.c.spent,
        accounts.c.reserved,
        accounts.c.request_tokens,
        accounts.c.image_tokens,
        accounts.c.refilled_at,
        accounts.c.warned,
    )
    .outerjoin(accounts, accounts.c.key_id == api_keys.c.id)
    .where(api_keys.c.id == _KEY)
)
# By status, hidden from SQLite's planner, which would rather count through all that the key ever asked for.
RUNNING = (
    select(func.count().label("running"))
    .select_from(requests)
    .where(func.coalesce(requests.c.tenant, "") == _KEY, requests.c.status.in_(_OPEN))
)
_HIGHEST = select(highest_prices.c.per_image).where(highest_prices.c.model == bindparam("of_model"))
_STORE = Statement(
    update(accounts)
    .where(accounts.c.key_id == _KEY)
    .values(
        period_start=bindparam("new_period_start"),
        spent=bindparam("new_spent"),
        reserved=bindparam("new_reserved"),
        request_tokens=bindparam("new_request_tokens"),
        image_tokens=bindparam("new_image_tokens"),
        refilled_at=bindparam("new_refilled_at"),
        warned=bindparam("new_warned"),
    ),
    "new_period_start",
    "new_spent",
    "new_reserved",
    "new_request_tokens",
    "new_image_tokens",
    "new_refilled_at",
    "new_warned",
    "of_key",
)
_PERIOD = select(api_keys.c.period).where(api_keys.c.id == _KEY)
_FROM_ENTRIES = select(
    func.coalesce(func.sum(ledger_entries.c.spent), 0), func.coalesce(func.sum(ledger_entries.c.reserved), 0)
).where(ledger_entries.c.tenant == _KEY, ledger_entries.c.day >= _DAY)
_FROM_TOTALS = select(func.coalesce(func.sum(daily_totals.c.cost + daily_totals.c.estimated_cost), 0)).where(
    daily_totals.c.tenant == _KEY, daily_totals.c.day >= _DAY
)
_RESTATE = (
    update(accounts)
    .where(accounts.c.key_id == _KEY)
    .values(period_start=bindparam("first"), spent=bindparam("new_spent"), reserved=bindparam("new_reserved"))
)
_OPEN_ACCOUNT = insert(accounts)
_WARN_LESS = update(accounts).where(accounts.c.key_id == _KEY).values(warned=bindparam("new_warned"))


class Charge(Struct, frozen=True):
    """What a request that may be carried out reserves, in nano-dollars, and when it counts as made.

    `account` is what is left after it; None where nobody's account was charged.
    """

    reserve: int
    at: float
    account: Account | None


class RefusedError(Exception):
    """The account does not allow a request: `error` is the caller's, `account` how it stands."""

    def __init__(self, error: GatewayError, account: Account | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.account = account

    @property
    def is_unwarned(self) -> bool:
        """Whether the owner is still to be told that the budget is as good as used up."""
        account = self.account
        if self.error.code != BUDGET_EXCEEDED or account is None or account.state is None:
            return False
        return account.warned < USED_UP and account.state.level >= NEARLY_USED_UP


class Accounts:
    """The accounts of all keys. `unpriced` is what is reserved for an image whose price nobody knows, in dollars.

    `clock` is unix seconds.
    """

    def __init__(self, unpriced: Decimal, clock: Callable[[], float] = time.time) -> None:
        self._unpriced = to_nanos(unpriced)
        self._clock = clock

    def charge(self, transaction: Transaction, intent: Intent) -> Charge:
        """Reserve for a request that is new, raising RefusedError where its key does not allow it.

        Under the lock of its account (0114), and before anything of the request is written.
        """
        now, reserve = self._clock(), self._reserve_for(transaction, intent)
        if intent.key is None:
            return Charge(reserve, now, None)
        before = transaction.kept(store_accounts, intent.tenant) or self._find(transaction, intent.tenant, now)
        before = before.at(now)
        try:
            after = before.charge(Ask(intent.model, intent.n, reserve, is_priced=intent.estimate is not None))
        except GatewayError as error:
            raise RefusedError(error, before) from None
        after = self._with_warning(transaction, after, now)
        transaction.keep(store_accounts, intent.tenant, after)
        return Charge(reserve, after.moment(now), after)

    def warn_used_up(self, transaction: Transaction, key_id: str) -> None:
        """Tell the owner that a request was refused for a budget that is as good as used up; once in a period."""
        now = self._clock()
        transaction.lock_accounts((key_id,))
        found = read_account(transaction.connection, key_id)
        if found is None:
            return
        account = found.at(now)
        state = account.state
        if state is not None and account.warned < USED_UP and state.level >= NEARLY_USED_UP:
            transaction.add(INSERT_NOTICE, notice_of(state, USED_UP, account.webhook_url, now))
            transaction.execute(_WARN_LESS, {"of_key": key_id, "new_warned": USED_UP})

    def _find(self, transaction: Transaction, key_id: str, now: float) -> Account:
        found = read_account(transaction.connection, key_id)
        if found is None and transaction.connection.execute(_PERIOD, {"of_key": key_id}).first() is not None:
            restate_account(transaction, key_id, now)  # an account that was lost is worth what the ledger says
            found = read_account(transaction.connection, key_id)
        if found is None:
            raise RefusedError(AuthenticationError("This API key is not valid here any more."), None)
        return found

    def _reserve_for(self, transaction: Transaction, intent: Intent) -> int:
        """Nano-dollars that a request may cost, as far as that can be known beforehand (0122)."""
        if intent.estimate is not None:
            return to_nanos(intent.estimate)
        seen = transaction.ask_once(_highest_price, intent.executed_model)
        return (self._unpriced if seen is None else seen) * intent.n

    def _with_warning(self, transaction: Transaction, account: Account, now: float) -> Account:
        """The account, its owner told of what is used of its budget by now."""
        state = account.state if account.level > account.warned else None
        if state is None:
            return account
        transaction.add(INSERT_NOTICE, notice_of(state, state.level, account.webhook_url, now))
        return account.warned_of(state.level)


def read_account(connection: Connection, key_id: str) -> Account | None:
    """The account of a key as it was last written, None where there is no such key or account."""
    rows = find(connection, _READ, {"of_key": key_id})
    if not rows or rows[0].period_start is None:
        return None
    row, running = rows[0], 0
    if row.concurrency is not None:
        running = int(find(connection, RUNNING, {"of_key": key_id})[0].running)
    return _to_account(row, running)


def _highest_price(transaction: Transaction, model: str) -> int | None:
    """The most that an image of a model without a price has cost, in nano-dollars."""
    seen = transaction.look(_HIGHEST, {"of_model": model})
    return int(seen[0][0]) if seen else None


def store_accounts(transaction: Transaction, changed: Mapping[str, Account]) -> None:
    """Write the accounts that were charged."""
    rows = [
        (
            account.first_day,
            account.spent,
            account.reserved,
            account.tokens.requests,
            account.tokens.images,
            account.tokens.at,
            account.warned,
            key_id,
        )
        for key_id, account in changed.items()
    ]
    transaction.run(_STORE, *rows)


def restate_account(transaction: Transaction, key_id: str, now: float) -> None:
    """Sum an account up anew from the ledger: for a key that is new, or whose budget or period has changed.

    Reads the key as this transaction has written it. Call `lock_accounts` before the key's own row is changed: claims
    take the two in that order.
    """
    connection = transaction.connection
    period = connection.execute(_PERIOD, {"of_key": key_id}).scalar()
    first = first_day(Period(str(period)), now)
    values: dict[str, object] = {"of_key": key_id, "first_day": first}
    spent, reserved = connection.execute(_FROM_ENTRIES, values).one()
    # Rows that were removed for their age are in the totals instead.
    earlier = connection.execute(_FROM_TOTALS, values).scalar() or 0
    sums = {"new_spent": int(spent) + int(earlier), "new_reserved": int(reserved)}
    changed = transaction.execute(_RESTATE, {"of_key": key_id, "first": first, **sums})
    if not changed.rowcount:
        new = {"key_id": key_id, "period_start": first, "spent": sums["new_spent"], "reserved": sums["new_reserved"]}
        transaction.execute(_OPEN_ACCOUNT, new)
    account = read_account(connection, key_id)
    state = None if account is None else account.state
    level = 0 if state is None else state.level
    if account is not None and account.warned > level:
        # A larger budget is warned of anew.
        transaction.execute(_WARN_LESS, {"of_key": key_id, "new_warned": level})
    warn_owners(transaction, [key_id], now)


def _to_account(row: Row[*tuple[Any, ...]], running: int) -> Account:
    budget = None if row.budget is None else int(row.budget)
    limits = Limits(
        budget=None if budget is None else from_nanos(budget),
        period=Period(row.period),
        rpm=row.rpm,
        images_per_minute=row.images_per_minute,
        concurrency=row.concurrency,
        forbid_unpriced=bool(row.forbid_unpriced),
    )
    tokens = Tokens(row.request_tokens, row.image_tokens, row.refilled_at or 0.0)
    return Account(
        row.id,
        row.name,
        limits,
        budget,
        row.period_start,
        int(row.spent),
        int(row.reserved),
        tokens,
        row.warned,
        running,
        row.webhook_url,
        row.revoked_at is not None,
    )
