"""What may run out or stand still under a gateway, each for a while: disk, folder, journal, descriptors, clock, time."""

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.support import loopback
from tests.support.processes import ODD, start_process, wait_until_it_answers

LEASE = 2.0
_MOUNT = 'mount -t tmpfs -o size=12m tmpfs "$1" && shift && exec "$@"'


_READ = """
import json, sqlite3, sys
journal = sqlite3.connect(sys.argv[1], timeout=20)
journal.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in journal.execute("SELECT id, prompt, status, cost FROM requests")]))
"""


@dataclass(frozen=True)
class Subject:
    """A gateway whose data folder is a small disk of its own, seen from outside, with its journal beside it."""

    pid: int
    client: httpx2.Client
    data: Path
    mount: Path
    journal: Path
    clock: Path

    def inside(self, *command: str) -> str:
        """What a command says that sees the small disk."""
        enter = ("nsenter", "--target", str(self.pid), "--user", "--mount", "--preserve-credentials")
        return subprocess.run([*enter, *command], check=True, capture_output=True, text=True).stdout

    def rows(self) -> list[dict[str, str | int | None]]:
        """All requests of its journal."""
        return json.loads(self.inside(sys.executable, "-c", _READ, str(self.journal)))


@contextlib.contextmanager
def subject(simulator_url: str, folder: Path, port: int, *, journal_on_disk: bool) -> Iterator[Subject]:
    """Start it; `journal_on_disk` puts the journal on the small disk too."""
    mount, clock = folder / "disk", folder / "clock"
    mount.mkdir()
    clock.write_text("0")
    journal = (mount if journal_on_disk else folder) / "journal.db"
    before = ("unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", str(mount))
    variables = {
        "TEST_LEASE_SECONDS": str(LEASE),
        "TEST_WALL_FILE": str(clock),
        "SPILLWAY_DATABASE_URL": f"sqlite:///{journal}?timeout=0.5",
        "SPILLWAY_ALLOW_PRIVATE_INPUT_URLS": "true",
        "SPILLWAY_STORE_PROMPTS": "true",
        "SPILLWAY_MEDIA_TTL": "600",
    }
    with start_process(simulator_url, mount, port, program=ODD, before=before, **variables) as process:
        try:
            wait_until_it_answers(port)
            headers = {"Authorization": "Bearer test-key"}
            limits = httpx2.Limits(max_keepalive_connections=0)
            with loopback.client(
                base_url=f"http://127.0.0.1:{port}/v1", headers=headers, timeout=15, limits=limits
            ) as own:
                data = Path(f"/proc/{process.pid}/root") / mount.relative_to("/")
                yield Subject(process.pid, own, data, mount, journal, clock)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@contextlib.contextmanager
def full_disk(one: Subject) -> Iterator[None]:
    """Not a byte more."""
    filler = one.data / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(one: Subject) -> Iterator[None]:
    """The folder may only be read."""

    def remount(mode: str) -> None:
        one.inside("mount", "-o", f"remount,{mode}", str(one.mount))

    for _ in range(50):  # while a file is being written there it is busy
        with contextlib.suppress(subprocess.CalledProcessError):
            remount("ro")
            break
        time.sleep(0.1)
    try:
        yield
    finally:
        remount("rw")


@contextlib.contextmanager
def locked_journal(one: Subject) -> Iterator[None]:
    """Another program writes to it, and does not end."""
    with contextlib.closing(sqlite3.connect(one.journal, isolation_level=None, timeout=20)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


@contextlib.contextmanager
def no_descriptors(one: Subject) -> Iterator[None]:
    """No file and no connection more than there are now."""
    before = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
    open_now = len(list(Path(f"/proc/{one.pid}/fd").iterdir()))
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (open_now, before[1]))
    try:
        yield
    finally:
        resource.prlimit(one.pid, resource.RLIMIT_NOFILE, before)


def clock_set(seconds: int) -> Callable[[Subject], contextlib.AbstractContextManager[None]]:
    """The wall clock is set, and set right again."""

    @contextlib.contextmanager
    def setting(one: Subject) -> Iterator[None]:
        one.clock.write_text(str(seconds))
        yield
        one.clock.write_text("0")

    return setting


@contextlib.contextmanager
def stopped(one: Subject) -> Iterator[None]:
    """The process is paused for longer than its leases."""
    os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
        time.sleep(2 * LEASE)
    finally:
        os.kill(one.pid, signal.SIGCONT)
