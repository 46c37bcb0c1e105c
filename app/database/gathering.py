"""How long a group of writes waits for more to come.

Not at all where pieces come one by one, and until many share its commit where they come together. Leaves what waits,
and how it is written, to `writer`.
"""

import time
from collections.abc import Callable

_LOOKS = (0.002, 0.002, 0.004, 0.008, 0.008)
"""Seconds before each look whether more has come: a commit costs more than its pieces, and all looks together are
nothing beside the seconds that an image takes."""
_VAIN_LOOKS = 3
"""So many looks that find nothing new end a group."""
_ENOUGH = 16
"""So many share a commit well, and more come by themselves while it lasts."""
_CLOSE_SECONDS = 0.01
"""What comes so soon after a group may be one of many that come evenly."""
_DISCOURAGED_SECONDS = 0.25
"""How long that is not tried again after nothing came: one caller after the other is not to wait for nobody."""


class Gathering:
    """`waiting` says how much has come that is not in the group; `clock` is monotonic seconds."""

    def __init__(
        self,
        waiting: Callable[[], int],
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting, self._pause, self._clock = waiting, pause, clock
        self._together = False
        self._ended = self._in_vain = float("-inf")

    def wait_for_more(self) -> None:
        """Wait for what is to share a commit with the piece that is there, where that is likely to come."""
        now = self._clock()
        is_close = now - self._ended < _CLOSE_SECONDS and now - self._in_vain >= _DISCOURAGED_SECONDS
        if not (self._together or is_close):
            return
        there, unchanged = self._waiting(), 0
        for pause in _LOOKS:
            if there >= _ENOUGH or unchanged >= _VAIN_LOOKS:
                break
            self._pause(pause)
            before, there = there, self._waiting()
            unchanged = unchanged + 1 if there == before else 0
        if not there:
            self._in_vain = self._clock()

    def end(self, count: int) -> None:
        """A group was written that had so many pieces in it for which somebody waits."""
        self._together, self._ended = count > 1, self._clock()
