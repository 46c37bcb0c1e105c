"""Which connections broke a short while ago, though the wall clock may have been set since.

The journal has the moment of each by the wall clock, for all replicas. What this process saw itself it knows by a clock
that nobody sets, and while the wall clock has just been set, that counts.
"""

from collections.abc import Callable

from sqlalchemy import Row

_SET_SECONDS = 1.0
"""So far a wall clock is never moved by keeping it right slowly."""


class BrokenConnections:
    """The connections whose requests may be adopted without a word. `window` is in seconds; `wall` is unix seconds."""

    def __init__(self, window: float, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._window = window
        self._wall = wall
        self._steady = steady
        self._broken: dict[str, float] = {}
        self._difference = wall() - steady()
        self._unsure_until = float("-inf")

    def note(self, request_id: str) -> None:
        """Remember a break that this process saw itself, by the clock that nobody sets."""
        now = self._steady()
        # Taken out first, so that it moves to the end: the order is what makes the cleanup below cheap.
        self._broken.pop(request_id, None)
        self._broken[request_id] = now
        while now - next(iter(self._broken.values())) > self._window:  # the oldest come first
            del self._broken[next(iter(self._broken))]

    def since(self) -> float:
        """The moment, in unix seconds, from which breaks count; all do while the wall clock cannot be believed."""
        wall, steady = self._wall(), self._steady()
        # The wall clock was set. For one window everything counts as recent: joining what was bought is cheaper than
        # buying again.
        if abs(wall - steady - self._difference) > _SET_SECONDS:
            self._difference, self._unsure_until = wall - steady, steady + self._window
        return 0.0 if steady < self._unsure_until else wall - self._window

    def is_recent(self, row: Row[tuple[object, ...]]) -> bool:
        """Whether the connection of a request that was found broke within the window."""
        seen = self._broken.get(row.id)
        if seen is not None:
            return self._steady() - seen <= self._window
        # Seen by another process: only the wall clock is common to both.
        return bool(row.broken_at >= self._wall() - self._window)
