"""`spillway migrate`, and the journal's database for every other command that works on it without a gateway.

What opens a database is imported when it is needed: most commands start without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from rich.console import Console

from app.cli.exits import ExitCode
from app.cli.options import EnvFile
from app.cli.settings import fail, settings_or_exit

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from app.database.schema import Migrated
    from app.settings.load import Settings

_T = TypeVar("_T")
_START_SECONDS = 30.0
_ANSWER_SECONDS = 0.8
"""How long a database that took the connection may say nothing."""
_ROUND_SECONDS = 0.05
UNUSABLE_JOURNAL = 3
"""The exit code of `serve` and `migrate` for a journal that this version must not use: starting again does not help."""


def migrate(
    env_file: EnvFile = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for a database.")] = _START_SECONDS,
    image_hash: Annotated[
        Literal["blake3", "sha256"] | None,
        typer.Option(help="Of a journal that is made now: that of the one whose place it takes. Default: blake3."),
    ] = None,
) -> None:
    """Bring the tables of the journal up to this version.

    Says what it did. Ends with exit code 3 where this version must not use them.
    """
    from app.server.process import prepare_process

    settings, _ = settings_or_exit(env_file, {})
    prepare_process()
    done = migrate_or_exit(settings, wait, new_hash=image_hash)
    if image_hash is not None and done.image_hash != image_hash:
        fail([f"--image-hash: the journal exists and has {done.image_hash}, which never changes."], ExitCode.WRONG_USE)
    if done.before == done.after:
        said = f"The journal is up to date, at schema {done.after}."
    elif done.before is None:
        said = f"The journal was made, at schema {done.after}."
    else:
        said = f"The journal was migrated from schema {done.before} to {done.after}."
    Console(soft_wrap=True).print(said, highlight=False)


def migrate_or_exit(
    settings: Settings, wait: float = _START_SECONDS, away: int = ExitCode.OTHER, new_hash: str | None = None
) -> Migrated:
    """Bring the tables up to date; faults are printed and end the command, with code `away` for a database that is."""
    engine, done = _open(settings, wait, UNUSABLE_JOURNAL, away, new_hash)
    engine.dispose()
    return done


def journal_or_exit(settings: Settings) -> Engine:
    """The journal's database with its tables up to date; faults are printed and end the command."""
    return _open(settings, _START_SECONDS, ExitCode.OTHER)[0]


def _open(
    settings: Settings, wait: float, unusable: int, away: int = ExitCode.OTHER, new_hash: str | None = None
) -> tuple[Engine, Migrated]:
    from sqlalchemy.exc import SQLAlchemyError

    from app.database.engine import open_engine
    from app.database.errors import DatabaseUnavailableError, UnusableJournalError
    from app.observability.hidden import HiddenValues
    from app.observability.logs import configure_logs
    from app.server.process import private_folder

    configure_logs(settings.logs.log_format, settings.logs.log_level, HiddenValues(settings.secret_values()))
    engine = open_engine(settings.journal.journal_url)
    try:
        private_folder(settings.journal.data_dir)
        return engine, _bring_up_to_date(engine, wait, new_hash)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or "it is no database of Spillway's").splitlines()[0]
        fail([f"SPILLWAY_DATABASE_URL: the journal cannot be opened: {reason}."], away)
    except UnusableJournalError as error:
        fail([str(error)], unusable)
    except DatabaseUnavailableError as error:
        # On one line: drivers put advice of their own below it.
        fail([f"SPILLWAY_DATABASE_URL: {' '.join(str(error).split())}."], away)
    except OSError as error:
        fail(
            [f"SPILLWAY_DATA_DIR: {settings.journal.data_dir} cannot be written to: {error.strerror}."],
            ExitCode.UNWRITABLE,
        )


def _bring_up_to_date(engine: Engine, wait: float, new_hash: str | None) -> Migrated:
    """Migrate, which may take long; but a database that says nothing at all is given up when `wait` is over."""
    from sqlalchemy import event

    from app.database.errors import DatabaseUnavailableError
    from app.database.schema import NEW_HASH, bring_up_to_date
    from app.images.hashing import ImageHash

    work = partial(bring_up_to_date, engine, wait, new_hash=ImageHash(new_hash or NEW_HASH))
    opening: Future[Migrated] = Future()
    is_heard = threading.Event()
    event.listen(engine, "connect", lambda *_: is_heard.set())
    opening.add_done_callback(lambda _: is_heard.set())
    # A daemon: drivers wait for seconds whatever they are told, and the end of the command would wait for them.
    threading.Thread(target=_settle, args=(opening, work), daemon=True).start()
    # In short rounds, each of which lasts longer where the machine is so busy that nothing answers in time.
    rounds = round((wait + _ANSWER_SECONDS) / _ROUND_SECONDS)
    # A file has no silence: it is opened, locked (and waited for), or an error.
    if engine.dialect.name != "sqlite" and not any(is_heard.wait(_ROUND_SECONDS) for _ in range(rounds)):
        raise DatabaseUnavailableError("the journal cannot be opened: the database does not answer")
    return opening.result()


def _settle(opening: Future[_T], work: Callable[[], _T]) -> None:
    try:
        opening.set_result(work())
    except Exception as error:  # noqa: BLE001 - told to whoever waits
        opening.set_exception(error)
