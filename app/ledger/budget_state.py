"""A budget and what is taken of it, and of how much its owner is to be told. Pure; amounts are nano-dollars."""

from dataclasses import dataclass

from app.domain.caller import Period

USED_UP, NEARLY_USED_UP = 100, 80
"""Percent of a budget."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """The budget of a key and what is taken of it; amounts are nano-dollars. `first_day` begins its period."""

    key_id: str
    name: str
    budget: int
    period: Period
    first_day: int
    spent: int
    reserved: int

    @property
    def level(self) -> int:
        """How much of it is taken, as far as somebody is to be told."""
        return level_of(self.budget, self.spent + self.reserved)


def level_of(budget: int, taken: int) -> int:
    """How much of a budget is taken, as far as somebody is to be told."""
    # Nothing of a budget of nothing can be taken: such a key was never meant to spend.
    if budget <= 0:
        return 0
    percent = taken * 100 // budget
    return USED_UP if percent >= USED_UP else NEARLY_USED_UP if percent >= NEARLY_USED_UP else 0
