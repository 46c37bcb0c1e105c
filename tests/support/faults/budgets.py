"""A key of the database whose budget all requests of a lane are charged to, and what the ledger says in the end."""

import time
from decimal import Decimal

from sqlalchemy import select

from app.access.budgets import restate_account
from app.access.key_format import ID_BYTES, SECRET_BYTES, digest_of, make_id, make_key
from app.access.key_store import StoredKey, insert_key
from app.database.engine import open_engine
from app.database.key_tables import accounts
from app.database.schema import migrate
from app.database.transaction import READS, Transaction
from app.domain.caller import ApiKey, Limits, Period
from app.domain.verification import Verification
from app.ledger.verification import verify_ledger

_ID = make_id(bytes(ID_BYTES))
BUDGETED_KEY = make_key(_ID, bytes(SECRET_BYTES))
_BUDGET = Decimal(100)


def open_account(url: str, budget: Decimal = _BUDGET) -> None:
    """Make the tables, and a key that may spend more than all requests cost, once and for all."""
    limits = Limits(budget=budget, period=Period.TOTAL, rpm=1_000_000, images_per_minute=1_000_000, concurrency=1000)
    key = ApiKey(_ID, "faults", BUDGETED_KEY[-4:], 1.0, limits=limits)
    engine = open_engine(url)
    migrate(engine)
    with engine.begin() as connection:
        transaction = Transaction(connection)
        insert_key(transaction, StoredKey(key, digest_of(BUDGETED_KEY)))
        restate_account(transaction, _ID, time.time())
        transaction.write()
    engine.dispose()


def read_ledger(url: str) -> tuple[Verification, tuple[int, int]]:
    """A look at the whole ledger, and what the account has reserved and spent, in nano-dollars."""
    engine = open_engine(url)
    try:
        with engine.execution_options(**{READS: True}).begin() as connection:
            row = connection.execute(select(accounts.c.reserved, accounts.c.spent)).one()
            return verify_ledger(connection), (row.reserved, row.spent)
    finally:
        engine.dispose()
