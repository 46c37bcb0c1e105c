"""How PostgreSQL carries out what every request runs: its server is not told how large tables or groups are."""

from typing import Any

import pytest
from sqlalchemy import text

from app.access import budgets
from app.database.engine import open_engine
from app.database.schema import migrate
from app.database.statement import Statement, as_taken
from app.journal import statements as journal
from app.ledger import entries

FULL = """
INSERT INTO requests
    (id, tenant, fingerprint, endpoint, model, executed_model, n, created_at, key_until, connected, owner, plan, status)
    SELECT 'r' || i, 'key_' || i, 'f', 'e', 'm', 'm', 1, 0, 0, 0, '', '',
    CASE WHEN i % 2 = 0 THEN 'processing' ELSE 'completed' END FROM generate_series(1, 9000) i;
INSERT INTO tasks (uuid, request_id, position) SELECT 't' || i, 'r' || i, 0 FROM generate_series(1, 9000) i;
INSERT INTO accounts (key_id, period_start, spent, reserved) SELECT 'key_' || i, 0, 0, 0 FROM generate_series(1, 9000) i
"""
KEYS = {"requests_pkey", "tasks_pkey", "ix_tasks_request_id", "accounts_pkey"}


class Explaining:
    """A cursor that asks how a statement would be carried out, instead of doing it."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, statement: str, values: object) -> None:
        self._cursor.execute(f"EXPLAIN {statement}", values)

    def plan(self) -> list[str]:
        return [line for (line,) in self._cursor.fetchall()]


def statements_that_change() -> dict[str, Statement]:
    rooms = (journal, entries, budgets)
    named = {name: value for room in rooms for name, value in vars(room).items() if isinstance(value, Statement)}
    return {name: value for name, value in named.items() if not value.is_insert}


@pytest.fixture(scope="module")
def full(postgres):
    """A database with many rows."""
    engine = open_engine(postgres.fresh())
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(FULL))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("is_counted", [False, True], ids=["nobody counted", "counted"])
@pytest.mark.parametrize("statement", statements_that_change().values(), ids=statements_that_change())
def test_rows_are_found_by_their_keys_and_no_table_is_read_whole(full, statement, is_counted):
    width = range(len(statement.names))
    rows = [tuple([f"{row}" if place == statement.target else None for place in width]) for row in range(40)]
    with full.connect() as connection:
        if is_counted:
            connection.execute(text("ANALYZE"))
        cursor = Explaining(connection.connection.cursor())
        as_taken(connection, statement).execute(cursor, rows)
        plan = cursor.plan()
        connection.rollback()

    used = {line.split(" using ")[1].split(" on ")[0] for line in plan if " using " in line}
    assert used
    assert used <= KEYS
    assert not [line for line in plan if "Seq Scan" in line or "Bitmap" in line]
