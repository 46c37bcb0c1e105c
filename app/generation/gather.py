"""Runs several things at once, and one thing without the cost of a task of its own."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


async def gather_in_order(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """All results in order; the first exception is raised, as by asyncio.gather."""
    if not work:
        return []
    # The usual request has one task; a task of the event loop costs more than the call.
    if len(work) == 1:
        return [await work[0]]
    return list(await asyncio.gather(*work))
