"""A claimed request that runs here, what it is made of, and what carries it out.

Owns the parts of an answer as they come, for callers that listen. Leaves the making of images to an `Executor`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from msgspec import Struct

from app.domain.outcome import Answered, Failed, Outcome, Part, Unresolved
from app.domain.values import replace
from app.errors import GatewayError, Spent
from app.journal.records import Lease, Record
from app.ledger.bill import Bill, known_cost, total_cost
from app.planning.prepared import Prepared

Event: TypeAlias = Part | Failed | Unresolved
"""What a stream tells: the parts as they are made, and last what went wrong."""


class Parts:
    """The parts of one answer, kept until the end: a stream that joins late gets them all (0112)."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._ended = False
        self._changed = asyncio.Event()

    def put(self, event: Event) -> None:
        """Tell all who listen."""
        self._events.append(event)
        self._notify()

    def end(self, outcome: Outcome) -> None:
        """Nothing comes any more; a bad outcome is an event, unless a failure was one. Only the first end counts."""
        if self._ended:
            return
        reported = self._events[-1:] and not isinstance(self._events[-1], Part)
        if isinstance(outcome, Failed | Unresolved) and not reported:
            self._events.append(outcome)
        self._ended = True
        self._notify()

    async def listen(self, silence: float) -> AsyncIterator[Event | None]:
        """Everything from the first part on, None after so many seconds without one."""
        place = 0
        while True:
            for event in self._events[place:]:
                place += 1
                yield event
            if place < len(self._events):
                continue
            if self._ended:
                return
            try:
                async with asyncio.timeout(silence):
                    await self._changed.wait()
            except TimeoutError:
                yield None

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Job(Struct, frozen=True):
    """A claimed request that runs here."""

    lease: Lease
    bill: Bill
    confirm: Callable[[], Awaitable[None] | None]
    """Asked before anything is sent for it; see `LeaseKeeper.confirm`."""
    parts: Parts | None = None
    """Where its parts are reported; None where nobody can listen."""
    first: asyncio.Future[Outcome | None] | None = None
    """What the caller waits for whose request it is, as long as that is not done."""

    @property
    def request_id(self) -> str:
        """The id of its request."""
        return self.lease.request_id

    def end_parts(self, outcome: Outcome) -> None:
        """Tell those who listen that nothing more comes, and why where it failed."""
        if self.parts is not None:
            self.parts.end(outcome)

    def fail(self, error: GatewayError) -> Failed:
        """The outcome for an error, with what is known to have been spent by now."""
        costs = self.bill.costs
        return Failed(self.lease.request_id, error, Spent(total_cost(costs), known_cost(costs)))


class Executor(Protocol):
    """What makes the images of a job. A GatewayError that it raises is how the job failed."""

    async def execute(self, prepared: Prepared, job: Job) -> Outcome:
        """Buy and deliver what was prepared; its parts are reported as they come."""
        ...

    async def resolve(self, record: Record, job: Job) -> Outcome:
        """Find out what became of a request that another process began, and deliver what was made; buys nothing."""
        ...


class Wakeable(Protocol):
    """What sends the webhooks of requests that have ended."""

    def wake(self) -> None:
        """Something may be due now."""
        ...


class RunningJob(Struct, frozen=True):
    """A job and the task of the event loop that carries it out.

    Its result is there once it has ended: None where another process has the request by now.
    """

    job: Job
    task: asyncio.Task[Outcome | None]


RunningJobs: TypeAlias = dict[str, RunningJob]
"""The jobs of this process by request id; its carrier alone changes them."""


def as_replay(outcome: Outcome) -> Outcome:
    """The outcome, as one that was there before; one that is not there yet cannot be."""
    match outcome:
        case Answered(answer):
            return Answered(replace(answer, replayed=True))
        case Failed():
            return replace(outcome, is_replay=True)
        case Unresolved():
            return outcome
