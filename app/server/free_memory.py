"""Memory that is free again: kept for the next image at first, and given back to the system when nobody waits.

By itself glibc gives it back at once, and for the next body of a megabyte the kernel fills hundreds of pages with
zeros: a fifth of what it cost to pass an image through (0212). Does nothing with other C libraries.
"""

import asyncio
import ctypes
import time
from collections.abc import Callable

from app.observability.background import Loop
from app.observability.logs import get_logger

_logger = get_logger("server")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt`, as malloc.h numbers them."""
_NEVER_BY_ITSELF = 1 << 30
_LARGEST_KEPT = 32 * 1024 * 1024
"""Bytes of a block that may be kept: glibc before 2.35 refuses more."""
_LOOK_SECONDS = 1.0
_KEPT_SECONDS = 10.0
"""Long beside a call, short beside an hour in which another program could use the memory."""
_LONGEST_KEPT_SECONDS = 60.0
"""Also where something is under way at every look."""


class FreeMemory:
    """What the process does with memory that is free again, from when this is made on.

    `is_quiet` says whether nobody is being served just now; `clock` is monotonic seconds.
    """

    def __init__(self, is_quiet: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_quiet, self._clock = is_quiet, clock
        self._trim = _trim_of(ctypes.CDLL(None))
        self._given_back = clock()
        self.loop = Loop(self._look, _LOOK_SECONDS, _logger, "free memory is not given back", pauses_first=True)

    async def _look(self) -> None:
        if self._trim is not None and is_due(self._clock() - self._given_back, is_quiet=self._is_quiet()):
            await asyncio.to_thread(self._trim, 0)
            self._given_back = self._clock()


def is_due(kept_seconds: float, *, is_quiet: bool) -> bool:
    """Whether what has been kept for so long is given back now."""
    # The allocator's lock is held meanwhile, 130 ms for a gigabyte, and then the event loop waits too (0212).
    return kept_seconds >= (_KEPT_SECONDS if is_quiet else _LONGEST_KEPT_SECONDS)


def _trim_of(library: ctypes.CDLL) -> Callable[[int], int] | None:
    """What gives memory back, once it is kept until then; None where this library has no such thing."""
    try:
        trim, option = library.malloc_trim, library.mallopt
    except AttributeError:
        return None
    if not (option(_MMAP_THRESHOLD, _LARGEST_KEPT) and option(_TRIM_THRESHOLD, _NEVER_BY_ITSELF)):
        return None
    return trim
