"""Names processes, so that one can see of another on the same machine that it has ended."""

import hashlib
import os
import socket
import uuid
from pathlib import Path

_START_FIELD = 19
"""Where the start time stands in /proc/PID/stat, counted after the command's closing bracket."""
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
    now = _started(int(number))  # another time: the number was given to another process meanwhile
    return bool(started) and now is not None and started != now


def _place() -> str:
    """Where process numbers mean the same: one boot of one machine, one container. Its name alone says neither."""
    parts = [socket.gethostname().encode()]
    try:
        parts += [_BOOT.read_bytes(), os.fsencode(_NAMESPACE.readlink())]
    except OSError:  # a system without them, or no descriptor is left: then nobody there is known to be dead
        parts.append(b"?")
    return hashlib.sha256(b"|".join(parts)).hexdigest()[:8]


def _started(number: int) -> str | None:
    """When a process started, in the kernel's own ticks; None where the system does not say."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[_START_FIELD]
