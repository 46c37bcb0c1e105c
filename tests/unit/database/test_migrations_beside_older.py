"""What a gateway of the release before writes, while a newer one has migrated the tables: all of it, and rightly.

`tests/fixtures/statements` has every write of one of schema 0006, and each of its reads once, as they went to the
database: requests of all kinds, with keys, images and edits, failures, costs, deletions, and what administrators do.
"""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from app.database.engine import open_engine
from app.database.reader import Reader
from app.database.schema import migrate
from app.database.writer import Writer
from app.jobs.codec import view_of
from app.journal.history import Filter, History
from app.ledger.verification import verify_ledger
from tests.conftest import FIXTURES
from tests.support.old_journals import columns_of, upgrade_to

OLDER = "0006"
Rows = dict[str, list[str]]


def replay(engine: Engine) -> int:
    """Run what the older release ran; how many statements that is."""
    path: Path = (
        FIXTURES / "statements" / f"{OLDER}-{'sqlite' if engine.dialect.name == 'sqlite' else 'postgres'}.jsonl"
    )
    statements = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        for statement, values in statements:
            cursor.execute(statement, values) if values else cursor.execute(statement)
        connection.commit()
    finally:
        connection.close()
    return len(statements)


def rows_of(engine: Engine, columns: list[tuple[str, str]]) -> Rows:
    """What is in these columns, by table."""
    names: dict[str, list[str]] = {}
    for table, column in columns:
        names.setdefault(table, []).append(f'"{column}"')
    with engine.begin() as connection:
        return {
            table: sorted(str(tuple(row)) for row in connection.execute(text(f"SELECT {', '.join(of)} FROM {table}")))
            for table, of in names.items()
            if table != "alembic_version"
        }


@pytest.fixture
def newer(database) -> Engine:
    engine = open_engine(database.fresh())
    upgrade_to(engine, OLDER)
    migrate(engine)
    return engine


def test_what_an_older_release_writes_is_written_as_before(database, newer):
    older = open_engine(database.fresh())
    upgrade_to(older, OLDER)
    columns = list(columns_of(older))
    assert replay(older) == replay(newer) > 100
    written = rows_of(newer, columns)
    assert written == rows_of(older, columns)
    assert {table for table, rows in written.items() if rows} >= {
        "requests", "tasks", "ledger_entries", "accounts", "api_keys", "audit", "highest_prices",
    }  # fmt: skip
    older.dispose()
    newer.dispose()


def test_a_newer_release_reads_what_an_older_one_writes_beside_it(newer):
    replay(newer)
    writer = Writer(newer)
    reader = Reader(newer, writer)
    try:
        records, _ = asyncio.run(History(reader).page(Filter(None), 100))
        assert len(records) > 10
        assert {view_of(record).result is not None for record in records if record.answer} == {True}
        with newer.begin() as connection:
            assert verify_ledger(connection).is_exact
    finally:
        reader.close()
        writer.close()
