"""One process of all does a thing: the first that comes, until it leaves or gives no sign of life any more."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from app.database.errors import DatabaseUnavailableError
from app.journal.duties import NOBODY, find_holder, leave_duty, move_duty
from app.journal.journal import Journal
from app.journal.processes import is_dead
from app.observability.logs import get_logger

_logger = get_logger("duties")
_LEAVE_SECONDS = 2.0
"""An end does not wait longer for a database that is away."""
LOST_AFTER_SECONDS = 45.0
"""So long the number of a holder stands still before another takes over; three looks of the sweeper."""


class Duty:
    """One duty as this process sees it; `clock` never goes back."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
        lost_after: float = LOST_AFTER_SECONDS,
    ) -> None:
        self._name = name
        self._journal = journal
        self._owner = journal.leases.owner
        self._clock = clock
        self._lost_after = lost_after
        self._mine = False
        self._seen = NOBODY
        self._since = clock()

    async def is_mine(self) -> bool:
        """Whether this process is the one to do it, which is a sign of life; raises DatabaseUnavailableError.

        Two may believe it for a moment, as when one stood still: what they do must bear that.
        """
        self._mine = await self._take()
        return self._mine

    async def leave(self) -> None:
        """Let the next process have it at once."""
        if not self._mine:
            return
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._journal.writer.write(leave_duty, self._name, self._owner)
        except (DatabaseUnavailableError, TimeoutError):
            _logger.warning("a duty cannot be left; it is free when its lease runs out", duty=self._name)

    async def _take(self) -> bool:
        found = await self._journal.reader.read(partial(find_holder, duty=self._name))
        if found != self._seen:
            self._seen, self._since = found, self._clock()
        if not (found.owner in {"", self._owner} or is_dead(found.owner) or self._stands_still()):
            return False
        mine = await self._journal.writer.write(move_duty, self._name, found, self._owner)
        if mine and found.owner != self._owner:
            _logger.debug("this process does it from now on", duty=self._name)
        return mine

    def _stands_still(self) -> bool:
        # By this process's own clock, since it saw the number for the first time (0059).
        return self._clock() - self._since >= self._lost_after
