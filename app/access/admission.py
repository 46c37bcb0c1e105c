"""How much this process does or holds at once, and who is next: fair by API key, with a bounded queue.

Owns the two counts: tasks at Runware, and bytes in memory. What a request weighs is known to its callers. Not for
several threads.
"""

import asyncio
from collections import deque
from typing import Protocol, Self

from msgspec import Struct

from app.errors import OverloadedError, UnavailableError
from app.settings.limits import LoadSettings

_UNREACHABLE_SECONDS = 5
"""When to try again while the provider is away."""
_UNWEIGHED_BYTES = 64 * 1024
"""Bodies up to here are read at once: the number of connections bounds them."""


class Provider(Protocol):
    """What carries out what is admitted."""

    @property
    def unreachable(self) -> bool:
        """Whether it has not answered for a while."""
        ...


class Ticket(Struct, eq=False):
    """A place for one request: taken at once or waited for, and given back in the end whatever happened."""

    admission: "Admission"
    tenant: str
    weight: int
    waits: bool = False
    """Whether its turn has not come yet."""
    turn: asyncio.Future[None] | None = None
    """Told when it has, where somebody waits for that."""
    is_back: bool = False

    async def wait_turn(self) -> None:
        """Wait until the work may begin."""
        if self.waits:
            self.turn = asyncio.get_running_loop().create_future()
            await self.turn

    def resize(self, weight: int) -> None:
        """Weigh something else from now on. Growing never waits, so that a holder of a place can always go on."""
        if not self.is_back and weight != self.weight:
            self.admission.reweigh(self, weight)

    def release(self) -> None:
        """Give the place back; a second time does nothing."""
        if self.is_back:
            return
        # First, so that a second release, as from a cleanup after an error, frees nobody else's place.
        self.is_back = True
        admission = self.admission
        if self.waits or admission.queued:
            admission.end_ticket(self)
        else:
            # Nobody is to be told: of each request this is done three times.
            admission.in_flight -= self.weight


class Admission:
    """Gives out places for `capacity` units at once; `max_queued` requests wait, `max_queued_per_key` of one API key.

    Those that wait are served in turns, one request of each API key after the other, so that one busy key does not keep
    the others out. A request with more units than there are takes all of them. While `provider` is away there is none.
    """

    def __init__(
        self,
        capacity: int,
        max_queued: int,
        max_queued_per_key: int | None = None,
        provider: Provider | None = None,
    ) -> None:
        self.capacity = capacity
        """Units that there are."""
        self._max_queued = max_queued
        self._max_queued_per_key = max_queued if max_queued_per_key is None else max_queued_per_key
        self._provider = provider
        self._queues: dict[str, deque[Ticket]] = {}
        self.in_flight = 0
        """Units that are given out now."""
        self.queued = 0
        """Requests that wait now."""
        self.refused = 0
        """Requests for which not even the queue had room."""

    @classmethod
    def of_tasks(cls, provider: Provider, load: LoadSettings) -> Self:
        """The places among the tasks at `provider`."""
        return cls(load.max_in_flight, load.max_queued, load.max_queued_per_key, provider)

    def take(self, tenant: str, weight: int) -> Ticket:
        """A place for a request of so many units, raising OverloadedError when even the queue is full.

        The queue is bounded per key as well: the keys that wait less still get in when one has filled its share.
        UnavailableError where the provider is away.
        """
        if self._provider is not None and self._provider.unreachable:
            # Nothing is queued for a provider that is away: callers would wait for their timeout to learn it.
            message = "Runware does not answer at the moment. Nothing was sent; try again shortly."
            raise UnavailableError(message, retry_after=_UNREACHABLE_SECONDS, should_retry=True)
        # A request larger than the capacity would wait forever.
        weight = min(weight, self.capacity)
        # Not past those who wait, even if this one is small enough: small requests would starve large ones.
        if not self.queued and self.in_flight + weight <= self.capacity:
            self.in_flight += weight
            return Ticket(self, tenant, weight)
        return self._queue(Ticket(self, tenant, weight, waits=True))

    def end_ticket(self, ticket: Ticket) -> None:
        """A ticket is given back; what fits now begins."""
        if not ticket.waits:
            self.in_flight -= ticket.weight
        else:
            queue = self._queues[ticket.tenant]
            queue.remove(ticket)
            self.queued -= 1
            if not queue:
                del self._queues[ticket.tenant]
        self._advance()

    def reweigh(self, ticket: Ticket, weight: int) -> None:
        """A ticket weighs something else; what fits now begins."""
        if not ticket.waits:
            # May exceed the capacity: what runs must be able to end, or all would wait for one another.
            self.in_flight += weight - ticket.weight
        ticket.weight = weight
        self._advance()

    def _queue(self, ticket: Ticket) -> Ticket:
        waiting = len(self._queues.get(ticket.tenant, ()))
        if self.queued >= self._max_queued or waiting >= self._max_queued_per_key:
            self.refused += 1
            raise OverloadedError
        self._queues.setdefault(ticket.tenant, deque()).append(ticket)
        self.queued += 1
        return ticket

    def _advance(self) -> None:
        """Begin what fits, in turns. What comes next and is too large is waited for, lest it wait forever."""
        while self._queues:
            tenant, queue = next(iter(self._queues.items()))
            # No skipping ahead: smaller requests behind it would keep a large one waiting without end.
            if self.in_flight + queue[0].weight > self.capacity:
                return
            ticket = queue.popleft()
            self.queued -= 1
            del self._queues[tenant]
            if queue:
                self._queues[tenant] = queue  # behind all others
            self.in_flight += ticket.weight
            ticket.waits = False
            if ticket.turn is not None and not ticket.turn.done():
                ticket.turn.set_result(None)


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
            return Ticket(self.bodies, tenant, 0)
        return self.bodies.take(tenant, announced)
