"""What the ledger must hold for a request, and the entry that takes it there. Pure; amounts are nano-dollars."""

from enum import StrEnum

from msgspec import Struct


class EntryKind(StrEnum):
    """Why what is held for a request changes."""

    RESERVE = "reserve"
    """It was accepted."""
    SETTLE = "settle"
    """It ended, and cost something."""
    RELEASE = "release"
    """It ended or was taken back, and cost nothing."""
    ADJUST = "adjust"
    """What it cost is known better than when it was settled."""


class Standing(Struct, frozen=True):
    """What is held for one request: reserved while it runs, spent once it ended."""

    reserved: int = 0
    spent: int = 0
    is_estimated: bool = False
    """What is spent is a guess until Runware says what it cost."""

    @property
    def is_settled(self) -> bool:
        """Whether it ended, and cost something as far as anybody knows."""
        return self.spent > 0 or self.is_estimated

    @property
    def known(self) -> int:
        """What Runware said that it cost."""
        return 0 if self.is_estimated else self.spent

    @property
    def taken(self) -> int:
        """What others cannot spend any more."""
        return self.reserved + self.spent


NOTHING = Standing()


class Money(Struct, frozen=True):
    """What the journal knows of a request's money. `cost` is None until all of it is known."""

    is_final: bool
    reserve: int
    cost: int | None
    known_cost: int | None


def standing_of(money: Money | None, before: Standing) -> Standing:
    """What must be held for a request of which the journal says `money`, or which it has no more."""
    if money is None:
        return NOTHING
    if not money.is_final:
        # Opened again to fetch its images once more: what was paid stays paid, and nothing new is bought (0053).
        return before if before.is_settled else Standing(reserved=money.reserve)
    if money.cost is not None:
        return Standing(spent=money.cost)
    # Unknown is never free: the guess stands, or more where more is known already (0113).
    return Standing(spent=max(money.reserve, money.known_cost or 0), is_estimated=True)


def kind_of(before: Standing, after: Standing) -> EntryKind | None:
    """The kind of entry that leads from one to the other, None where nothing changes."""
    if before == after:
        return None
    if after.reserved > before.reserved:
        return EntryKind.RESERVE
    # By what was spent, not by what was reserved: nothing is reserved for what has no price.
    if before.is_settled:
        return EntryKind.ADJUST
    return EntryKind.SETTLE if after.is_settled else EntryKind.RELEASE
