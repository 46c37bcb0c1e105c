"""Work that is carried out apart from its caller."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.access.admission import Ticket
from app.domain.answer import Answer, TaskCost
from app.ledger.bill import Bill
from app.runware.transport import Permit

Work = Callable[[str, Bill, Permit], Awaitable[Answer]]
"""Makes the answer of the request with this id, adding to its bill on the way, and asking right before it buys."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work with what must be known before it.

    `admit` gives a place or raises; `keeps` stores embedded images; `on_end` is called when all is written down.
    `last` says that nobody will look for its images again when it fails unexpectedly; `earlier_costs` is what
    its tasks are known to have cost before.
    """

    work: Work
    admit: Callable[[], Ticket]
    keeps: bool
    on_end: Callable[[], None] | None = None
    last: bool = False
    # What was known to be paid stays known, even if a second look at Runware says less.
    earlier_costs: tuple[TaskCost, ...] = ()
