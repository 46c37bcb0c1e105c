"""Work that is carried out apart from its caller, and what it costs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal

from app.access.admission import Ticket
from app.domain.answer import Answer
from app.runware.results import TaskResult


@dataclass(slots=True)
class Costs:
    """What each task of a request cost, in dollars, as soon as that is known."""

    by_task: dict[str, Decimal] = field(default_factory=dict)

    def add(self, task_id: str, result: TaskResult) -> None:
        """What the images of a task cost; nothing where the cost of one is unknown, or whether there are more."""
        known = [image.cost for image in result.images if image.cost is not None]
        if len(known) == len(result.images) and not result.unresolved:
            self.by_task[task_id] = sum(known, Decimal(0))

    def as_texts(self) -> dict[str, str]:
        """What each task cost, as the journal keeps it."""
        return {task_id: format(cost, "f") for task_id, cost in self.by_task.items()}

    @property
    def total(self) -> Decimal | None:
        """Their sum, None where nothing is known."""
        return sum(self.by_task.values(), Decimal(0)) if self.by_task else None


Work = Callable[[str, Costs], Awaitable[Answer]]
"""Makes the answer of the request with this id, writing down costs on the way."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work with what must be known before it.

    `admit` gives a place or raises; `keeps` stores embedded images; `on_end` is called when all is written down.
    `last` says that nobody will look for its images again when it fails unexpectedly.
    """

    work: Work
    admit: Callable[[], Ticket]
    keeps: bool
    on_end: Callable[[], None] | None = None
    last: bool = False
