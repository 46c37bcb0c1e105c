"""The process itself: what it asks of the system before it serves, and how long it may take to end.

Its files are read by nobody else, and it may have enough of them.
"""

import contextlib
import os
import resource
import stat
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_MAX_DESCRIPTORS = 65_536
"""More help nobody, and some systems refuse to go to what they call the limit."""

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_SHARE_OF_MEMORY = 3
_LEAST_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""One body as large as the settings allow by default."""
SHUTDOWN = "spillway_shutdown"
"""The key of Shutdown in ASGI's state."""
_OWNER_ONLY, _PRIVATE_FOLDER, _PRIVATE_FILE = 0o077, 0o700, 0o600


class Shutdown:
    """When this process was asked to end. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self.announced = False
        """Whether it will end: no balancer should send it anything more."""

    def announce(self) -> None:
        """Say that the process will end; it serves until the grace period begins."""
        self.announced = True

    def begin(self) -> None:
        """Start the clock of the grace period; later calls do not extend it."""
        self.announce()
        if self._began is None:
            self._began = self._clock()

    def remaining(self, grace: float) -> float:
        """Seconds that are left of `grace`."""
        self.begin()
        return max(0.0, grace - (self._clock() - (self._began or 0.0)))


def is_ending(app_state: Mapping[str, object]) -> bool:
    """Whether this process will end, so that a connection should not be used again."""
    found = app_state.get(SHUTDOWN)
    return isinstance(found, Shutdown) and found.announced


def prepare_process() -> None:
    """Let only its own user read what the process writes, and let it have as many files and connections as it may."""
    # Images and journal are the callers' own: other users of the machine must not read them.
    os.umask(_OWNER_ONLY)
    raise_descriptor_limit()


def private_folder(folder: Path) -> None:
    """Make `folder`, and let nobody else in; files that others could read, from before, are closed to them too.

    A folder that belongs to another user, such as a shared volume, stays as its owner made it.
    """
    folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    # Looked at first: walking over every stored image at each start would take long.
    if stat.S_IMODE(folder.stat().st_mode) == _PRIVATE_FOLDER:
        return
    # A shared volume may belong to another user, who decides about it.
    with contextlib.suppress(PermissionError):
        folder.chmod(_PRIVATE_FOLDER)
        for parent, _, names in os.walk(folder):
            for name in names:
                (Path(parent) / name).chmod(_PRIVATE_FILE)


def descriptor_limit() -> int:
    """How many files and connections the process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> None:
    """Let the process have as many files and connections as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bytes_in_flight(processes: int = 1) -> int:
    """Bytes of bodies and images that one of so many processes holds, where no setting says it: a third for all."""
    return max(machine_memory() // _SHARE_OF_MEMORY // processes, _LEAST_BYTES_IN_FLIGHT)


def machine_memory(limit_files: tuple[Path, ...] = _CGROUP_LIMITS) -> int:
    """Bytes of memory this process may use: the machine's, or less where its control group says so."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [int(text) for path in limit_files if (text := _read(path)).isdecimal()]
    # A container sees the memory of its host; its control group knows what it may use.
    return min([total, *limits])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
