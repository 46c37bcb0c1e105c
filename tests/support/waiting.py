"""Waits for what a gateway does a moment after it has answered: a line in its log, a receipt, a webhook."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

_Seen = TypeVar("_Seen")
_SECONDS = 30.0
_PAUSE_SECONDS = 0.02


def seen(look: Callable[[], _Seen], is_there: Callable[[_Seen], object], seconds: float = _SECONDS) -> _Seen:
    """What `look` sees as soon as `is_there` says yes to it; what it sees last, when it never does."""
    deadline = time.monotonic() + seconds
    while True:
        # The time first: what comes while a busy machine keeps this thread waiting is still seen.
        is_over = time.monotonic() >= deadline
        found = look()
        if is_over or is_there(found):
            return found
        time.sleep(_PAUSE_SECONDS)


async def seen_meanwhile(
    look: Callable[[], _Seen], is_there: Callable[[_Seen], object], seconds: float = _SECONDS
) -> _Seen:
    """As `seen`, for what happens in the event loop of the test."""
    deadline = time.monotonic() + seconds
    while True:
        is_over = time.monotonic() >= deadline
        found = look()
        if is_over or is_there(found):
            return found
        await asyncio.sleep(_PAUSE_SECONDS)


def longest_stall(ask: Callable[[], object], running: Future) -> float:
    """The longest wait for an answer while something runs, as far as this process was at work then, not the machine."""
    longest = 0.0
    while not running.done():
        began, worked = time.monotonic(), time.process_time()
        ask()
        longest = max(longest, min(time.monotonic() - began, time.process_time() - worked))
    return longest


def log_with(log: Path, *marks: str) -> str:
    """A log as soon as all these marks are in it: a line is written after the answer it tells of."""
    return seen(log.read_text, lambda text: all(mark in text for mark in marks))
