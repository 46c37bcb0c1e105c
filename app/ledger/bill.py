"""What a request cost: the one sum that answer, stream, record, webhook and totals show. Pure.

Unknown stays unknown: where Runware has not said what one part cost there is no total, and what is known stands beside
it. Leaves to `runware` which costs can be believed, and to the journal where they are written down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.domain.answer import TaskCost


@dataclass(frozen=True, slots=True)
class Bill:
    """The costs of all tasks that may have been sent; there are none where surely nothing was."""

    tasks: tuple[TaskCost, ...] = ()

    @property
    def known_cost(self) -> Decimal:
        """What is known of it, in dollars."""
        return sum((task.known for task in self.tasks), Decimal(0))

    @property
    def cost(self) -> Decimal | None:
        """All of it, None where a part is unknown."""
        # Never a partial sum as if it were the total: a missing cost looks like a cheap image.
        return self.known_cost if all(task.is_complete for task in self.tasks) else None

    def of(self, task_ids: Iterable[str]) -> "Bill":
        """The part of it that these tasks are."""
        wanted = frozenset(task_ids)
        return Bill(tuple(task for task in self.tasks if task.task_id in wanted))


class RunningBill:
    """The bill of a request that is being carried out.

    A task is unknown from the moment it may be sent until its end, so that a fault in between never looks free.
    """

    def __init__(self, earlier: Iterable[TaskCost] = ()) -> None:
        self._tasks = {task.task_id: task for task in earlier}

    def open_task(self, task_id: str) -> None:
        """This task may be sent now."""
        # Before sending, as unknown: whatever fails from here on is not taken for free (0065).
        self._tasks.setdefault(task_id, TaskCost(task_id, Decimal(0), is_complete=False))

    def add(self, task_id: str, costs: Sequence[Decimal | None], *, is_complete: bool) -> None:
        """What the images of a task cost; not complete where there may be more to pay.

        What was known once stays known, even where Runware says less when it is asked again.
        """
        earlier = self._tasks.get(task_id)
        known = sum((cost for cost in costs if cost is not None), Decimal(0))
        is_complete = is_complete and None not in costs
        # Later answers may say less, as when Runware has forgotten some images of the task. Money that was seen stays
        # seen.
        if earlier is not None and not is_complete and (earlier.is_complete or earlier.known > known):
            return
        self._tasks[task_id] = TaskCost(task_id, known, is_complete=is_complete)

    @property
    def current(self) -> Bill:
        """The bill as far as it is known by now."""
        return Bill(tuple(self._tasks.values()))
