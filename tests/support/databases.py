"""Empty databases of both kinds, as many as a test wants, and some with their tables made."""

import contextlib
import functools
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import Engine, make_url

from app.database.engine import open_engine
from app.database.schema import migrate
from benchmarks.databases import create_database


@dataclass(frozen=True)
class SQLiteFolder:
    """Databases as files in a folder."""

    folder: Path

    def fresh(self) -> str:
        """The URL of an empty database."""
        return f"sqlite:///{self.folder / uuid.uuid4().hex}.db"


@dataclass(frozen=True)
class PostgresServer:
    """Databases on a server."""

    url: str

    def fresh(self) -> str:
        """The URL of an empty database."""
        return create_database(self.url)


Database = SQLiteFolder | PostgresServer


@functools.cache
def migrated_file() -> bytes:
    """What a new SQLite database holds after every migration: they take longer than a copy of what they lead to."""
    with tempfile.TemporaryDirectory() as folder:
        url = SQLiteFolder(Path(folder)).fresh()
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        return Path(make_url(url).database or "").read_bytes()


def open_migrated(url: str) -> Engine:
    """A database with its tables made."""
    place = make_url(url)
    file = Path(place.database or "")
    if place.get_backend_name() == "sqlite" and not file.exists():
        file.write_bytes(migrated_file())
    engine = open_engine(url)
    migrate(engine)
    return engine


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Another program lets nobody write."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            yield
            holder.execute("ROLLBACK")
    else:
        with psycopg.connect(make_url(url).render_as_string(hide_password=False)) as holder:
            holder.execute("LOCK TABLE requests IN EXCLUSIVE MODE")
            yield
