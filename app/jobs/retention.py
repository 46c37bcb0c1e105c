"""Removes old requests in the background: at the start and every hour, in small transactions between those of callers.

Leaves what is old, and where its sums go, to `ledger.retention`.
"""

import asyncio

from app.database.errors import DatabaseUnavailableError
from app.journal.journal import Journal
from app.ledger.retention import AT_ONCE, Retention
from app.observability.background import Loop
from app.observability.logs import get_logger

_logger = get_logger("retention")
_EVERY_SECONDS = 3600.0
_PAUSE_SECONDS = 0.1
"""Between two transactions: callers that came meanwhile go first."""
_NAME = ("removal of old requests",)


class JournalSweeper:
    """Sweeps the journal of one process; of several on one database, one is at it at a time."""

    def __init__(self, journal: Journal, retention: Retention, every: float = _EVERY_SECONDS) -> None:
        self._journal = journal
        self._retention = retention
        trouble = "old requests cannot be removed now; it is tried again in an hour"
        self.loop = Loop(self._sweep_and_tell, every, _logger, trouble, passing=DatabaseUnavailableError)
        """A transaction that was begun when it is stopped ends by itself, as a whole."""

    async def sweep(self) -> int:
        """Remove everything that is old, raising DatabaseUnavailableError; how many requests there were."""
        removed = await self._sweep_requests()
        while old := await self._journal.reader.read(self._retention.find_left_over):
            if not await self._journal.writer.write_locked(_NAME, self._retention.remove_left_over, old):
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        await self._journal.writer.write_locked(_NAME, self._retention.remove_notices)
        return removed

    async def _sweep_requests(self) -> int:
        removed = 0
        # Looked for beside the writer: the search must not hold SQLite's one lock.
        while old := await self._journal.reader.read(self._retention.find_old):
            # Under a name, so that two replicas do not look at the same rows in turns (0126).
            gone = await self._journal.writer.write_locked(_NAME, self._retention.remove, old)
            removed += gone
            if len(old) < AT_ONCE or not gone:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        return removed

    async def _sweep_and_tell(self) -> None:
        removed = await self.sweep()
        if removed:
            _logger.info("old requests were summed up and removed", count=removed)
