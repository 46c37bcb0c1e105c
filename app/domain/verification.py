"""What a look at the whole ledger found: what was compared, and what does not agree. Frozen values."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Difference:
    """Two places that do not say the same. `subject` is `request`, `bill`, `account`, `totals` or `ledger`."""

    subject: str
    id: str
    ledger: str
    journal: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared, and what differs; amounts in dollars. `removed` was paid for requests that are summed up."""

    requests: int
    entries: int
    accounts: int
    reserved: Decimal
    spent: Decimal
    estimated: Decimal
    removed: Decimal
    differences: tuple[Difference, ...]
    more_differences: int

    @property
    def is_exact(self) -> bool:
        """Whether all balances agree."""
        return not self.differences
