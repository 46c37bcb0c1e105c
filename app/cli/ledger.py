"""`spillway ledger verify`: on the database of the settings at hand, or of a running gateway over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.gateway import JSONObject, open_session
from app.cli.groups import CommandGroup
from app.cli.journal import journal_or_exit
from app.cli.local import read_variables
from app.cli.options import ApiKey, AsJson, EnvFile
from app.cli.settings import settings_or_exit
from app.cli.tables import print_json, say

_WHERE = "A running gateway, asked with an admin key. Default: SPILLWAY_BASE_URL, else the database of the settings."
ledger = typer.Typer(
    cls=CommandGroup, help="Verify what was reserved and spent.", no_args_is_help=True, add_completion=False
)


@ledger.callback()
def _group() -> None:
    """Verify what was reserved and spent."""


@ledger.command()
def verify(
    base_url: Annotated[str | None, typer.Option("--base-url", help=_WHERE)] = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Recompute every balance and compare it with the journal; with exit code 1 where anything differs."""
    # As for keys and usage: whose gateway is elsewhere means that one, never a database of its own folder (0132).
    is_elsewhere = bool(base_url or read_variables().get("SPILLWAY_BASE_URL"))
    found = _verify_there(base_url, api_key) if is_elsewhere else _verify_here(env_file)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not found["exact"]:
        raise typer.Exit(1)


def _verify_there(base_url: str | None, api_key: str | None) -> JSONObject:
    with open_session(base_url, api_key) as session:
        return session.get("/ledger/verify")


def _verify_here(env_file: Path | None) -> JSONObject:
    # Imported when it is needed: most commands start without a database.
    from app.database.transaction import READS
    from app.ledger.verification import verify_ledger
    from app.openai_api.ledger import render_verification
    from app.server.process import prepare_process

    settings, _ = settings_or_exit(env_file, {})
    prepare_process()
    engine = journal_or_exit(settings)
    try:
        with engine.execution_options(**{READS: True}).begin() as connection:
            return render_verification(verify_ledger(connection))
    finally:
        engine.dispose()


def _show(found: JSONObject) -> None:
    say(
        f"{found['requests']} requests, {found['entries']} entries and {found['accounts']} accounts were compared: "
        f"{found['reserved']} USD reserved, {found['spent']} USD spent ({found['estimated']} USD of it estimated), "
        f"{found['removed']} USD in daily totals."
    )
    for one in found["differences"]:
        say(f"{one['subject']} {one['id']}: the ledger says {one['ledger']}, the journal {one['journal']}.")
    if found["more_differences"]:
        say(f"… and {found['more_differences']} more.")
    say("Every balance agrees." if found["exact"] else "The balances do not agree.")
