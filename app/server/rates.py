"""Watches that bytes move at least so fast, and reports when they do not."""

import asyncio
from collections.abc import Callable


class RateWatch:
    """Looks at a counter once a window; calls `stalled`, once, when it moved too little since.

    `count` returns None while nothing can be expected to move.
    """

    def __init__(
        self, window: float, bytes_per_second: int, count: Callable[[], int | None], stalled: Callable[[], None]
    ) -> None:
        self._window, self._least = window, window * bytes_per_second
        self._count, self._stalled = count, stalled
        self._before: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = False

    @property
    def running(self) -> bool:
        """Whether it is looking."""
        return self._timer is not None

    def start(self) -> None:
        """Look from now on; a running watch goes on undisturbed."""
        if self._timer is None and not self._has_ended:
            self._before = self._count()
            self._schedule()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Look never again, and let go of what was watched, which is then freed at once and not by the collector."""
        self.stop()
        self._has_ended = True
        self._count, self._stalled = _nothing, _nothing

    def _schedule(self) -> None:
        # One timer a window, none a byte: watching costs the same for a fast and a slow caller.
        self._timer = asyncio.get_running_loop().call_later(self._window, self._look)

    def _look(self) -> None:
        before, self._before = self._before, self._count()
        # None on either side: in a part of this window nothing could be expected to move.
        if before is not None and self._before is not None and self._before - before < self._least:
            self._timer = None
            self._stalled()
        else:
            self._schedule()


def _nothing() -> None:
    """What is counted, and done, when the watch has ended."""
