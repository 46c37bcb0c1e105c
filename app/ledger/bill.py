"""What a request cost: the one sum that answer, stream, record, webhook and totals show. Pure.

Unknown stays unknown: where Runware has not said what one part cost there is no total, and what is known stands beside
it. Leaves to `runware` which costs can be believed, and to the journal where they are written down.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Self

from msgspec import Struct, field

from app.domain.answer import TaskCost

Costs = tuple[TaskCost, ...]
"""What all tasks cost that may have been sent; empty where surely none was."""


def known_cost(costs: Iterable[TaskCost]) -> Decimal:
    """What is known of them, in dollars."""
    return sum((task.known for task in costs), Decimal(0))


def total_cost(costs: Iterable[TaskCost]) -> Decimal | None:
    """All of it, None where a part is unknown."""
    total = Decimal(0)
    for task in costs:
        # Never a partial sum as if it were the total: a missing cost looks like a cheap image.
        if not task.is_complete:
            return None
        total += task.known
    return total


class Bill(Struct, eq=False):
    """The costs of one request while it is executed.

    A task is unknown from the moment it may be sent until its end, so that a fault in between never looks free.
    """

    _tasks: dict[str, TaskCost] = field(default_factory=dict)

    @classmethod
    def of(cls, earlier: Iterable[TaskCost]) -> Self:
        """A bill on which this stands already."""
        return cls({task.task_id: task for task in earlier})

    def open_task(self, task_id: str) -> None:
        """This task may be sent now."""
        # Before sending, as unknown: whatever fails from here on is not taken for free (0065).
        self._tasks.setdefault(task_id, TaskCost(task_id, Decimal(0), is_complete=False))

    def add(self, task_id: str, costs: Sequence[Decimal | None], *, is_complete: bool) -> None:
        """What the images of a task cost; not complete where there may be more to pay.

        What was known once stays known, even where Runware says less when it is asked again.
        """
        earlier = self._tasks.get(task_id)
        known = Decimal(0)
        for cost in costs:
            if cost is None:
                is_complete = False
            elif cost:  # a zero would only change with how many digits the sum is written
                known += cost
        # Later answers may say less, as when Runware has forgotten some images of the task. Money that was seen stays
        # seen.
        if earlier is not None and not is_complete and (earlier.is_complete or earlier.known > known):
            return
        self._tasks[task_id] = TaskCost(task_id, known, is_complete=is_complete)

    @property
    def costs(self) -> Costs:
        """The costs of all tasks, as far as they are known by now."""
        return tuple(self._tasks.values())

    def costs_of(self, task_ids: Iterable[str]) -> Costs:
        """Those of some tasks."""
        return tuple(self._tasks[task_id] for task_id in task_ids if task_id in self._tasks)
