"""The programs that are measured and the upstream behind them, each a fresh process that ends with its block."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.databases import fresh_database
from benchmarks.scenarios import Scenario

_READY_SECONDS = 90.0
_END_SECONDS = 10.0
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": "268435456",
    "MALLOC_MMAP_THRESHOLD_": "134217728",
    "MALLOC_ARENA_MAX": "2",
}
"""So that the floor and other programs keep free memory too, as a gateway does by itself (0212)."""


class NotStartedError(Exception):
    """A program does not take connections; the message says what it wrote."""


@dataclass(frozen=True)
class Running:
    """A program that answers."""

    process: psutil.Process
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)


def surroundings() -> dict[str, str]:
    """The variables of this process, but for one that has each start compile all modules anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def upstream(scenario: Scenario) -> Iterator[int]:
    """The stub, by its port."""
    command = [sys.executable, "-m", "benchmarks.upstream", str(scenario.delay), str(scenario.answer_base64)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str],
    headers: Mapping[str, str],
    checkout: Path | None = None,
) -> Iterator[Running]:
    """A program that has been started and takes connections; its output is shown where it does not."""
    log = folder / "output"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env={**surroundings(), **ALLOCATOR, **environment}, stdout=output, stderr=output, cwd=checkout
        )
    try:
        _wait_for(port, process, log)
        yield Running(psutil.Process(process.pid), port, headers)
    finally:
        _end(process)


@contextmanager
def floor(upstream_port: int, folder: Path) -> Iterator[Running]:
    """The bare proxy."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.floor", str(port), f"http://127.0.0.1:{upstream_port}/v1"]
    with running(command, port, folder, {}, {}) as program:
        yield program


@dataclass(frozen=True)
class Gateway:
    """Spillway, as `spillway serve` starts it: keys, access log and all checks on.

    Of another checkout, with an environment of its own in `.venv`, where one is named; on PostgreSQL, with a database
    of its own, where the address of a server is.
    """

    workers: int = 1
    server: str | None = None
    checkout: Path | None = None

    @contextmanager
    def __call__(self, upstream_port: int, folder: Path) -> Iterator[Running]:
        """Start it."""
        port = free_port()
        environment = {
            "RUNWARE_API_KEY": "benchmark",
            "RUNWARE_BASE_URL": f"http://127.0.0.1:{upstream_port}/v1",
            "SPILLWAY_DATA_DIR": str(folder),
            "SPILLWAY_API_KEYS": "bench",
        }
        python = sys.executable if self.checkout is None else str(self.checkout / ".venv/bin/python")
        command = [python, "-m", "app", "serve", "--port", str(port), "--workers", str(self.workers)]
        headers = {"authorization": "Bearer bench"}
        with ExitStack() as stack:
            if self.server is not None:
                environment["SPILLWAY_DATABASE_URL"] = stack.enter_context(fresh_database(self.server))
            program = stack.enter_context(running(command, port, folder, environment, headers, self.checkout))
            _wait_until_listening(folder / "output")
            yield program


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise NotStartedError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")


def _wait_until_listening(log: Path) -> None:
    """The port takes connections before the application answers, which is said."""
    deadline = time.monotonic() + _READY_SECONDS
    while "listens on" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, with what it started, and make it where it does not."""
    started = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(started, timeout=1)[1]:
        child.kill()
