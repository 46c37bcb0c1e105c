"""What the client tells of a task when it has ended. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from app.runware.failures import ProviderFailure
from app.runware.members import JSONMember
from app.runware.wire import Image


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange with Runware. `kind` is `submit` or `collect`; `outcome` is `ok` or what went wrong."""

    kind: str
    outcome: str
    status: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of a task: its images, and why others are missing.

    `unresolved` when nobody could tell in time: there may be more images, and more to pay. `is_read` is False where an
    answer about it could not be read, which may have told of more to pay. `others` is what Runware said of no image in
    particular.
    """

    images: tuple[Image, ...]
    failures: tuple[ProviderFailure, ...]
    exchanges: tuple[Exchange, ...]
    unresolved: bool = False
    is_read: bool = True
    others: Mapping[str, JSONMember] = field(default_factory=dict)

    @property
    def costs(self) -> tuple[Decimal | None, ...]:
        """What each image cost, None where Runware did not say."""
        return tuple(image.cost for image in self.images)

    @property
    def is_billed(self) -> bool:
        """Whether nothing but these images can have cost anything."""
        return self.is_read and not self.unresolved
