"""A gateway of two processes on a small disk of its own, beside a simulator of its own, and what can be taken from them."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import SimulatorProcess
from tests.support.processes import free_port, start_process, wait_until_it_answers

_MOUNT = 'mount -t tmpfs -o size=1g tmpfs "$1" && shift && exec "$@"'
_PREPARE = "import sys; from tests.support.faults.budgets import open_account; open_account(sys.argv[1])"
_HOLD = """
import sqlite3, sys, time
holder = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
holder.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
holder.execute("ROLLBACK")
"""
_READ = """
import json, sqlite3, sys
journal = sqlite3.connect(sys.argv[1], timeout=60)
print(json.dumps([list(row) for row in journal.execute("SELECT id, prompt, status, images FROM requests")]))
"""
_PAGE_BYTES, _REST_BYTES = 4096, 1 << 20


@dataclass(frozen=True)
class House:
    """The processes, seen from outside."""

    simulator: SimulatorProcess
    simulating: subprocess.Popen
    serving: subprocess.Popen
    origin: str
    metrics: str
    mount: Path
    """The disk as the gateway names it; only inside is it there."""

    @property
    def disk(self) -> Path:
        """The disk as it is reached from here."""
        return Path(f"/proc/{self.serving.pid}/root") / self.mount.relative_to("/")

    def servers(self) -> list[psutil.Process]:
        """The processes that serve, the one that lives longest first."""
        return sorted(self._children("spawn_main"), key=lambda process: (process.create_time(), process.pid))

    def image_workers(self) -> list[psutil.Process]:
        """The processes that convert images."""
        return self._children("app.images.workers.inside")

    def rows(self) -> list[tuple[str, str, str, int | None]]:
        """All requests of the journal: id, prompt, status, images."""
        return [tuple(row) for row in json.loads(self._inside(sys.executable, "-c", _READ, str(self.journal)))]

    @property
    def journal(self) -> Path:
        """The file of the journal, inside."""
        return self.mount / "journal.db"

    def _children(self, word: str) -> list[psutil.Process]:
        found = []
        for process in psutil.Process(self.serving.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if any(word in part for part in process.cmdline()):
                    found.append(process)
        return found

    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self.serving.pid), "--user", "--mount", "--preserve-credentials")

    def _inside(self, *command: str) -> str:
        return subprocess.run([*self._enter(), *command], check=True, capture_output=True, text=True).stdout

    @contextlib.contextmanager
    def upstream_away(self) -> Iterator[None]:
        """Runware stands still: connections open, and nothing is said."""
        self.simulating.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.simulating.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def store_away(self) -> Iterator[None]:
        """The folder of images is gone, and cannot be made."""
        media, aside = self.disk / "media", self.disk / "media-aside"
        media.rename(aside)
        media.write_bytes(b"")
        try:
            yield
        finally:
            media.unlink()
            aside.rename(media)

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Another program holds the journal, and does not let go."""
        command = [*self._enter(), sys.executable, "-c", _HOLD, str(self.journal), "3"]
        with subprocess.Popen(command) as holder:
            try:
                yield
            finally:
                holder.wait(30)

    @contextlib.contextmanager
    def disk_full(self) -> Iterator[None]:
        """Not a byte more, neither for images nor for the journal."""
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            free = os.statvfs(self.disk)
            # At once, and then the rest: what is written meanwhile takes its part of it.
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(free.f_bavail * free.f_frsize - _REST_BYTES, 1))
            file.seek(0, os.SEEK_END)
            with contextlib.suppress(OSError):
                while file.write(b"\0" * _PAGE_BYTES) == _PAGE_BYTES:
                    pass
        try:
            yield
        finally:
            filler.unlink()

    @contextlib.contextmanager
    def no_descriptors(self) -> Iterator[None]:
        """No file and no connection more than there are now."""
        before = {}
        for process in self.servers():
            with contextlib.suppress(OSError, psutil.Error):
                before[process.pid] = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
                limit = (process.num_fds(), before[process.pid][1])
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limit)
        try:
            yield
        finally:
            for pid, limits in before.items():
                with contextlib.suppress(OSError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    @contextlib.contextmanager
    def image_workers_killed(self) -> Iterator[None]:
        """All processes that convert images die at once."""
        for process in self.image_workers():
            with contextlib.suppress(psutil.Error):
                process.kill()
        yield

    @contextlib.contextmanager
    def server_killed(self) -> Iterator[None]:
        """The younger of the two processes dies in the middle of its work; the older one is to show what it keeps."""
        servers = self.servers()
        if len(servers) > 1:
            servers[-1].kill()
        yield

    def faults(self) -> dict[str, Callable[[], contextlib.AbstractContextManager[None]]]:
        """All of them by name."""
        return {
            "upstream away": self.upstream_away,
            "store away": self.store_away,
            "database away": self.database_away,
            "image workers killed": self.image_workers_killed,
            "disk full": self.disk_full,
            "no descriptors": self.no_descriptors,
            "server killed": self.server_killed,
        }


@contextlib.contextmanager
def house(folder: Path) -> Iterator[House]:
    """Start it, and end it."""
    command = [sys.executable, "-m", "app", "simulate", "--port", "0", "--latency", "0.2", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as simulating:
        simulator = SimulatorProcess(json.loads(simulating.stdout.readline())["simulator"].removesuffix("/v1"))
        try:
            with _gateway(simulator, simulating, folder) as made:
                yield made
        finally:
            simulating.send_signal(signal.SIGCONT)
            simulator.client.close()
            simulating.stdin.close()


@contextlib.contextmanager
def _gateway(simulator: SimulatorProcess, simulating: subprocess.Popen, folder: Path) -> Iterator[House]:
    mount, port, metrics = folder / "disk", free_port(), free_port()
    mount.mkdir()
    url = f"sqlite:///{mount / 'journal.db'}?timeout=0.5"
    # The key must be there before the first request, and the disk is there only inside.
    start = f'{sys.executable} -c "{_PREPARE}" "{url}" && exec "$@"'
    before = ("unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, "sh", str(mount), "sh", "-c", start, "sh")
    variables = {
        "SPILLWAY_DATABASE_URL": url,
        "SPILLWAY_ALLOW_PRIVATE_INPUT_URLS": "true",
        "SPILLWAY_STORE_PROMPTS": "true",
        "SPILLWAY_METRICS_PORT": str(metrics),
        "SPILLWAY_API_KEYS": "",
        "SPILLWAY_ADMIN_KEYS": "boss=the-key-of-the-boss",
        "SPILLWAY_HOST_ALL_PICTURES": "true",
        "PYTHONPATH": str(Path.cwd()),
    }
    with (folder / "gateway.log").open("wb") as log:
        program = ("-m", "app", "serve", "--workers", "2")
        process = start_process(simulator.url, mount, port, log=log, program=program, before=before, **variables)
        try:
            wait_until_it_answers(port, running=process)
            made = House(
                simulator, simulating, process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics}", mount
            )
            until = time.monotonic() + 60
            while len(made.servers()) < 2 and time.monotonic() < until:
                time.sleep(0.2)
            yield made
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
