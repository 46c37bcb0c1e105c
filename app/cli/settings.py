"""What commands that read the gateway's own settings share: the env file, and how faults are told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from app.settings.load import InvalidSettingsError, Settings, load_settings, read_environment

_DEFAULT_ENV_FILE = Path(".env")
EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="A file with settings. Default: .env, if it is there.")
]


def settings_or_exit(env_file: Path | None, overrides: dict[str, str]) -> tuple[Settings, dict[str, str]]:
    """The settings and the variables they came from; faults are printed and end the command."""
    path = env_file or (_DEFAULT_ENV_FILE if _DEFAULT_ENV_FILE.is_file() else None)
    try:
        environment = {**read_environment(path), **overrides}
        return load_settings(environment), environment
    except InvalidSettingsError as error:
        fail(error.problems)


def fail(lines: Sequence[str], code: int = 1) -> NoReturn:
    """Print faults and end the command."""
    for line in lines:
        # As they are: a bracket in a path is no markup, and a wrapped path cannot be copied.
        Console(stderr=True, soft_wrap=True).print(line, markup=False, highlight=False)
    raise typer.Exit(code)
