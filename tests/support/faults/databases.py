"""Breaks the database connection of a gateway, and reads what its journal says."""

import sqlite3
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from app.domain.money import from_nanos

_LOCKED_SECONDS = 0.8
_BUSY_SECONDS = 0.2
_REQUESTS = "SELECT id, prompt, status, COALESCE(cost, known_cost) FROM requests"
_COSTS = "SELECT cost FROM tasks WHERE cost IS NOT NULL"


@dataclass(frozen=True)
class Journaled:
    """A request as the journal has it."""

    id: str
    prompt: str
    status: str
    cost: Decimal | None


@dataclass(frozen=True)
class SQLiteJournal:
    """A journal in a file. It breaks by being locked for longer than the gateway waits."""

    path: Path

    @property
    def url(self) -> str:
        """For the gateway."""
        return f"sqlite:///{self.path}?timeout={_BUSY_SECONDS}"

    def break_connections(self) -> None:
        """Make every write fail for a while."""
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(_LOCKED_SECONDS)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def read(self) -> tuple[list[Journaled], Decimal]:
        """All requests, and the sum of what all tasks cost."""
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            return _read(connection.execute(_REQUESTS).fetchall(), connection.execute(_COSTS).fetchall())
        finally:
            connection.close()


@dataclass(frozen=True)
class PostgresJournal:
    """A journal on a server. It breaks by the server ending every connection."""

    url: str

    def break_connections(self) -> None:
        """End all sessions of the gateway."""
        with psycopg.connect(self._own(), autocommit=True, application_name="breaker") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name NOT IN ('reader', 'breaker')"
            )

    def read(self) -> tuple[list[Journaled], Decimal]:
        """See SQLiteJournal."""
        with psycopg.connect(self._own(), application_name="reader") as connection:
            return _read(connection.execute(_REQUESTS).fetchall(), connection.execute(_COSTS).fetchall())

    def _own(self) -> str:
        return make_url(self.url).render_as_string(hide_password=False)


def _read(requests: list[tuple], costs: list[tuple]) -> tuple[list[Journaled], Decimal]:
    listed = [
        Journaled(row[0], row[1] or "", row[2], None if row[3] is None else from_nanos(row[3])) for row in requests
    ]
    return listed, from_nanos(sum(row[0] for row in costs))


Journal = SQLiteJournal | PostgresJournal
