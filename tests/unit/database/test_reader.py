"""Reads beside the writer: whatever keeps them from the database, they say that it is away."""

import asyncio
import errno
import os
import sqlite3

import pytest
from sqlalchemy import Connection, create_engine, text

from app.database.errors import DatabaseUnavailableError
from app.database.reader import Reader
from app.database.writer import Writer
from tests.support.databases import SQLiteFolder, open_migrated


def look(connection: Connection) -> int:
    return connection.execute(text("SELECT 1")).scalar_one()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(sqlite3.OperationalError("unable to open database file"), id="the driver says so"),
        pytest.param(OSError(errno.EMFILE, os.strerror(errno.EMFILE)), id="no file can be opened any more"),
    ],
)
def test_a_connection_that_cannot_be_opened_says_that_the_database_is_away(tmp_path, fault):
    def refuse() -> sqlite3.Connection:
        raise fault

    writer = Writer(open_migrated(SQLiteFolder(tmp_path).fresh()))
    reader = Reader(create_engine("sqlite://", creator=refuse), writer)
    try:
        for ask in (reader.read, reader.peek):
            with pytest.raises(DatabaseUnavailableError):
                asyncio.run(ask(look))
    finally:
        reader.close()
        writer.close()
