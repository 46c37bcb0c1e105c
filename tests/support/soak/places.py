"""Where the journal and the images of a soaked gateway are: on its own disk, or on servers; each can be taken away."""

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg

from tests.support.object_stores import BUCKET, ObjectServer
from tests.support.postgres import RunningPostgres, running_postgres
from tests.support.soak.house import House, house

BUDGET = 100_000
"""Dollars, of which a soak spends a few hundred: what it is refused is never for want of money."""
_PREPARE = """
import sys; from decimal import Decimal; from tests.support.faults.budgets import open_account
open_account(sys.argv[1], Decimal(sys.argv[2]))
"""
_HOLD = """
import sqlite3, sys, time
holder = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
holder.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
holder.execute("ROLLBACK")
"""
_QUESTION = "SELECT id, prompt, status, images FROM requests"
_READ = f"""
import json, sqlite3, sys
journal = sqlite3.connect(sys.argv[1], timeout=60)
print(json.dumps([list(row) for row in journal.execute("{_QUESTION}")]))
"""
_WRITING = "-c default_transaction_read_only=off"
Row = tuple[str, str, str, int | None]
"""A request of the journal: id, prompt, status, images."""
Fault = Callable[[], contextlib.AbstractContextManager[None]]


class Place(Protocol):
    """A gateway with all it stands on."""

    house: House

    def rows(self) -> list[Row]:
        """All requests of the journal."""

    def faults(self) -> Mapping[str, Fault]:
        """All that can be taken away, by name."""


@dataclass
class OwnDisk:
    """SQLite and a folder, on the gateway's disk."""

    house: House

    @property
    def _journal(self) -> str:
        return str(self.house.mount / "journal.db")

    def rows(self) -> list[Row]:
        command = [*self.house.enter(), sys.executable, "-c", _READ, self._journal]
        return [tuple(row) for row in json.loads(subprocess.run(command, check=True, capture_output=True).stdout)]

    @contextlib.contextmanager
    def store_away(self) -> Iterator[None]:
        """The folder of images is gone, and cannot be made."""
        media, aside = self.house.disk / "media", self.house.disk / "media-aside"
        media.rename(aside)
        media.write_bytes(b"")
        try:
            yield
        finally:
            media.unlink()
            aside.rename(media)

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Another program holds the journal, and does not let go."""
        with subprocess.Popen([*self.house.enter(), sys.executable, "-c", _HOLD, self._journal, "3"]) as holder:
            try:
                yield
            finally:
                holder.wait(30)

    def faults(self) -> Mapping[str, Fault]:
        return {"store away": self.store_away, "database away": self.database_away} | self.house.faults()


@dataclass
class Servers:
    """PostgreSQL and an object store, each a server of its own; what is left to the gateway's disk is little."""

    house: House
    database: RunningPostgres
    url: str
    store: ObjectServer
    _turns: Iterator[int] = field(default_factory=itertools.count)

    def rows(self) -> list[Row]:
        with psycopg.connect(self.url, options=_WRITING) as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(_QUESTION)]

    @contextlib.contextmanager
    def store_away(self) -> Iterator[None]:
        """It refuses, or it takes what is asked and says nothing, by turns."""
        with self.store.answering(503) if next(self._turns) % 2 else self.store.standing_still():
            yield

    @contextlib.contextmanager
    def disk_full(self) -> Iterator[None]:
        """All three: a store without room, a database that takes no writes any more, as hosted ones do, and our own."""
        self._set_read_only("on")
        try:
            with self.store.answering(507), self.house.disk_full():
                yield
        finally:
            self._set_read_only("off")

    def _set_read_only(self, word: str) -> None:
        with psycopg.connect(self.url, options=_WRITING, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {word}")
            connection.execute("SELECT pg_reload_conf()")

    def faults(self) -> Mapping[str, Fault]:
        return self.house.faults() | {
            "store away": self.store_away,
            "database stands still": self.database.standing_still,
            "database away": self.database.away,
            "disk full": self.disk_full,
        }


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[Place]:
    """A gateway that needs nothing else."""
    url = f"sqlite:///{folder / 'disk' / 'journal.db'}?timeout=0.5"
    with house(folder, _preparing(url), {"SPILLWAY_DATABASE_URL": url}) as made:
        yield OwnDisk(made)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Place]:
    """A gateway as one of several would be run."""
    store = ObjectServer()
    try:
        with running_postgres() as database:
            url = database.url
            own = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_STORAGE_URL": f"s3://{BUCKET}/soak", **store.variables()}
            with house(folder, _preparing(url), own) as made:
                yield Servers(made, database, url, store)
    finally:
        store.close()


def _preparing(url: str) -> Sequence[str]:
    return (sys.executable, "-c", _PREPARE, url, str(BUDGET))
