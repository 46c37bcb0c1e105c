"""Memory that is free again: kept for the next image at first, and given back to the system from time to time.

By itself glibc gives it back at once, and for the next body of a megabyte the kernel fills hundreds of pages with
zeros: a fifth of what it cost to pass an image through (0212). Does nothing with other C libraries.
"""

import asyncio
import ctypes
from collections.abc import Callable

from app.observability.background import Loop
from app.observability.logs import get_logger

_logger = get_logger("server")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of `mallopt`, as malloc.h numbers them."""
_NEVER_BY_ITSELF = 1 << 30
_LARGEST_KEPT = 32 * 1024 * 1024
"""Bytes of a block that may be kept: glibc before 2.35 refuses more."""
_EVERY_SECONDS = 10.0
"""Long beside a call, short beside an hour in which another program could use the memory."""


class FreeMemory:
    """What the process does with memory that is free again, from when this is made on."""

    def __init__(self) -> None:
        self._trim = _trim_of(ctypes.CDLL(None))
        self.loop = Loop(self._give_back, _EVERY_SECONDS, _logger, "free memory is not given back", pauses_first=True)

    async def _give_back(self) -> None:
        if self._trim is not None:
            await asyncio.to_thread(self._trim, 0)  # it takes milliseconds where much is free


def _trim_of(library: ctypes.CDLL) -> Callable[[int], int] | None:
    """What gives memory back, once it is kept until then; None where this library has no such thing."""
    try:
        trim, option = library.malloc_trim, library.mallopt
    except AttributeError:
        return None
    if not (option(_MMAP_THRESHOLD, _LARGEST_KEPT) and option(_TRIM_THRESHOLD, _NEVER_BY_ITSELF)):
        return None
    return trim
