"""The `spillway` command in processes of its own, with a folder and variables of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import free_port, wait_until_it_answers

ROOT = Path(__file__).resolve().parents[2]
_LISTENS = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
INTERRUPTIBLE = (sys.executable, "-c", _LISTENS)
"""Before a command that a test interrupts: a shell's background jobs, and all they start, ignore interrupts."""


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """This process's variables without those of Spillway, and those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPILLWAY_", "RUNWARE_"))}
    return kept | {"SPILLWAY_DATA_DIR": str(folder), "COLUMNS": "200"} | variables


def spillway(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """One run of the command in `folder`."""
    command = [sys.executable, "-m", "app", *arguments]
    env = environment(folder, **variables) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def served(folder: Path, *arguments: str, **variables: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """A running gateway, its log in `folder/log`; its origin and process."""
    port = free_port()
    log = (folder / "log").open("w+")
    command = [sys.executable, "-m", "app", "serve", "--port", str(port), *arguments]
    process = subprocess.Popen(command, env=environment(folder, **variables), stderr=log)
    try:
        try:
            wait_until_it_answers(port, running=process)
        except AssertionError as error:
            raise AssertionError((folder / "log").read_text()) from error
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(20)
        log.close()
