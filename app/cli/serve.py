"""`spillway serve`: the gateway with its settings checked, its port taken and its journal ready before it starts."""

from __future__ import annotations

import gc
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from app import __version__
from app.cli.built_in import BuiltInSimulator, built_in_simulator
from app.cli.exits import CANNOT_START
from app.cli.local import origin_of
from app.cli.options import EnvFile
from app.cli.program import app  # noqa: F401 - where a `spillway` that was installed before looks for it
from app.cli.settings import catalog_or_exit, fail, settings_or_exit

if TYPE_CHECKING:
    from app.resources import Parts
    from app.settings.load import Settings

_DATABASE_SECONDS = 0.4
"""A database that is away ends the start at once: whoever starts gateways tries again, and says so meanwhile (0170)."""
_STORE_SECONDS = 1.0
"""One that says nothing in this time counts as away, which keeps nobody from starting."""


def serve(
    host: Annotated[str | None, typer.Option(help="Overrides SPILLWAY_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Overrides SPILLWAY_PORT.", min=1, max=65535)] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the port.", min=1, max=64)] = 1,
    env_file: EnvFile = None,
) -> None:
    """Start the gateway; without a Runware key also the simulator."""
    # What the command line says is meant for this run, and wins.
    overrides = {"SPILLWAY_HOST": host, "SPILLWAY_PORT": None if port is None else str(port)}
    given = {name: value for name, value in overrides.items() if value is not None}
    raise typer.Exit(run(given, workers, env_file))


def run(given: Mapping[str, str], workers: int, env_file: Path | None = None, parts: Parts | None = None) -> int:
    """As `serve`, with the variables of `given` before all others; its exit code. Tests replace parts."""
    # Until it serves (`main`): nothing that is loaded is garbage (0170).
    gc.disable()
    # Loaded only here: what serves is much, and asking for help needs none of it.
    import uvicorn

    from app.catalog.compiled import COMPILED_NAME, CompiledCatalog
    from app.cli.journal import migrate_or_exit
    from app.cli.listen import run_server
    from app.server.application import PackedApplication
    from app.server.configuration import server_options
    from app.server.process import prepare_process
    from app.settings.load import load_settings

    settings, environment = settings_or_exit(env_file, given)
    prepare_process()
    _data_folder_or_exit(settings)
    # Before anything is started: a port that is taken should cost nothing and say so.
    sockets = _port_or_exit(settings)
    metrics_sockets = _metrics_port_or_exit(settings)
    with _simulator(settings) as simulator, _counting(settings, workers) as folder:
        # While the simulator starts beside it. Once for all workers, as the tables are: one that cannot start would be
        # started again and again.
        registry = catalog_or_exit(settings.models, CompiledCatalog(settings.journal.data_dir / COMPILED_NAME))
        # Its keys are no settings: the library reads them from the variables of the process.
        os.environ.update(environment)
        _store_or_exit(settings)
        migrate_or_exit(settings, _DATABASE_SECONDS, CANNOT_START)
        from app.cli.processes import Application
        from app.server.process import bytes_in_flight

        os.environ.update(environment | (simulator.variables(environment) if simulator else {}))
        if folder is not None:
            os.environ["SPILLWAY_METRICS_DIR"] = str(folder)
        if settings.load.max_bytes_in_flight is None:
            # Several processes share the machine's memory; each takes its part of it.
            os.environ["SPILLWAY_MAX_BYTES_IN_FLIGHT"] = str(bytes_in_flight(workers))
        effective = load_settings(os.environ)
        packed = PackedApplication.of(Application(effective, registry, parts))
        config = uvicorn.Config(packed, factory=True, workers=workers, **server_options(effective.server))
        with _showing(metrics_sockets, effective):
            return run_server(config, sockets, lambda: _say_where(effective))


def _port_or_exit(settings: Settings) -> list[socket.socket]:
    from app.cli.listen import PortUnavailableError, take_port

    try:
        return take_port(settings.server.host, settings.server.port)
    except PortUnavailableError as error:
        fail([str(error)], CANNOT_START)


def _metrics_port_or_exit(settings: Settings) -> list[socket.socket]:
    from app.cli.listen import PortUnavailableError, take_port

    metrics = settings.metrics
    if metrics.port is None or not metrics.enabled:
        return []
    try:
        return take_port(settings.server.host, metrics.port, "SPILLWAY_METRICS_PORT")
    except PortUnavailableError as error:
        fail([str(error)], CANNOT_START)


def _counting(settings: Settings, workers: int) -> AbstractContextManager[Path | None]:
    """Where several processes count; one alone, that shows its counts itself, needs no place."""
    metrics = settings.metrics
    if not metrics.enabled or (workers == 1 and metrics.port is None):
        return nullcontext()
    from app.cli.metrics_port import metrics_folder

    return metrics_folder(settings.journal.data_dir)


def _showing(sockets: list[socket.socket], settings: Settings) -> AbstractContextManager[None]:
    if not sockets or settings.metrics.folder is None:
        return nullcontext()
    from app.access.metrics_key import MetricsKey
    from app.cli.metrics_port import serving_metrics

    return serving_metrics(sockets, settings.metrics.folder, MetricsKey(settings.metrics.key))


def _data_folder_or_exit(settings: Settings) -> None:
    from app.server.process import private_folder

    try:
        private_folder(settings.journal.data_dir)
        # Written to, not only looked at: a disk may be full or mounted for reading.
        with tempfile.TemporaryFile(dir=settings.journal.data_dir):
            return
    except OSError as error:
        fail([f"SPILLWAY_DATA_DIR: {settings.journal.data_dir} cannot be written to: {error.strerror}."], CANNOT_START)


def _store_or_exit(settings: Settings) -> None:
    import asyncio

    from app.media.backend import open_store
    from app.media.errors import InvalidStorageError, MediaUnavailableError
    from app.observability.metrics import Metrics

    place = settings.storage.storage_url
    try:
        store = open_store(place, settings.journal.data_dir, Metrics.off(), _STORE_SECONDS)
    except InvalidStorageError as error:
        fail([str(error)], CANNOT_START)
    try:
        asyncio.run(store.check(f"media/check-{secrets.token_hex(8)}"))
    except InvalidStorageError as error:
        _end_at_once(f"SPILLWAY_STORAGE_URL: {place or settings.journal.data_dir} {error}.")
    except MediaUnavailableError:
        # It may be back in a minute, and until then images are given in the answers (0104).
        Console(stderr=True, soft_wrap=True).print(f"{place or 'The store'} does not answer now.", style="yellow")
    if settings.storage.media_links == "presigned":
        try:
            asyncio.run(store.sign("media/check", 60))
        except MediaUnavailableError:
            _end_at_once(f"SPILLWAY_MEDIA_LINKS is presigned, and the keys that are given for {place} cannot sign.")


def _end_at_once(message: str) -> NoReturn:
    """As `fail`, without taking down the interpreter."""
    Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)
    sys.stderr.flush()
    # Threads of the store's library may still hand over what they found; it would abort the process to end under them.
    os._exit(CANNOT_START)


@contextmanager
def _simulator(settings: Settings) -> Iterator[BuiltInSimulator | None]:
    """Without a Runware key: a simulator that is being started, and ends with this."""
    is_given = settings.upstream.runware_api_key is not None or settings.server.passes_keys_on
    if is_given or settings.upstream.upstream_name == "simulator":
        yield None
        return
    with built_in_simulator() as simulator:
        yield simulator


def _say_where(settings: Settings) -> None:
    console = Console(stderr=True, soft_wrap=True)
    console.print(
        f"Spillway {__version__} listens on {origin_of(settings.server.host, settings.server.port)}", highlight=False
    )
    if settings.upstream.upstream_name == "simulator":
        note = "There is no RUNWARE_API_KEY: the built-in simulator makes the images, and nothing is billed."
        console.print(note, style="yellow", highlight=False)
