"""How many bytes of images this process may hold at once, and what each request counts for.

A request counts while its body is read and its images wait (`bodies`), and while its tasks run (`work`). The two have
a half of the bound each: whoever has been read in never waits for another body, so that neither can block the other.
"""

import os
from pathlib import Path

from app.access.admission import Admission, Ticket

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_UNWEIGHED_BYTES = 64 * 1024
"""Bodies up to here are read at once: the number of connections bounds them."""


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


class MemoryBudget:
    """The bound on bytes in flight, in two halves. `max_queued` requests wait for their body to be read."""

    def __init__(self, max_bytes: int, max_queued: int, max_queued_per_key: int) -> None:
        # Two counts: with one, bodies that wait to be read could take what running tasks need in order to end.
        half = max_bytes // 2
        self.bodies = Admission(half, max_queued, max_queued_per_key)
        # What waits here has a place among the tasks already, which bounds its number.
        self.work = Admission(max_bytes - half, max_queued=2**31)
        self.max_bytes = max_bytes

    @property
    def in_flight(self) -> int:
        """Bytes that are counted now."""
        return self.bodies.in_flight + self.work.in_flight

    def take_body(self, tenant: str, announced: int) -> Ticket:
        """A place for a body of `announced` bytes, raising OverloadedError when even the queue is full."""
        # A prompt must not wait behind uploads.
        if announced <= _UNWEIGHED_BYTES:
            return self.bodies.admit_unmetered()
        return self.bodies.take(tenant, announced)
