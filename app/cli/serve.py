"""`spillway serve`: the gateway with its settings checked, its port taken and its journal ready before it starts."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app import __version__
from app.cli.exits import ExitCode
from app.cli.local import origin_of
from app.cli.options import EnvFile
from app.cli.program import app  # noqa: F401 - where a `spillway` that was installed before looks for it
from app.cli.settings import catalog_or_exit, fail, settings_or_exit

if TYPE_CHECKING:
    from app.settings.load import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Overrides SPILLWAY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Overrides SPILLWAY_PORT.", min=1, max=65535)] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the port.", min=1, max=64)] = 1,
    env_file: EnvFile = None,
) -> None:
    """Start the gateway; without a Runware key also the simulator."""
    # Loaded only here: what serves is much, and asking for help needs none of it.
    import uvicorn

    from app.cli.journal import migrate_or_exit
    from app.cli.listen import PortUnavailableError, run_server, take_port
    from app.server.configuration import server_options
    from app.server.process import prepare_process
    from app.settings.load import load_settings

    # What the command line says is meant for this run, and wins.
    overrides = {"SPILLWAY_HOST": host, "SPILLWAY_PORT": None if port is None else str(port)}
    given = {name: value for name, value in overrides.items() if value is not None}
    settings, environment = settings_or_exit(env_file, given)
    catalog_or_exit(settings.models)
    prepare_process()
    _data_folder_or_exit(settings)
    try:
        # Before the simulator and the workers start: a port that is taken should cost nothing and say so.
        sockets = take_port(settings.server.host, settings.server.port)
    except PortUnavailableError as error:
        fail([str(error)])
    # Once, before any worker: one that cannot start would be started again and again.
    migrate_or_exit(settings)
    with _upstream(settings, environment) as extra:
        # Workers are processes of their own and read their settings again.
        os.environ.update(environment | extra)
        effective = load_settings(os.environ)
        config = uvicorn.Config(
            "app.main:application", factory=True, workers=workers, **server_options(effective.server)
        )
        code = run_server(config, sockets, lambda: _say_where(effective))
    raise typer.Exit(code)


def _data_folder_or_exit(settings: Settings) -> None:
    from app.server.process import private_folder

    try:
        private_folder(settings.journal.data_dir)
        # Written to, not only looked at: a disk may be full or mounted for reading.
        with tempfile.TemporaryFile(dir=settings.journal.data_dir):
            return
    except OSError as error:
        fail(
            [f"SPILLWAY_DATA_DIR: {settings.journal.data_dir} cannot be written to: {error.strerror}."],
            ExitCode.UNWRITABLE,
        )


@contextmanager
def _upstream(settings: Settings, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables that name the upstream; without a Runware key a simulator is started and ended."""
    is_given = settings.upstream.runware_api_key is not None or settings.server.passes_keys_on
    if is_given or settings.upstream.upstream_name == "simulator":
        yield {}
        return
    # Port 0: it takes a free one and says which.
    command = [sys.executable, "-m", "app", "simulate", "--port", "0", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                fail(["The built-in simulator did not start."])
            yield {
                "RUNWARE_BASE_URL": str(json.loads(line)["simulator"]),
                "SPILLWAY_UPSTREAM_NAME": "simulator",
                "SPILLWAY_HOST_ALL_PICTURES": "true",
                # One secret for all workers, which check each other's links.
                "SPILLWAY_SECRET": environment.get("SPILLWAY_SECRET") or secrets.token_urlsafe(32),
            }
        finally:
            # It ends when its input does, however this process ends.
            if process.stdin:
                process.stdin.close()


def _say_where(settings: Settings) -> None:
    console = Console(stderr=True, soft_wrap=True)
    console.print(
        f"Spillway {__version__} listens on {origin_of(settings.server.host, settings.server.port)}", highlight=False
    )
    if settings.upstream.upstream_name == "simulator":
        note = "There is no RUNWARE_API_KEY: the built-in simulator makes the images, and nothing is billed."
        console.print(note, style="yellow", highlight=False)
