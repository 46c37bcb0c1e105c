"""How much this process does or holds at once, and who is next: fair by API key, with a bounded queue.

Owns the two counts: tasks at Runware, and bytes in memory. What a request weighs is known to its callers. Not for
several threads.
"""

import asyncio
from collections import deque
from typing import Protocol, Self

from app.errors import OverloadedError, UnavailableError
from app.settings.limits import LoadSettings

_UNREACHABLE_SECONDS = 5
"""When to try again while the provider is away."""
_UNWEIGHED_BYTES = 64 * 1024
"""Bodies up to here are read at once: the number of connections bounds them."""


class Ticket:
    """A place for one request: taken at once or waited for, and given back in the end whatever happened.

    As a block it waits for its turn first, and is given back behind it.
    """

    def __init__(self, admission: "Admission", tenant: str, weight: int) -> None:
        self._admission = admission
        self.tenant = tenant
        self.weight = weight
        self._turn: asyncio.Future[None] | None = None
        self._holds = False
        self._ended = False

    async def __aenter__(self) -> Self:
        try:
            await self.wait_turn()
        except BaseException:
            self.release()  # the block does not run, so nothing else would
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()

    @property
    def waits(self) -> bool:
        """Whether its turn has not come yet."""
        return not self._holds

    async def wait_turn(self) -> None:
        """Wait until the work may begin."""
        if self._holds:
            return
        self._turn = asyncio.get_running_loop().create_future()
        await self._turn

    def admit(self) -> None:
        """Let the work begin. Called by Admission only, which has counted the weight by then."""
        self._holds = True
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    def resize(self, weight: int) -> None:
        """Weigh something else from now on. Growing never waits, so that a holder of a place can always go on."""
        if not self._ended:
            self._admission.reweigh(self, weight, held=self._holds)

    def release(self) -> None:
        """Give the place back; a second time does nothing."""
        if not self._ended:
            # First, so that a second release, as from a cleanup after an error, frees nobody else's place.
            self._ended = True
            self._admission.end_ticket(self, held=self._holds)


class Admission:
    """Gives out places for `capacity` units at once; `max_queued` requests wait, `max_queued_per_key` of one API key.

    Those that wait are served in turns, one request of each API key after the other, so that one busy key does not keep
    the others out. A request with more units than there are takes all of them.
    """

    def __init__(self, capacity: int, max_queued: int, max_queued_per_key: int | None = None) -> None:
        self.capacity = capacity
        """Units that there are."""
        self._max_queued = max_queued
        self._max_queued_per_key = max_queued if max_queued_per_key is None else max_queued_per_key
        self._queues: dict[str, deque[Ticket]] = {}
        self.in_flight = 0
        """Units that are given out now."""
        self.queued = 0
        """Requests that wait now."""
        self.refused = 0
        """Requests for which not even the queue had room."""

    def take(self, tenant: str, weight: int) -> Ticket:
        """A place for a request of so many units, raising OverloadedError when even the queue is full.

        The queue is bounded per key as well: the keys that wait less still get in when one has filled its share.
        """
        # A request larger than the capacity would wait forever.
        ticket = Ticket(self, tenant, min(weight, self.capacity))
        waiting = len(self._queues.get(tenant, ()))
        # Not past those who wait, even if this one is small enough: small requests would starve large ones.
        if not self.queued and self._fits(ticket):
            self._begin(ticket)
        elif self.queued < self._max_queued and waiting < self._max_queued_per_key:
            self._queues.setdefault(tenant, deque()).append(ticket)
            self.queued += 1
        else:
            self.refused += 1
            raise OverloadedError
        return ticket

    def admit_unmetered(self) -> Ticket:
        """A place for work that was begun before and only has to be found: it takes none from others."""
        ticket = Ticket(self, "", 0)
        self._begin(ticket)
        return ticket

    def end_ticket(self, ticket: Ticket, *, held: bool) -> None:
        """A ticket is given back; what fits now begins."""
        if held:
            self.in_flight -= ticket.weight
        else:
            queue = self._queues[ticket.tenant]
            queue.remove(ticket)
            self.queued -= 1
            if not queue:
                del self._queues[ticket.tenant]
        self._advance()

    def reweigh(self, ticket: Ticket, weight: int, *, held: bool) -> None:
        """A ticket weighs something else; what fits now begins."""
        if held:
            # May exceed the capacity: what runs must be able to end, or all would wait for one another.
            self.in_flight += weight - ticket.weight
        ticket.weight = weight
        self._advance()

    def _advance(self) -> None:
        """Begin what fits, in turns. What comes next and is too large is waited for, lest it wait forever."""
        while self._queues:
            tenant, queue = next(iter(self._queues.items()))
            # No skipping ahead: smaller requests behind it would keep a large one waiting without end.
            if not self._fits(queue[0]):
                return
            ticket = queue.popleft()
            self.queued -= 1
            del self._queues[tenant]
            if queue:
                self._queues[tenant] = queue  # behind all others
            self._begin(ticket)

    def _fits(self, ticket: Ticket) -> bool:
        return self.in_flight + ticket.weight <= self.capacity

    def _begin(self, ticket: Ticket) -> None:
        self.in_flight += ticket.weight
        ticket.admit()


class MemoryBudget:
    """The bound on bytes in flight, in two halves.

    A request counts while its body is read and its images wait (`bodies`), and while its tasks run (`work`). Whoever
    has been read in never waits for another body, so that neither half can block the other.
    """

    def __init__(self, max_bytes: int, load: LoadSettings) -> None:
        # Two counts: with one, bodies that wait to be read could take what running tasks need in order to end.
        half = max_bytes // 2
        self.bodies = Admission(half, load.max_queued, load.max_queued_per_key)
        # What waits here has a place among the tasks already, which bounds its number.
        self.work = Admission(max_bytes - half, max_queued=2**31)
        self.max_bytes = max_bytes

    @property
    def in_flight(self) -> int:
        """Bytes that are counted now."""
        return self.bodies.in_flight + self.work.in_flight

    @property
    def queued(self) -> int:
        """Requests that wait now to be read or to begin."""
        return self.bodies.queued + self.work.queued

    @property
    def refused(self) -> int:
        """Requests for which there was no room."""
        return self.bodies.refused

    def take_body(self, tenant: str, announced: int) -> Ticket:
        """A place for a body of `announced` bytes, raising OverloadedError when even the queue is full."""
        # A prompt must not wait behind uploads.
        if announced <= _UNWEIGHED_BYTES:
            return self.bodies.admit_unmetered()
        return self.bodies.take(tenant, announced)


class Provider(Protocol):
    """What carries out what is admitted."""

    @property
    def unreachable(self) -> bool:
        """Whether it has not answered for a while."""
        ...


class TaskAdmission(Admission):
    """Gives out places among the tasks at `provider`, and none while it is away."""

    def __init__(self, provider: Provider, load: LoadSettings) -> None:
        super().__init__(load.max_in_flight, load.max_queued, load.max_queued_per_key)
        self._provider = provider

    def take(self, tenant: str, weight: int) -> Ticket:
        """A place for so many tasks, raising UnavailableError or OverloadedError where there is none."""
        # Nothing is queued for a provider that is away: callers would wait for their timeout to learn it.
        if self._provider.unreachable:
            message = "Runware does not answer at the moment. Nothing was sent; try again shortly."
            raise UnavailableError(message, retry_after=_UNREACHABLE_SECONDS, should_retry=True)
        return super().take(tenant, weight)
