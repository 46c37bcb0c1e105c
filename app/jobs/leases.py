"""The leases this process holds: renewed while what they stand for is here, and confirmed before anything is sent.

Others take a lease that stood still for its whole length. So for the first half of it this process knows without
asking that it is the holder; later, as after it was stopped or its loop hung, it asks the journal before it goes on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from app.database.errors import DatabaseUnavailableError
from app.journal.journal import Journal
from app.journal.records import Lease, Record, Sighting
from app.observability.background import Loop
from app.observability.logs import get_logger

_logger = get_logger("leases")
# Three missed renewals. Shorter would take work from a process during a long pause, longer would keep callers of a dead
# one waiting.
LEASE_SECONDS = 15.0
_RENEWALS = 3
"""How often a lease is renewed in its length."""
_REPETITION_SECONDS = 0.25


class LeaseLostError(Exception):
    """Another process took the request: nothing of it may be sent, and nothing is settled, here any more."""


class Moment(Struct, frozen=True):
    """A point in time on both clocks of a machine: `steady` never goes back, `wall` may be set."""

    steady: float
    wall: float


class _Held(Struct, frozen=True):
    lease: Lease
    confirmed: Moment


# CLOCK_MONOTONIC stands still while a laptop or a virtual machine sleeps, but the other processes do not (0059).
steady_clock = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds that never go back and, where the system can tell, go on while it is suspended."""


class LeaseKeeper:
    """What runs here, by request id, and whose callers are here. `seconds` is the length of a lease."""

    def __init__(
        self,
        journal: Journal,
        seconds: float = LEASE_SECONDS,
        steady: Callable[[], float] = steady_clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self.seconds = seconds
        self._steady = steady
        self._wall = wall
        self._held: dict[str, _Held] = {}
        self._callers: dict[str, int] = {}
        self._wake: Callable[[], None] | None = None
        # Several times in the length of a lease: one failure must not lose it.
        every, trouble = seconds / _RENEWALS, "leases cannot be renewed"
        passing = DatabaseUnavailableError
        self.loop = Loop(self.renew, every, _logger, trouble, passing=passing, pauses_first=True)
        """Renews; what is not released once it is stopped runs out and is taken over."""

    def on_release(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something was let go: somebody looks for that."""
        self._wake = wake

    def now(self) -> Moment:
        """What to note before the journal is asked: a lease counts from there."""
        return Moment(self._steady(), self._wall())

    def hold(self, lease: Lease, asked: Moment) -> None:
        """This process has the lease, as the journal answered a question of this moment."""
        self._held[lease.request_id] = _Held(lease, asked)

    def drop(self, lease: Lease) -> None:
        """Renew this lease no more; a newer one of the same request stays."""
        held = self._held.get(lease.request_id)
        # Compared with its fencing number: after a takeover and back, an old end must not drop the new lease.
        if held is not None and held.lease == lease:
            del self._held[lease.request_id]

    def add_caller(self, request_id: str) -> None:
        """Count a caller that is connected here: an answer nobody received is held for it."""
        self._callers[request_id] = self._callers.get(request_id, 0) + 1

    def remove_caller(self, request_id: str) -> None:
        """Count it off; with the last one the answer is no longer held here."""
        others = self._callers.pop(request_id, 0) - 1
        if others > 0:
            self._callers[request_id] = others

    def has(self, seen: Sighting) -> bool:
        """Whether this is here: its work, or a caller of what has ended."""
        return seen.request_id in self._held or (not seen.is_open and seen.request_id in self._callers)

    def confirm(self, lease: Lease) -> Awaitable[None] | None:
        """None while nobody else can have the lease, raising LeaseLostError where somebody may act on it.

        Where that has to be asked for, the question, which raises the same. It waits for a database that does not
        answer: nothing may be sent on a guess.
        """
        return None if self._is_young(lease) else self._ask(lease)

    def _is_young(self, lease: Lease) -> bool:
        """Whether surely nobody else can have the lease, raising LeaseLostError where it is not held here."""
        held = self._held.get(lease.request_id)
        if held is None or held.lease != lease:
            raise LeaseLostError
        # Both clocks, and the worse counts: one of them may have stood still while the machine was paused, and a false
        # alarm costs one question to the journal, a missed one an image.
        since = held.confirmed
        elapsed = max(self._steady() - since.steady, abs(self._wall() - since.wall))
        # Half a length: a takeover waits for the whole, so what is sent now is out before that (0040).
        return elapsed < self.seconds / 2

    async def _ask(self, lease: Lease) -> None:
        while not self._is_young(lease):
            asked = self.now()
            try:
                is_mine = await self._journal.writer.write(self._journal.leases.confirm, lease)
            except DatabaseUnavailableError:
                _logger.warning("a lease cannot be confirmed; nothing is sent before", id=lease.request_id)
                await asyncio.sleep(_REPETITION_SECONDS)
                continue
            if not is_mine:
                self.drop(lease)
                raise LeaseLostError
            self.hold(lease, asked)  # and once more around: it may have stood still while it asked

    async def release(self, lease: Lease) -> None:
        """Release a request at once, raising DatabaseUnavailableError; the first that looks takes it."""
        await self.release_all([lease])
        self.drop(lease)
        self.wake()

    async def release_all(self, leases: Sequence[Lease]) -> None:
        """Let go of these at the end of this process, raising DatabaseUnavailableError."""
        if leases:
            await self._journal.writer.post(self._journal.leases.release, leases)

    def wake(self) -> None:
        """Something was let go: have it looked for now."""
        if self._wake is not None:
            self._wake()

    async def list_watched(self) -> list[Sighting]:
        """Everything that some process must hold, as it stands now, raising DatabaseUnavailableError."""
        seen = await self._journal.reader.read(self._journal.leases.list_watched)
        # A claim that was read may not be known to its caller yet, which is the one to say that it is held here.
        await self._journal.writer.catch_up()
        return seen

    async def take_over(self, sightings: Sequence[Sighting]) -> list[Record]:
        """Those that still stand as they were seen, now to be resolved here, raising DatabaseUnavailableError."""
        return await self._journal.writer.write(self._journal.leases.take_over, sightings) if sightings else []

    async def let_go(self, sightings: Sequence[Sighting]) -> None:
        """Make those that still stand as they were seen anybody's, raising DatabaseUnavailableError."""
        if sightings:
            await self._journal.writer.write(self._journal.leases.let_go, sightings)

    async def renew(self) -> None:
        """Move on every lease of what runs or is delivered here, raising DatabaseUnavailableError."""
        asked, leases = self.now(), {request_id: held.lease for request_id, held in self._held.items()}
        callers = [request_id for request_id in self._callers if request_id not in leases]
        if not (leases or callers):
            return
        kept = await self._journal.writer.write(self._journal.leases.renew, [*leases, *callers])
        for request_id, lease in leases.items():
            if kept.get(request_id) == lease:
                held = self._held.get(request_id)
                if held is not None and held.lease == lease:
                    self.hold(lease, asked)
        for request_id in callers:
            if request_id not in kept:  # everybody has it: nothing of it is to be kept any more
                self._callers.pop(request_id, None)
