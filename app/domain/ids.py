"""Ids that grow with time, so that new rows lie beside each other in every index that begins with one (0152, 0207)."""

import os
import time
from collections.abc import Callable

_CHANCE_BYTES, _IDS_AT_ONCE = 9, 64


class GrowingIds:
    """Makes UUIDs of version 4: the time in milliseconds, and 72 bits that nobody can guess.

    `draw` gives so many random bytes, `clock` is unix nanoseconds.
    """

    def __init__(self, draw: Callable[[int], bytes] = os.urandom, clock: Callable[[], int] = time.time_ns) -> None:
        self._draw, self._clock = draw, clock
        self._drawn, self._at = "", 0

    def __call__(self) -> str:
        """An id nobody else has."""
        start = self._at
        # Drawn for many at once: a call of the system for each costs more than all that follows here.
        if start >= len(self._drawn):
            self._drawn, start = self._draw(_IDS_AT_ONCE * _CHANCE_BYTES).hex(), 0
        self._at = start + 2 * _CHANCE_BYTES
        when, chance = f"{self._clock() // 1_000_000:012x}", self._drawn[start : self._at]
        return f"{when[:8]}-{when[8:]}-4{chance[:3]}-8{chance[3:6]}-{chance[6:]}"
