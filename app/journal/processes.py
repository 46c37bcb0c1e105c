"""Names processes, so that one can tell of another on the same machine that it is gone."""

import hashlib
import os
import socket
import uuid
from pathlib import Path

_START_FIELD = 19
"""Where the start time stands in /proc/PID/stat, counted after the command's closing bracket."""


def name_process() -> str:
    """A name for this process: its machine, its number, when it started, and something nobody else has."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}:{uuid.uuid4().hex[:8]}"


def is_dead(name: str) -> bool:
    """Whether a named process surely is gone; False when it runs, or on another machine, where nobody can tell."""
    machine, number, started, *_ = [*name.split(":"), "", "", ""]
    if machine != _machine() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return started != _started(int(number))  # the number was given to another process meanwhile


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _started(number: int) -> str:
    """When a process started, in the kernel's own ticks; empty where the system does not say."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[_START_FIELD]
