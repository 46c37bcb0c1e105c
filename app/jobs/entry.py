"""One request of a caller on its way through this process: who waits for what, and what is held for it meanwhile.

Owns nothing of the way itself: `claiming` fills in what it takes and `carrier` gives all of it back, in one place.
"""

import asyncio

from msgspec import Struct

from app.access.admission import Ticket
from app.domain.outcome import Outcome
from app.jobs.job import Parts, RunningJob
from app.journal.records import Lease, Record
from app.planning.prepared import Prepared


class Accepted(Struct, frozen=True):
    """A request that is durable: its work has begun here, or it joins what was begun before."""

    record: Record
    is_new: bool
    is_replay: bool
    """The key of the request led to an earlier one."""
    running: RunningJob | None = None
    """Its work, where that is done here."""

    @property
    def parts(self) -> Parts | None:
        """The parts of its answer, where they can be listened to."""
        return None if self.running is None else self.running.job.parts


class Entry(Struct, eq=False):
    """A request from its claim to the end of its work here. What is held for it stands here from when it is taken."""

    prepared: Prepared
    caller: asyncio.Future[Outcome | None]
    """What its caller waits for; cancelled, that caller has left. Told None, it finds what is known in `accepted`."""
    waits: bool
    """The caller is told how new work ends, and not before."""
    accepted: Accepted | None = None
    """Set once the caller has been counted and is about to be told; from then on it sees to its own receipt."""
    counted: str | None = None
    """The request as whose caller it is counted, until then."""
    ticket: Ticket | None = None
    is_queued: bool = False
    """It is claimed as one that waits for its turn, so that its beginning has to be written down."""
    lease: Lease | None = None
    """Its claim is new, and its work is to be done here."""

    def tell(self, outcome: Outcome | None) -> None:
        """Wake the caller, if it still waits."""
        if not self.caller.done():
            self.caller.set_result(outcome)

    def end_wait(self) -> None:
        """The time of the caller is over: it is told what is known, as soon as its claim is."""
        self.waits = False
        if self.accepted is not None:
            self.tell(None)
