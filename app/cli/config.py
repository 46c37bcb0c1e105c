"""`spillway config`: the settings in effect, and where each of them came from. Secrets are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import ExitCode
from app.cli.options import AsJson, EnvFile
from app.cli.settings import env_file_or_default, fail
from app.cli.tables import Column, print_json, print_rows, say

if TYPE_CHECKING:
    from app.settings.load import Settings
    from app.settings.sources import Given

_HIDDEN = "(set, not shown)"
_DEFAULT = "default"


def config(
    env_file: EnvFile = None,
    given: Annotated[bool, typer.Option("--given", help="Only those that are given somewhere.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings in effect and where each came from."""
    from app.settings.load import InvalidSettingsError, find_given, load_settings

    try:
        found = find_given(env_file_or_default(env_file))
        settings = load_settings({name: one.value for name, one in found.items()})
    except InvalidSettingsError as error:
        fail(error.problems, ExitCode.WRONG_USE)
    rows = [(name, value, origin) for name, value, origin in _rows(settings, found) if not given or origin != _DEFAULT]
    if as_json:
        shown = [{"name": name, "value": value, "from": origin} for name, value, origin in rows]
        print_json({"object": "list", "data": shown})
        return
    is_given = settings.upstream.runware_api_key is not None or settings.server.passes_keys_on
    if not is_given and settings.upstream.upstream_name != "simulator":
        # Beside the table, which says what is set; what the server sets for its simulator is known when it starts.
        say("Without RUNWARE_API_KEY, `spillway serve` takes the built-in simulator for its upstream.", errors=True)
    columns = [Column("setting"), Column("value", folds=True), Column("from", folds=True)]
    print_rows(columns, rows)


def _rows(settings: Settings, found: dict[str, Given]) -> list[tuple[str, str, str]]:
    """Name, value and origin of every setting, then of what the command line alone reads."""
    from app.settings.load import CLIENT_VARIABLES, is_secret

    rows = []
    for _, group in settings:
        for name, field in type(group).model_fields.items():
            value = _text(getattr(group, name))
            alias = str(field.alias)
            given = found.get(alias)
            is_given = given is not None and bool(given.value.strip())
            shown = _HIDDEN if value and is_secret(field) else value
            rows.append((alias, shown, given.origin if given is not None and is_given else _DEFAULT))
    client = sorted(CLIENT_VARIABLES & {*found})
    hidden = {alias: _HIDDEN if alias.endswith("_KEY") else found[alias].value for alias in client}
    return [*rows, *((alias, hidden[alias], found[alias].origin) for alias in client)]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(one) for one in value)
    if isinstance(value, dict):
        return ",".join(f"{name}={one}" for name, one in value.items())
    return value.as_posix() if isinstance(value, Path) else str(value)
