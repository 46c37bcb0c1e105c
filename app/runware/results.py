"""What the client tells of a task when it has ended. Pure values."""

from dataclasses import dataclass

from app.runware.errors import Failure
from app.runware.tasks import Picture


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange with Runware. `kind` is `submit` or `collect`; `outcome` is `ok` or what went wrong."""

    kind: str
    outcome: str
    status: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of a task: its pictures, and why others are missing.

    `unresolved` when nobody could tell in time: there may be more pictures, and more to pay.
    """

    pictures: tuple[Picture, ...]
    failures: tuple[Failure, ...]
    exchanges: tuple[Exchange, ...]
    unresolved: bool = False
