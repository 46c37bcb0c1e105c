"""The `spillway` command: serve, simulate, check, and a client of a running gateway."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from rich.console import Console

from app import __version__
from app.catalog.loader import InvalidCatalogError, load_catalog
from app.catalog.published import Sources
from app.catalog.registry import Registry, UnknownModelError
from app.cli.client import collect, edit, generate
from app.cli.journal import migrate, migrate_or_exit
from app.cli.keys import keys
from app.cli.ledger import ledger
from app.cli.listen import PortUnavailableError, run_server, take_port
from app.cli.local import origin_of
from app.cli.models import show_models
from app.cli.options import ApiKey, AsJson, BaseUrl
from app.cli.refresh import run_refresh
from app.cli.requests import requests
from app.cli.settings import EnvFile, fail, settings_or_exit
from app.cli.usage import usage
from app.server.configuration import server_options
from app.server.process import prepare_process, private_folder
from app.settings.groups import ModelSettings
from app.settings.load import Settings, load_settings
from app.simulator.serve import announcement
from app.simulator.serve import serve as serve_simulator

app = typer.Typer(
    name="spillway",
    help="A self-hosted, OpenAI-compatible image gateway in front of Runware.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(generate)
app.command()(edit)
app.command()(collect)
app.command()(migrate)
app.command()(usage)
app.command()(requests)
app.add_typer(ledger)
app.add_typer(keys, name="keys")

_SCHEMAS_URL = "https://schemas.runware.ai"
_DOCS_URL = "https://runware.ai/docs"
_CONTENT_URL = "https://content.runware.ai"


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Overrides SPILLWAY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Overrides SPILLWAY_PORT.", min=1, max=65535)] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the port.", min=1, max=64)] = 1,
    env_file: EnvFile = None,
) -> None:
    """Start the gateway; without a Runware key also the built-in simulator."""
    # What the command line says is meant for this run, and wins.
    overrides = {"SPILLWAY_HOST": host, "SPILLWAY_PORT": None if port is None else str(port)}
    given = {name: value for name, value in overrides.items() if value is not None}
    settings, environment = settings_or_exit(env_file, given)
    _catalog_or_exit(settings.models)
    prepare_process()
    _data_folder_or_exit(settings)
    try:
        # Before the simulator and the workers start: a port that is taken should cost nothing and say so.
        sockets = take_port(settings.server.host, settings.server.port)
    except PortUnavailableError as error:
        fail([str(error)])
    # Once, before any worker: one that cannot start would be started again and again.
    migrate_or_exit(settings)
    with _upstream(settings) as extra:
        # Workers are processes of their own and read their settings again.
        os.environ.update(environment | extra)
        effective = load_settings(os.environ)
        config = uvicorn.Config(
            "app.main:application", factory=True, workers=workers, **server_options(effective.server)
        )
        code = run_server(config, sockets, lambda: _say_where(effective))
    raise typer.Exit(code)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8001,
    latency: Annotated[float, typer.Option(help="Seconds each image takes.", min=0)] = 0.3,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    balance: Annotated[float, typer.Option(help="US dollars that the simulated account starts with.")] = 1000.0,
    exit_with_stdin: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start the Runware simulator alone."""

    def announce(url: str) -> None:
        if exit_with_stdin:
            print(announcement(url), flush=True)  # noqa: T201 - the line the starting process reads
        else:
            Console().print(f"The Runware simulator answers at {url}/v1 with any key. Ctrl+C ends it.")

    try:
        asyncio.run(
            serve_simulator(
                host,
                port,
                latency_seconds=latency,
                balance=Decimal(str(balance)),
                announce=announce,
                ends_with_stdin=exit_with_stdin,
            )
        )
    except KeyboardInterrupt:
        return
    except OSError as error:
        fail([f"Cannot listen on {host}:{port}: {error.strerror}."])


@app.command()
def check(env_file: EnvFile = None) -> None:
    """Validate settings and catalog; say what is wrong and where, with exit code 1."""
    settings, _ = settings_or_exit(env_file, {})
    registry = _catalog_or_exit(settings.models)
    faults = []
    for name, value in (
        ("SPILLWAY_DEFAULT_MODEL", settings.models.default_model),
        ("SPILLWAY_DEFAULT_EDIT_MODEL", settings.models.default_edit_model),
    ):
        try:
            registry.find_model(value)
        except UnknownModelError as error:
            hint = f"; did you mean {error.nearest[0]}?" if error.nearest else ""
            faults.append(f"{name}: there is no model {value!r}{hint}.")
    if faults:
        fail(faults)
    is_given = settings.upstream.runware_api_key is not None or settings.server.passes_keys_on
    upstream = "Runware" if is_given else "the built-in simulator (RUNWARE_API_KEY is not set)"
    Console().print(f"Settings and catalog are valid: {len(registry.models)} models, upstream is {upstream}.")


@app.command()
def models(
    model_id: Annotated[str | None, typer.Argument(help="One model; `refresh`; all without it.")] = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With refresh: only show what would change.")] = False,
    catalog: Annotated[Path | None, typer.Option(help="With refresh: the folder. Default: the gateway's own.")] = None,
    schemas_url: Annotated[str, typer.Option(help="With refresh: the schema service.")] = _SCHEMAS_URL,
    docs_url: Annotated[str, typer.Option(help="With refresh: the documentation.")] = _DOCS_URL,
    content_url: Annotated[str, typer.Option(help="With refresh: lists and prices of models.")] = _CONTENT_URL,
    env_file: EnvFile = None,
) -> None:
    """List the models of a running gateway, show one, or `refresh` the catalog from what Runware publishes."""
    if model_id != "refresh":
        show_models(model_id, base_url, api_key, as_json=as_json)
        return
    folder = catalog or settings_or_exit(env_file, {})[0].models.catalog_dir
    sources = Sources(*(url.rstrip("/") for url in (schemas_url, docs_url, content_url)))
    if not run_refresh(folder, sources, write=not dry_run):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    Console().print(__version__)


def _catalog_or_exit(models: ModelSettings) -> Registry:
    try:
        return load_catalog(models.catalog_dir, models.model_aliases, (models.default_model, models.default_edit_model))
    except InvalidCatalogError as error:
        fail(error.faults)


def _data_folder_or_exit(settings: Settings) -> None:
    try:
        private_folder(settings.journal.data_dir)
        # Written to, not only looked at: a disk may be full or mounted for reading.
        with tempfile.TemporaryFile(dir=settings.journal.data_dir):
            return
    except OSError as error:
        fail([f"SPILLWAY_DATA_DIR: {settings.journal.data_dir} cannot be written to: {error.strerror}."])


@contextmanager
def _upstream(settings: Settings) -> Iterator[dict[str, str]]:
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
                "SPILLWAY_SECRET": os.environ.get("SPILLWAY_SECRET") or secrets.token_urlsafe(32),
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
