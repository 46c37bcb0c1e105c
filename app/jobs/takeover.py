"""Takes over requests whose process has ended, at the start and from time to time; what becomes of them, `runner` does.

Leaves to `lease_watch` which are abandoned. What is paid with a key that only its caller has waits for that caller.
"""

from collections.abc import Sequence

from app.jobs.lease_watch import LOOKS, LeaseWatch
from app.jobs.leases import LeaseKeeper, steady_clock
from app.jobs.result_store import needs_refetch
from app.jobs.runner import JobRunner
from app.journal.journal import Journal
from app.journal.processes import is_dead
from app.journal.records import Sighting
from app.observability.background import Loop
from app.observability.logs import get_logger
from app.runware.keys import Keys

_logger = get_logger("takeover")
_AT_ONCE = 100
"""Takeovers in one transaction."""


class Takeover:
    """Looks for abandoned requests in the background."""

    def __init__(self, journal: Journal, keeper: LeaseKeeper, runner: JobRunner, keys: Keys) -> None:
        self._journal = journal
        self._keeper = keeper
        self._runner = runner
        self._keys = keys
        self._seen = LeaseWatch(keeper.seconds, is_dead, steady_clock)
        # At once the first time, for what an earlier process left.
        self.loop = Loop(self._look, keeper.seconds / LOOKS, _logger, "abandoned requests cannot be looked for")
        """What was found goes on when it is stopped."""
        keeper.on_release(self.loop.wake)

    async def _look(self) -> None:
        while await self._take_over():
            pass

    async def _take_over(self) -> bool:
        """Take over what nobody holds; whether there may be more."""
        reopened = False
        abandoned = self._seen.abandoned(await self._keeper.list_watched(), self._keeper.has)
        unpaid = [seen for seen in abandoned if seen.is_open and self._keys.key_of(seen.tenant) is None]
        await self._leave_to_callers(unpaid)
        left = {seen.request_id for seen in unpaid}
        found = [seen for seen in abandoned if seen.request_id not in left]
        # Before the takeover: a lease counts from the question (0059).
        asked = self._keeper.now()
        unfinished = {seen.request_id for seen in found if seen.is_open}
        for record in await self._keeper.take_over(found[:_AT_ONCE]):
            _logger.warning("taking over an abandoned request", id=record.id, tries=record.tries)
            # Open work is resolved. An answer whose callers have left is only made retrievable again.
            if record.id in unfinished:
                self._runner.resume(record, asked)
            # Where nobody can fetch them now, they are when their caller asks for them.
            elif needs_refetch(record) and self._keys.key_of(record.tenant) is not None:
                await self._journal.writer.post(self._journal.outcomes.reopen, record)
                reopened = True
        return reopened or len(found) > _AT_ONCE

    async def _leave_to_callers(self, unpaid: Sequence[Sighting]) -> None:
        """Let go of what nobody here can ask for: it is looked for once its caller shows its key again (0136).

        No try is counted, and an equal request of the caller joins it as it would after a takeover.
        """
        self._keys.await_callers(frozenset(seen.tenant for seen in unpaid), self._keeper.wake)
        held = [seen for seen in unpaid if seen.owner]
        for seen in held:
            _logger.warning("an abandoned request waits for its caller's key", id=seen.request_id)
        await self._keeper.let_go(held)
