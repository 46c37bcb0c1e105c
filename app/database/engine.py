"""Connects to the database: SQLite in WAL mode by default, PostgreSQL by URL. Leaves the tables to `schema`."""

import sqlite3

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from app.database.transaction import begin_transaction

_BUSY_SECONDS = 5
"""Longer than any writer of ours holds the lock; what waits has a caller that waits as well."""
_POSTGRES_OPTIONS = (
    "-c idle_in_transaction_session_timeout=10s -c lock_timeout=15s -c statement_timeout=30s "
    "-c plan_cache_mode=force_custom_plan"
)
"""So that a process that was stopped in the middle of a transaction does not keep all others waiting, and no statement
goes on with a plan that was made while the tables were empty."""

_POSTGRES_CONNECTIONS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""So that a server whose machine or network is gone is noticed: the system would take it for slow for a quarter of an
hour (0141)."""


def open_engine(url: str) -> Engine:
    """The engine for `url`. On SQLite every transaction that is not said to read takes the one lock at its start.

    So none fails midway. On PostgreSQL a transaction takes the locks it needs (`transaction`), none for all.
    """
    parsed = make_url(url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    return _open_postgres(parsed)


def _open_postgres(url: URL) -> Engine:
    # What the address says itself wins.
    defaults = _POSTGRES_CONNECTIONS | {"options": _POSTGRES_OPTIONS}
    options = {name: value for name, value in defaults.items() if name not in url.query}
    engine = create_engine(
        # Few sessions suffice: one thread writes. The ping finds connections that a failover has cut.
        url.set(drivername="postgresql+psycopg"),
        pool_size=2,
        pool_pre_ping=True,
        connect_args=options,
    )

    event.listen(engine, "begin", begin_transaction)
    return engine


def _open_sqlite(url: URL) -> Engine:
    waits = {} if "timeout" in url.query else {"timeout": _BUSY_SECONDS}
    engine = create_engine(url, connect_args={"check_same_thread": False, **waits})

    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", begin_transaction)
    return engine


def truncate_log(engine: Engine) -> None:
    """Move all of SQLite's log into the file, and empty it; not while somebody reads what was before."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.close()
    except sqlite3.Error:  # a full disk, or one that fails: what was deleted is deleted, and its log goes with the next
        return
    finally:
        connection.close()


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # our own BEGIN, not the driver's
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # A claim that a power cut could undo would let its request be bought twice: each commit reaches the disk.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What is deleted is written over: a prompt must not be found in the file afterwards (0168).
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()
