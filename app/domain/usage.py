"""What is asked of the requests of the past in sums, and what they say. Frozen values without behavior."""

from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from enum import StrEnum


class GroupBy(StrEnum):
    """What the rows of usage have in common."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"
    USER = "user"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """Which requests, and how they are grouped: those begun from `start` until before `end`, in unix seconds."""

    group_by: GroupBy
    start: float
    end: float
    zone: tzinfo
    """Whose calendar days count."""
    tenant: str | None = None
    """Whose requests; None for all."""
    limit: int = 1000
    offset: int = 0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Sums of a group. `value` is what it has in common, None for no user; durations are of requests that ended."""

    value: str | None
    requests: int
    images: int
    cost: Decimal
    """Of the requests of which Runware has said what they cost."""
    estimated_cost: Decimal
    """Of those of which it has not, as the ledger books it."""
    failures: int
    p50_seconds: float | None
    p95_seconds: float | None
    dropped: int
    name: str | None = None
    """What the operator calls a key."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """One page of rows, and the sums over all of them."""

    rows: tuple[UsageRow, ...]
    total: UsageRow
    has_more: bool
