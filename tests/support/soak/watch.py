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
        self._oldest = house.servers()[0]
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
                own = self._oldest.memory_info().rss
                tree = 0
                for process in psutil.Process(self._house.serving.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        tree += process.memory_info().rss
                self.samples.append(Sample(time.monotonic(), own, tree, self._oldest.num_fds()))


def growth(samples: Sequence[Sample], value: Callable[[Sample], int], warm_up: float) -> tuple[float, float]:
    """What a process holds in calm moments of the first and of the last third after the warm-up.

    The lower quartile of each: what a burst takes for a moment is given back, what leaks is not.
    """
    begin = samples[0].at + warm_up
    calm = [sample for sample in samples if sample.at >= begin]
    third = max(len(calm) // 3, 2)
    first, last = calm[:third], calm[-third:]
    return _low([value(sample) for sample in first]), _low([value(sample) for sample in last])


def _low(values: Sequence[int]) -> float:
    return statistics.quantiles(values, n=4)[0]
