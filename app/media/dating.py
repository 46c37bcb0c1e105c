"""The clock by which ends of links and images are dated."""

import time
from collections.abc import Callable


class DatingClock:
    """Unix seconds that never go back while the process runs.

    A wall clock that is set back would date an end before its time, and a paid image would be gone that its caller
    could not yet fetch (0164). One that is set ahead dates it later, which costs only room.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._difference = wall() - steady()

    def __call__(self) -> float:
        """This moment, or later where the wall clock was set back."""
        return max(self._wall(), self._steady() + self._difference)
