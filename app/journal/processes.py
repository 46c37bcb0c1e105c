"""Names processes, so that one can see of another on the same machine that it has ended."""

import hashlib
import os
import socket
import time
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

_STATE_FIELD, _START_FIELD = 0, 19
"""Where state and start time stand in /proc/PID/stat, counted after the command's closing bracket."""
_ENDED_STATES = frozenset("ZXx")
"""What has ended, and is there only until its parent has heard of it."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def name_process() -> str:
    """A name for this process: where it runs, its number, when it started, and something nobody else has."""
    # The random part tells processes apart that get the same number after a restart of the container.
    return f"{_place()}:{os.getpid()}:{_started(os.getpid()) or ''}:{uuid.uuid4().hex[:8]}"


def is_dead(name: str) -> bool:
    """Whether a named process surely has ended; False when it runs, or where that cannot be seen from here."""
    place, number, started, *_ = [*name.split(":"), "", "", ""]
    # A number means nothing on another machine; there only the lease decides (0059).
    if place != _place() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    # It runs, as another user.
    except PermissionError:
        return False
    found = _status(int(number))
    if found is None:
        return False
    # Another time: the number was given to another process meanwhile.
    return found[_STATE_FIELD] in _ENDED_STATES or (bool(started) and found[_START_FIELD] != started)


class Predecessors:
    """The processes before this one, by their names. `lease_seconds` is how long one that ended still has its leases.

    `steady` never goes back; it counts from here on.
    """

    def __init__(self, lease_seconds: float, steady: Callable[[], float] = time.monotonic) -> None:
        # And as much again: leases are looked at from time to time, on a machine that may be busy.
        self._until = steady() + 2 * lease_seconds
        self._steady = steady

    def may_have_ended(self, name: str) -> bool:
        """Whether a process surely has ended, or cannot be seen from here while this one may have taken its place."""
        return is_dead(name) or (bool(name) and self._steady() < self._until and not _is_here(name))


def _is_here(name: str) -> bool:
    return name.partition(":")[0] == _place()


def _place() -> str:
    """Where process numbers mean the same: one boot of one machine, one container. Its name alone says neither."""
    host = socket.gethostname()
    try:
        return _within_boot(host)
    except OSError:  # a system that does not tell, or no descriptor is left: then nobody there is known to be dead
        return _digest(host.encode(), b"?")


@lru_cache(maxsize=1)
def _within_boot(host: str) -> str:
    # Remembered, since it is asked of every equal request of another process; a process never leaves its boot.
    return _digest(host.encode(), _BOOT.read_bytes(), os.fsencode(_NAMESPACE.readlink()))


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"|".join(parts)).hexdigest()[:8]


def _started(number: int) -> str | None:
    """When a process started, in the kernel's own ticks; None where the system does not say."""
    found = _status(number)
    return None if found is None else found[_START_FIELD]


def _status(number: int) -> list[str] | None:
    """What the kernel says of a process, without its number and command; None where it says nothing."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()
