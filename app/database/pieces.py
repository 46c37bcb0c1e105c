"""Pieces of work for the writer, and who waits for each: one timer for all of them.

Owns how whoever asked is told, and when it is told that the database does not answer. Leaves the order of pieces to
`writer`, and their commits to `group_commit`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from app.database.errors import DatabaseUnavailableError

_T = TypeVar("_T")
Names = tuple[str, ...]
_LONGEST_WAIT_SECONDS = 20.0
"""Longer than a statement waits for a lock, or a decision for a name that another process holds. What is not answered
by then may still be written, as with any commit in doubt (0051, 0141)."""


class Kind(Enum):
    """What a piece does, and with what it may share a transaction."""

    PLACE = "only a place in line"
    POST = "rows that nobody decides upon: together, before everything else"
    WRITE = "changes rows as it goes: in a transaction of its own"
    DECIDE = "holds its names and changes rows at the end: together"


@dataclass(eq=False)
class Piece(Generic[_T]):
    """One unit of work, and what became of it."""

    kind: Kind
    work: Callable[..., _T]
    """What is called with the transaction, `args` and `kwargs`."""
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    asked: float
    waiters: "Waiters"
    """Those on the loop of whoever asked."""
    names: Names = ()
    accounts: Names = ()
    """The tenants it spends for."""
    patient: bool = False
    # Not given to each: what most pieces never change lies in the class.
    result: _T | None = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)
    is_aside: bool = field(default=False, init=False)
    """Another process holds a name of it: it is tried again."""
    is_told: bool = field(default=False, init=False)
    is_given_up: bool = field(default=False, init=False)
    """Whoever asked was told that the database does not answer."""


Pieces = list[Piece[Any]]
Told = Callable[[Exception | None], None]
"""Called with what kept a piece from being written, None where it is durable."""


class Waiters:
    """The pieces of one loop of which nobody was told yet, in the order in which they were asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: dict[Piece[Any], Told | asyncio.Future[Any]] = {}
        self._is_looking = False

    def add(self, piece: Piece[Any], told: "Told | asyncio.Future[Any]") -> None:
        """Tell of this piece once its fate is known; a future gets its result."""
        self._waiting[piece] = told
        if not self._is_looking:
            # A timer for each of them would cost more than the rest of a piece.
            self._is_looking = True
            self.loop.call_later(_LONGEST_WAIT_SECONDS, self._look)

    def tell(self, pieces: Pieces) -> None:
        """Their fate is known."""
        for piece in pieces:
            piece.is_told = True
            told = self._waiting.pop(piece, None)
            if told is not None:
                _tell(told, piece.result, piece.error)

    def _look(self) -> None:
        """A server that stands still answers nothing and breaks nothing off: nobody waits for it without an end."""
        now = time.monotonic()
        while self._waiting:
            piece = next(iter(self._waiting))
            remaining = piece.asked + _LONGEST_WAIT_SECONDS - now
            if remaining > 0:
                self.loop.call_later(remaining, self._look)
                return
            piece.is_given_up = True
            _tell(self._waiting.pop(piece), None, DatabaseUnavailableError("the database does not answer"))
        self._is_looking = False


def _tell(told: "Told | asyncio.Future[Any]", result: object, error: Exception | None) -> None:
    if not isinstance(told, asyncio.Future):
        told(error)
    elif not told.done():  # whoever asked may have left
        if error is None:
            told.set_result(result)
        else:
            told.set_exception(error)
