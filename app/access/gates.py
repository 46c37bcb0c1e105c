"""What a request passes before it is carried out, as one value."""

from dataclasses import dataclass, field
from typing import Self

from app.access.admission import Admission
from app.access.budgets import Accounts
from app.access.meters import Meters
from app.database.reader import Reader
from app.observability.metrics import Metrics
from app.settings.limits import SpendingSettings


@dataclass(frozen=True, slots=True)
class Gates:
    """How much runs at once, what keys may spend and how fast, what is shown of that, and where it is counted."""

    admission: Admission
    accounts: Accounts
    meters: Meters
    metrics: Metrics = field(default_factory=Metrics.off)

    @classmethod
    def on(cls, admission: Admission, reader: Reader, spending: SpendingSettings, metrics: Metrics) -> Self:
        """Those of a gateway with these settings."""
        return cls(admission, Accounts(spending.unpriced_reserve), Meters(reader), metrics)
