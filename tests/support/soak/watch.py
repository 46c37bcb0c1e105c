"""What the processes hold while they are soaked, sampled; and whether that is flat."""

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

from tests.support.soak.house import House

MIB = 1024 * 1024
_PIECES = 8


@dataclass(frozen=True)
class Sample:
    """One look: bytes resident in the process that lives longest and in all, and open files of the former."""

    at: float
    own_bytes: int
    tree_bytes: int
    descriptors: int


class Watch:
    """Looks every half second."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.oldest = house.servers()[0]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.samples: list[Sample] = []
        self.marks: list[tuple[float, str]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def mark(self, name: str) -> None:
        """A fault begins."""
        self.marks.append((time.monotonic(), name))

    def _look(self) -> None:
        while not self._ended.wait(0.5):
            with contextlib.suppress(psutil.Error):
                own = self.oldest.memory_info().rss
                tree = 0
                for process in psutil.Process(self._house.serving.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        tree += process.memory_info().rss
                self.samples.append(Sample(time.monotonic(), own, tree, self.oldest.num_fds()))


def trend(samples: Sequence[Sample], value: Callable[[Sample], int], begin: float) -> float:
    """By how much a value grows from a moment, in seconds after the first sample, to the end: the straight line's way.

    It leads through the lower quartiles of eight equal times: what a burst takes is given back, what leaks is not.
    """
    began, ended = samples[0].at + begin, samples[-1].at
    each = (ended - began) / _PIECES
    lows = []
    for number in range(_PIECES):
        first = began + number * each
        lows.append(_low([value(sample) for sample in samples if first <= sample.at <= first + each]))
    slope, _ = statistics.linear_regression(range(_PIECES), lows)
    return slope * (_PIECES - 1)


def between(samples: Sequence[Sample], value: Callable[[Sample], int], begin: float, end: float) -> float:
    """What is usual of a value from one share of the time to another."""
    whole = samples[-1].at - samples[0].at
    return statistics.median(value(sample) for sample in samples if begin <= (sample.at - samples[0].at) / whole <= end)


def _low(values: Sequence[int]) -> float:
    return statistics.quantiles(values, n=4)[0]


def slowest(ends: Sequence[float], begin: float, end: float, seconds: float) -> float:
    """How many of these moments lie in the emptiest of equal times between two others, a second."""
    times = max(int((end - begin) / seconds), 1)
    counts = [0] * times
    for moment in ends:
        number = int((moment - begin) // seconds)
        if 0 <= number < times:
            counts[number] += 1
    return min(counts) / seconds


def at_rest(look: Callable[[], int], seconds: float) -> int:
    """The least that there is within so many seconds, for what goes down while nobody asks."""
    until = time.monotonic() + seconds
    least = look()
    while time.monotonic() < until:
        time.sleep(0.5)
        least = min(least, look())
    return least
