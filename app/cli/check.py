"""`spillway check`: whether a gateway with these settings would start, and with --online whether it could work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import ExitCode
from app.cli.options import EnvFile
from app.cli.settings import catalog_or_exit, fail, settings_or_exit

if TYPE_CHECKING:
    from app.catalog.registry import Registry
    from app.settings.groups import ModelSettings


def check(
    env_file: EnvFile = None,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask Runware, and try the database, the folder and the port.")
    ] = False,
) -> None:
    """Say what is wrong with settings and catalog, and where."""
    settings, _ = settings_or_exit(env_file, {})
    registry = catalog_or_exit(settings.models)
    faults = _unknown_defaults(settings.models, registry)
    if faults:
        fail(faults, ExitCode.WRONG_USE)
    is_given = settings.upstream.runware_api_key is not None or settings.server.passes_keys_on
    upstream = "Runware" if is_given else "the built-in simulator (RUNWARE_API_KEY is not set)"
    print(f"Settings and catalog are valid: {len(registry.models)} models.")  # noqa: T201 - output
    print(f"The upstream is {upstream}.")  # noqa: T201 - output
    if online:
        from app.cli.online import try_all

        code = try_all(settings)
        if code:
            raise typer.Exit(code)


def _unknown_defaults(models: ModelSettings, registry: Registry) -> list[str]:
    from app.catalog.registry import UnknownModelError

    faults = []
    for name, value in (
        ("SPILLWAY_DEFAULT_MODEL", models.default_model),
        ("SPILLWAY_DEFAULT_EDIT_MODEL", models.default_edit_model),
    ):
        try:
            registry.find_model(value)
        except UnknownModelError as error:
            hint = f"; did you mean {error.nearest[0]}?" if error.nearest else ""
            faults.append(f"{name}: there is no model {value!r}{hint}.")
    return faults
