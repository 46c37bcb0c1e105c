"""What a process and all that it started have cost: processor time and memory of the whole tree."""

import ctypes
import threading
import time
from types import TracebackType
from typing import Self

import psutil

_EVERY_SECONDS = 0.02
_find_clock = getattr(ctypes.CDLL(None), "clock_getcpuclockid", None)
"""Of POSIX; None where the system has none, as macOS."""


def processes(root: psutil.Process) -> list[psutil.Process]:
    """The process and all below it."""
    return [root, *root.children(recursive=True)]


def cpu_seconds(root: psutil.Process) -> float:
    """User and system time of the tree since it began, of processes that have ended too."""
    total = 0.0
    for process in processes(root):
        try:
            times = process.cpu_times()
            own = _own_seconds(process.pid, times.user + times.system)
        except (psutil.Error, OSError):  # it ended between the two looks, and now counts with its parent
            continue
        total += own + times.children_user + times.children_system
    return total


def _own_seconds(pid: int, rounded: float) -> float:
    """By the clock that POSIX has for each process: what `/proc` says is rounded to 10 ms, which is much of a burst."""
    if _find_clock is None:
        return rounded
    clock = ctypes.c_int()
    error: int = _find_clock(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, "there is no such process")
    return time.clock_gettime(clock.value)


def resident_bytes(root: psutil.Process) -> int:
    """Memory of the tree; pages that several processes share count once for each, before and after."""
    total = 0
    for process in processes(root):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


class PeakWatch:
    """The largest memory of a tree while this is open, sampled."""

    def __init__(self, root: psutil.Process) -> None:
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.base = self.peak = resident_bytes(root)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self.peak = max(self.peak, resident_bytes(self._root))
