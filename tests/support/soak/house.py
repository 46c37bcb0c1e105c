"""A gateway of two processes on a small disk of its own, beside a simulator of its own, and what can be taken from them."""

import contextlib
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import SimulatorProcess
from tests.support.children import IMAGE_WORKER, SERVER, children_with
from tests.support.processes import free_port, start_process, wait_until_it_answers
from tests.support.soak.program import COLLECT, WORKERS
from tests.support.waiting import seen

_MOUNT = 'mount -t tmpfs -o size=1g tmpfs "$1" && shift && exec "$@"'
_IS_ROOT = os.geteuid() == 0
"""Who is not becomes it inside, to mount a disk, and sees what others own no more."""
_PROGRAM = ("-m", "tests.support.soak.program")
_ALLOCATOR = {"MALLOC_ARENA_MAX": "2"}
"""As the image and the service of `deploy` set it."""
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
    reports: Path

    @property
    def disk(self) -> Path:
        """The disk as it is reached from here."""
        return Path(f"/proc/{self.serving.pid}/root") / self.mount.relative_to("/")

    def servers(self) -> list[psutil.Process]:
        """The processes that serve, the one that lives longest first."""
        return sorted(children_with(SERVER, self.serving.pid), key=lambda process: (process.create_time(), process.pid))

    def image_workers(self) -> list[psutil.Process]:
        """The processes that convert images."""
        return children_with(IMAGE_WORKER, self.serving.pid)

    def enter(self) -> tuple[str, ...]:
        """What stands before a command that is to see the disk as the gateway does."""
        users = () if _IS_ROOT else ("--user", "--preserve-credentials")
        return ("nsenter", "--target", str(self.serving.pid), "--mount", *users)

    def objects(self, pid: int) -> int:
        """How many objects there are in a process that serves, without those that only wait for the collector."""
        report, collect = self.reports / str(pid), self.reports / COLLECT
        collect.touch()
        try:
            looked = report.stat().st_mtime_ns
            # The second one from now was begun after the collector was asked for.
            for _ in range(2):
                looked = seen(lambda: report.stat().st_mtime_ns, lambda now, before=looked: now > before)
            return int(report.read_text())
        finally:
            collect.unlink()

    @contextlib.contextmanager
    def upstream_away(self) -> Iterator[None]:
        """Runware stands still: connections open, and nothing is said."""
        self.simulating.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.simulating.send_signal(signal.SIGCONT)

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
        """What can be taken from it, wherever its journal and its images are."""
        return {
            "upstream away": self.upstream_away,
            "image workers killed": self.image_workers_killed,
            "disk full": self.disk_full,
            "no descriptors": self.no_descriptors,
            "server killed": self.server_killed,
        }


@contextlib.contextmanager
def house(folder: Path, prepare: Sequence[str], variables: Mapping[str, str]) -> Iterator[House]:
    """Start it, and end it. `prepare` is a command that runs before it, where its disk is there; `variables` say where
    its journal and its images are, `{disk}` standing for the disk."""
    command = [sys.executable, "-m", "app", "simulate", "--port", "0", "--latency", "0.2", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as simulating:
        simulator = SimulatorProcess(json.loads(simulating.stdout.readline())["simulator"].removesuffix("/v1"))
        try:
            with _gateway(simulator, simulating, folder, prepare, variables) as made:
                yield made
        finally:
            simulating.send_signal(signal.SIGCONT)
            simulator.client.close()
            simulating.stdin.close()


@contextlib.contextmanager
def _gateway(
    simulator: SimulatorProcess,
    simulating: subprocess.Popen,
    folder: Path,
    prepare: Sequence[str],
    own: Mapping[str, str],
) -> Iterator[House]:
    mount, reports, port, metrics = folder / "disk", folder / "objects", free_port(), free_port()
    mount.mkdir()
    reports.mkdir()
    # What prepares it must run before the first request, and the disk is there only inside.
    start = f'{shlex.join(prepare)} && exec "$@"'
    users = () if _IS_ROOT else ("--map-root-user",)
    before = ("unshare", *users, "--mount", "sh", "-c", _MOUNT, "sh", str(mount), "sh", "-c", start, "sh")
    variables = {
        "SPILLWAY_ALLOW_PRIVATE_INPUT_URLS": "true",
        "SPILLWAY_STORE_PROMPTS": "true",
        "SPILLWAY_METRICS_PORT": str(metrics),
        "SPILLWAY_API_KEYS": "",
        "SPILLWAY_ADMIN_KEYS": "boss=the-key-of-the-boss",
        "SPILLWAY_HOST_ALL_PICTURES": "true",
        "SOAK_OBJECTS": str(reports),
        **_ALLOCATOR,
        "PYTHONPATH": str(Path.cwd()),
    } | dict(own)
    with (folder / "gateway.log").open("wb") as log:
        process = start_process(simulator.url, mount, port, log=log, program=_PROGRAM, before=before, **variables)
        try:
            wait_until_it_answers(port, running=process)
            origins = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics}"
            made = House(simulator, simulating, process, *origins, mount, reports)
            assert len(seen(made.servers, lambda found: len(found) == WORKERS, 60)) == WORKERS
            yield made
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
