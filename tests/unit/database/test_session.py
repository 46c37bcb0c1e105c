"""The writer's own connection: what fails on it, at the very end too, keeps nothing that comes later from it."""

import asyncio

import pytest
from sqlalchemy import text

from app.database.errors import DatabaseUnavailableError
from app.database.transaction import Transaction
from app.database.writer import Writer
from tests.support.databases import SQLiteFolder, open_migrated

ORPHAN = "INSERT INTO tasks (uuid, request_id, position) VALUES ('u', 'nobody', 0)"


def fail_to_commit(transaction: Transaction) -> None:
    """What is only found out by the commit, as a full disk is."""
    transaction.connection.execute(text("PRAGMA defer_foreign_keys=ON"))
    transaction.connection.execute(text(ORPHAN))


def fail_at_once(transaction: Transaction) -> None:
    transaction.connection.execute(text("INSERT INTO nowhere VALUES (1)"))


def count(transaction: Transaction) -> int:
    return transaction.connection.execute(text("SELECT count(*) FROM tasks")).scalar_one()


@pytest.mark.parametrize("failing", [fail_to_commit, fail_at_once])
def test_what_fails_leaves_the_connection_as_good_as_new(tmp_path, failing):
    writer = Writer(open_migrated(SQLiteFolder(tmp_path).fresh()))

    async def course() -> list[int]:
        found = []
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError):
                await writer.write(failing)
            found.append(await writer.write(count))
        return found

    try:
        assert asyncio.run(course()) == [0, 0]
    finally:
        writer.close()
