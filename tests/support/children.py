"""The processes below another one, as the system lists them: each may end while it is looked at."""

from contextlib import suppress

import psutil

IMAGE_WORKER = "app.images.workers.inside"
"""Stands in the command of a process that does image work."""
SERVER = "spawn_main"
"""Stands in the command of a process that serves, below the one that was started."""


def children_with(word: str, of: int | None = None) -> list[psutil.Process]:
    """Those in whose command `word` stands, below the process `of`, or below this one."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            if any(word in part for part in process.cmdline()):
                found.append(process)
    return found


def resident(processes: list[psutil.Process]) -> int:
    """The bytes of memory they hold together."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total
