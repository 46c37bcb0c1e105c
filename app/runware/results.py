"""What the client tells of a task when it has ended. Pure values."""

from dataclasses import dataclass

from app.runware.failures import Failure
from app.runware.tasks import Image


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

    `unresolved` when nobody could tell in time: there may be more images, and more to pay.
    """

    images: tuple[Image, ...]
    failures: tuple[Failure, ...]
    exchanges: tuple[Exchange, ...]
    unresolved: bool = False
