"""What `spillway check --online` tries: Runware's key and balance, the database, the folder and the port.

Nothing is changed: no table is made, no port is kept, and Runware is asked a question that costs nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.exits import ExitCode
from app.cli.health import is_healthy
from app.cli.local import reachable
from app.cli.tables import print_facts

if TYPE_CHECKING:
    from pydantic import SecretStr

    from app.runware.account import Balance
    from app.runware.failures import ProviderFailure
    from app.settings.load import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """What a trial found; `code` is 0 where all is well."""

    subject: str
    said: str
    code: int = ExitCode.DONE


def try_all(settings: Settings) -> int:
    """Try each, print what was found, and give the exit code of the first that failed."""
    found = [*_trials(settings)]
    print_facts((one.subject, f"{'FAILED: ' if one.code else ''}{one.said}") for one in found)
    return next((one.code for one in found if one.code), ExitCode.DONE)


def _trials(settings: Settings) -> Iterator[Finding]:
    yield _try_runware(settings)
    yield _try_folder(settings)
    yield _try_database(settings)
    yield _try_port(settings)


def _try_runware(settings: Settings) -> Finding:
    from app.runware.failures import Kind, ProviderFailure

    if settings.server.passes_keys_on:
        return Finding("Runware", "callers bring their own keys: there is none to try")
    key = settings.upstream.runware_api_key
    if key is None:
        return Finding("Runware", "no key is set: the built-in simulator answers")
    found = asyncio.run(_ask_runware(settings, key))
    if not isinstance(found, ProviderFailure):
        return Finding("Runware", f"takes the key; the balance is ${found.dollars:f}")
    where = settings.upstream.runware_base_url
    if found.kind is Kind.AUTHENTICATION:
        return Finding("Runware", "refuses the key: set a valid RUNWARE_API_KEY", ExitCode.KEY_REFUSED)
    return Finding("Runware", f"does not answer at {where} ({found.code})", ExitCode.UNREACHABLE)


async def _ask_runware(settings: Settings, key: SecretStr) -> Balance | ProviderFailure:
    from app.egress.names import look_up
    from app.egress.ways_out import open_ways
    from app.resources import connect_runware
    from app.runware.account import RunwareAccount
    from app.runware.keys import RunwareKey

    ways = open_ways(settings.upstream, settings.images, settings.webhooks, look_up)
    transport = connect_runware(settings.upstream, ways)
    try:
        return await RunwareAccount(transport, RunwareKey(key)).find_balance()
    finally:
        await transport.close()
        await ways.close()


def _try_folder(settings: Settings) -> Finding:
    folder = settings.journal.data_dir
    nearest = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            made = "" if nearest == folder else ", and will be made"
            return Finding("folder", f"{folder} can be written to{made}")
    except OSError as error:
        said = f"SPILLWAY_DATA_DIR: {folder} cannot be written to: {error.strerror}"
        return Finding("folder", said, ExitCode.UNWRITABLE)


def _try_database(settings: Settings) -> Finding:
    from sqlalchemy import make_url, text
    from sqlalchemy.exc import SQLAlchemyError

    from app.database.engine import open_engine

    url = make_url(settings.journal.journal_url)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        return Finding("database", "is not there yet, and will be made")
    engine = open_engine(settings.journal.journal_url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            return Finding("database", f"answers ({url.get_backend_name()})")
    except SQLAlchemyError:
        return Finding("database", "SPILLWAY_DATABASE_URL: it does not answer, or refuses the user", ExitCode.OTHER)
    finally:
        engine.dispose()


def _try_port(settings: Settings) -> Finding:
    from app.cli.listen import PortUnavailableError, take_port

    host, port = settings.server.host, settings.server.port
    if is_healthy(reachable(host), port):
        return Finding("port", f"a gateway answers on port {port}")
    try:
        for one in take_port(host, port):
            one.close()
    except PortUnavailableError as error:
        return Finding("port", str(error), ExitCode.OTHER)
    return Finding("port", f"{port} on {host} is free")
