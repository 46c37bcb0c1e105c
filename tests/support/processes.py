"""Gateways and simulators as processes of their own, which tests may end as they like."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO

import psutil

_START_SECONDS = 180
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
_PORTS = range(10_000 + _WORKER * 1_375, 10_000 + (_WORKER + 1) * 1_375)
"""Each process of tests has its own: what another one starts meanwhile would be taken for the own gateway."""


def free_port() -> int:
    """A port nobody listens on, below those that the system gives to connections of its own."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def unique() -> str:
    """A prompt nobody else has, so that no other test's request is joined."""
    return f"a harbor {uuid.uuid4().hex}"


SERVE = ("-m", "app", "serve")
ODD = ("-m", "tests.support.odd_process")
"""With short leases and a wall clock of its own."""


def start_process(
    simulator_url: str,
    folder: Path,
    port: int,
    *,
    log: IO[bytes] | int = subprocess.DEVNULL,
    program: Sequence[str] = SERVE,
    before: Sequence[str] = (),
    **variables: str,
) -> subprocess.Popen:
    """A gateway that is about to listen; what it says goes to `log`. `before` is a command that runs it."""
    environment = os.environ | {
        "RUNWARE_API_KEY": "a-runware-key", "RUNWARE_BASE_URL": f"{simulator_url}/v1", "SPILLWAY_DATA_DIR": str(folder), "SPILLWAY_API_KEYS": "test-key",
        "SPILLWAY_PORT": str(port), "SPILLWAY_LOG_LEVEL": "error",
    } | variables  # fmt: skip
    return subprocess.Popen([*before, sys.executable, *program], env=environment, stderr=log)


def wait_until_it_answers(port: int, path: str = "/healthz", running: subprocess.Popen | None = None) -> None:
    """Wait for a server on this port, as long as its process runs."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert running is None or running.poll() is None, f"what should answer on port {port} has ended"
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        with contextlib.closing(connection), contextlib.suppress(OSError, HTTPException):
            connection.request("GET", path)
            connection.getresponse().read()
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


@contextmanager
def process(
    simulator, folder: Path, port: int, program: Sequence[str] = SERVE, **variables: str
) -> Iterator[subprocess.Popen]:
    """A gateway process of its own."""
    with start_process(simulator.url, folder, port, program=program, **variables) as running:
        try:
            wait_until_it_answers(port, running=running)
            yield running
        finally:
            running.kill()
            running.wait()


@contextmanager
def gateways(simulator, folder: Path, count: int) -> Iterator[list[tuple[str, psutil.Process]]]:
    """So many gateways that have nothing in common but the simulator: their origins and processes."""
    with ExitStack() as stack:
        started = []
        for index in range(count):
            port = free_port()
            running = stack.enter_context(process(simulator, folder / str(index), port))
            started.append((f"http://127.0.0.1:{port}", psutil.Process(running.pid)))
        yield started
