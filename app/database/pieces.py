"""Pieces of work for the writer, and who waits for each: one timer for all of them.

Owns how whoever asked is told, and when it is told that the database does not answer. Leaves the order of pieces to
`writer`, and their commits to `group_commit`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from app.database.errors import DatabaseUnavailableError

_T = TypeVar("_T")
Names = tuple[str, ...]
_LONGEST_WAIT_SECONDS = 20.0
"""Longer than a statement waits for a lock, or a decision for a name that another process holds. What is not answered
by then may still be written, as with any commit in doubt (0051, 0141)."""


class Kind(IntEnum):
    """What a piece does, and with what it may share a transaction; in the order in which a group is written."""

    PLACE = 0
    """Only a place in line."""
    POST = 1
    """Rows that nobody decides upon: together, before everything else."""
    WRITE = 2
    """Changes rows as it goes: in a transaction of its own."""
    DECIDE = 3
    """Holds its names and changes rows at the end: together."""


class Piece(Struct, Generic[_T], eq=False):
    """One unit of work, and what became of it."""

    kind: Kind
    work: Callable[..., _T]
    """What is called with the transaction, `args` and `kwargs`."""
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    asked: float
    waiters: "Waiters"
    """Those on the loop of whoever asked."""
    told: "Told | asyncio.Future[_T]"
    """Who is told once its fate is known; a future gets its result."""
    names: Names = ()
    accounts: Names = ()
    """The tenants it spends for."""
    patient: bool = False
    result: _T | None = None
    error: Exception | None = None
    is_aside: bool = False
    """Another process holds a name of it: it is tried again."""
    is_told: bool = False
    is_given_up: bool = False
    """Whoever asked was told that the database does not answer."""


Pieces = list[Piece[Any]]
Told = Callable[[Exception | None], None]
"""Called with what kept a piece from being written, None where it is durable."""


class Waiters:
    """The pieces of one loop of which nobody was told yet, in the order in which they were asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[Piece[Any]] = deque()
        self._is_looking = False

    def add(self, piece: Piece[Any]) -> None:
        """Tell of this piece once its fate is known."""
        self._waiting.append(piece)
        if not self._is_looking:
            # A timer for each of them would cost more than the rest of a piece.
            self._is_looking = True
            self.loop.call_later(_LONGEST_WAIT_SECONDS, self._look)

    def tell(self, pieces: Pieces) -> None:
        """Their fate is known."""
        for piece in pieces:
            if not piece.is_told:
                _tell(piece, piece.error)
            piece.args, piece.kwargs = (), {}
        # Most are told in the order in which they were asked for; those behind one that takes longer go with it.
        waiting = self._waiting
        while waiting and waiting[0].is_told:
            waiting.popleft()

    def _look(self) -> None:
        """A server that stands still answers nothing and breaks nothing off: nobody waits for it without an end."""
        now = time.monotonic()
        for piece in [piece for piece in self._waiting if not piece.is_told]:
            remaining = piece.asked + _LONGEST_WAIT_SECONDS - now
            if remaining > 0:
                self.loop.call_later(remaining, self._look)
                return
            piece.is_given_up = True
            _tell(piece, DatabaseUnavailableError("the database does not answer"))
        self._is_looking = False


def _tell(piece: Piece[Any], error: Exception | None) -> None:
    piece.is_told = True
    told = piece.told
    if not isinstance(told, asyncio.Future):
        told(error)
    elif not told.done():  # whoever asked may have left
        if error is None:
            told.set_result(piece.result)
        else:
            told.set_exception(error)
