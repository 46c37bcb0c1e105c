"""Asks the system whether anything is to be read of a socket, without giving another thread a turn.

`select.poll` lets go of Python's global lock at each call. Asked once for each request, that had the loop wait for the
journal's thread in the middle of it (0176). Leaves what to make of it to `connection`.
"""

import ctypes
import select
from collections.abc import Callable
from functools import cache


class _Asked(ctypes.Structure):
    """`struct pollfd`, the same on all systems that have it."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short))


@cache
def _find_poll() -> Callable[[_Asked, int, int], int] | None:
    try:
        poll = ctypes.PyDLL(None).poll  # the one of ctypes that keeps the lock
    except (AttributeError, OSError, TypeError):
        return None
    poll.argtypes, poll.restype = (ctypes.POINTER(_Asked), ctypes.c_ulong, ctypes.c_int), ctypes.c_int
    return poll


def pending_of(fd: int) -> Callable[[], bool] | None:
    """Says whether there are bytes to read, an end, or a fault; None where the system cannot be asked."""
    poll, asked = _find_poll(), _Asked(fd, select.POLLIN, 0)
    # A question that fails says no less than a fault.
    return None if poll is None else lambda: poll(asked, 1, 0) != 0
