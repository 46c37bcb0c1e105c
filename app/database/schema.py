"""The version of the tables: brings a database to it under a lock, and refuses one that is newer than this code.

A migration is one transaction, so that a process that dies in it leaves the tables as they were (0140).
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, column, inspect, select, table
from sqlalchemy.exc import OperationalError

from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError, ImageHashError, NewerSchemaError
from app.database.tables import journal_settings
from app.database.transaction import READS
from app.images.hashing import ImageHash
from app.observability.logs import get_logger

_logger = get_logger("database")
_START_SECONDS = 30.0
_MIGRATION_SECONDS = 600.0
"""How long is waited for another process that migrates; a large journal takes minutes."""
_PAUSE_SECONDS = 0.5
_FOLDER = Path(__file__).with_name("migrations")
_VERSIONS = table("alembic_version", column("version_num"))
NEW_HASH = ImageHash.BLAKE3
"""Of a journal that is made now, where nobody says another."""
_LOCK = 7_229_114
_LOCKED = "database is locked"
_LONGEST_PAUSE = "10min"
"""Of a process in its migration: one that was stopped in it keeps all others waiting."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a migration did: the versions before and after, and the journal's hash of images.

    Before the first version there is none.
    """

    before: str | None
    after: str
    image_hash: ImageHash


class _BeingMigratedError(Exception):
    """Another process migrates this database right now."""


def open_database(url: str, wait_seconds: float = _START_SECONDS) -> tuple[Engine, ImageHash]:
    """The engine for `url`, its tables up to date, and its hash of images; raises what `bring_up_to_date` raises."""
    engine = open_engine(url)
    try:
        return engine, bring_up_to_date(engine, wait_seconds).image_hash
    except BaseException:
        engine.dispose()
        raise


def bring_up_to_date(
    engine: Engine,
    wait_seconds: float = _START_SECONDS,
    migration_seconds: float = _MIGRATION_SECONDS,
    new_hash: ImageHash = NEW_HASH,
) -> Migrated:
    """Migrate the tables as soon as that is possible; a journal that is made now gets `new_hash`.

    Waits `wait_seconds` for a database that is not there yet or is locked, and `migration_seconds` for another process
    that migrates it. Raises DatabaseUnavailableError, or UnusableJournalError at once.
    """
    began, told = time.monotonic(), ""
    while True:
        waited = time.monotonic() - began
        try:
            return migrate(engine, new_hash)
        except _BeingMigratedError:
            is_over = waited >= migration_seconds
            reason = "another process migrates it"
        except OperationalError as error:
            is_over = waited >= wait_seconds
            reason = str(error.orig)
        if is_over:
            raise DatabaseUnavailableError(f"the journal cannot be opened: {reason}")
        if reason != told:
            _logger.warning("the journal cannot be opened yet; it is tried again", reason=reason)
        told = reason
        time.sleep(_PAUSE_SECONDS)


def migrate(engine: Engine, new_hash: ImageHash = NEW_HASH) -> Migrated:
    """Migrate the tables now; of several processes one does it."""
    # Looked at first: a database that is up to date is opened without any lock, also while others write.
    with engine.execution_options(**{READS: True}).begin() as connection:
        before = _version_of(connection)
        if before == _newest():
            return Migrated(before, before, _image_hash_of(connection))
    with _alone(engine) as connection:
        # Once more, now that nobody else can be at it: an earlier release may have made the tables meanwhile.
        before = _version_of(connection)
        _upgrade(connection, new_hash if before is None else ImageHash.SHA256)
        return Migrated(before, _newest(), _image_hash_of(connection))


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction in which nobody else migrates, raising _BeingMigratedError where somebody does."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(engine.begin())
        except OperationalError as error:
            # SQLite's lock is that of every writer. Tables that are old and locked are most likely being migrated.
            if engine.dialect.name == "sqlite" and _LOCKED in str(error.orig):
                raise _BeingMigratedError from None
            raise
        if engine.dialect.name == "postgresql":
            _lock_postgres(connection)
        yield connection


def _lock_postgres(connection: Connection) -> None:
    # Ends with the transaction, also when the process dies, so it is never left behind.
    if not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_LOCK})").scalar_one():
        raise _BeingMigratedError
    # What converts a large table takes longer than any statement of a request may.
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_LONGEST_PAUSE}'")


def _version_of(connection: Connection) -> str | None:
    """The version of the tables, None where there are none, raising NewerSchemaError for one not known here."""
    is_made = inspect(connection).has_table(_VERSIONS.name)
    version: str | None = connection.execute(select(_VERSIONS.c.version_num)).scalar() if is_made else None
    if version is not None and version not in _known():
        raise NewerSchemaError(version, _newest())
    return version


def _image_hash_of(connection: Connection) -> ImageHash:
    """The journal's hash of images, raising ImageHashError where its tables do not say one that is known."""
    names = connection.execute(select(journal_settings.c.image_hash)).scalars().all()
    known = [one for one in ImageHash if one in names]
    # Rows of two journals in one table say nothing of which of them a request is from.
    if len(names) != 1 or not known:
        raise ImageHashError(names)
    return known[0]


@cache
def _known() -> frozenset[str]:
    """Every version, which the file of its migration begins with."""
    return frozenset(file.name.split("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


@cache
def _newest() -> str:
    return max(_known())


def _upgrade(connection: Connection, image_hash: ImageHash) -> None:
    # A tenth of what a start loads, and most starts find nothing to migrate (0178).
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    config.attributes["image_hash"] = image_hash.value
    command.upgrade(config, "head")
