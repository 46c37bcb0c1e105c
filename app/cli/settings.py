"""What commands that read the gateway's own settings share: reading them, and how their faults are told.

Imports what reads settings only when it is called: asking for help needs none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from app.cli.exits import CommandError, ExitCode

if TYPE_CHECKING:
    from app.catalog.compiled import CompiledCatalog
    from app.catalog.registry import Registry
    from app.settings.groups import ModelSettings
    from app.settings.load import Settings

_DEFAULT_ENV_FILE = Path(".env")


def settings_or_exit(env_file: Path | None, overrides: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """The settings and the variables they came from; faults are printed and end the command."""
    from app.settings.load import InvalidSettingsError, load_settings, read_environment

    try:
        environment = {**read_environment(env_file_or_default(env_file)), **overrides}
        return load_settings(environment), environment
    except InvalidSettingsError as error:
        fail(error.problems, ExitCode.WRONG_USE)


def env_file_or_default(env_file: Path | None) -> Path | None:
    """The env file that is named, else the one of the folder, where there is one."""
    return env_file or (_DEFAULT_ENV_FILE if _DEFAULT_ENV_FILE.is_file() else None)


def catalog_or_exit(models: ModelSettings, compiled: CompiledCatalog | None = None) -> Registry:
    """The catalog of the settings; its faults are printed and end the command."""
    from app.catalog.loader import InvalidCatalogError, load_catalog

    defaults = (models.default_model, models.default_edit_model)
    try:
        return load_catalog(models.catalog_dir, models.model_aliases, defaults, compiled)
    except InvalidCatalogError as error:
        fail(error.faults, ExitCode.WRONG_USE)


def fail(lines: Sequence[str], code: int = ExitCode.OTHER) -> NoReturn:
    """End the command with these faults."""
    raise CommandError(*lines, code=code)
