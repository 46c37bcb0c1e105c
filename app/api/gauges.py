"""What a process does and holds now, stated as metrics every second, and right before it shows them itself.

Other processes cannot ask this one: they read what it last stated. Owns which part of the gateway tells what.
"""

from dataclasses import dataclass

from app.access.admission import Admission, MemoryBudget
from app.database.writer import Writer
from app.images.workers.pool import Workers
from app.media.sweeper import ImageSweeper
from app.observability import families as f
from app.observability.background import Loop
from app.observability.logs import get_logger
from app.observability.metrics import Metrics
from app.runware.account import RunwareAccount
from app.runware.client import RunwareClient

_logger = get_logger("metrics")
_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The parts of a process that have something to tell."""

    tasks: Admission
    memory: MemoryBudget
    runware: RunwareClient
    account: RunwareAccount
    writer: Writer
    workers: Workers
    images: ImageSweeper


class Gauges:
    """States what `watched` does now."""

    def __init__(self, metrics: Metrics, watched: Watched) -> None:
        self._metrics = metrics
        self._watched = watched
        self._refused_tasks = self._refused_bytes = 0
        self.loop = Loop(self._state, _EVERY_SECONDS, _logger, "metrics cannot be stated")

    def state(self) -> None:
        """State all of it as it is now."""
        metrics, parts = self._metrics, self._watched
        memory = parts.memory
        metrics.state(f.TASKS, parts.tasks.in_flight)
        metrics.state(f.TASKS_LIMIT, parts.tasks.capacity)
        metrics.state(f.BYTES, memory.in_flight)
        metrics.state(f.BYTES_LIMIT, memory.max_bytes)
        metrics.state(f.QUEUE, parts.tasks.queued + memory.queued)
        metrics.state(f.BREAKER, parts.runware.unreachable)
        metrics.state(f.BACKLOG, parts.writer.backlog)
        metrics.state(f.STORED, parts.images.used)
        metrics.state_workers(parts.workers.states())
        balance = parts.account.last_known
        if balance is not None:
            metrics.state_balance(balance.dollars, is_low=parts.account.is_low)
        self._count_refusals()

    def _count_refusals(self) -> None:
        tasks, memory = self._watched.tasks.refused, self._watched.memory.refused
        self._metrics.refused("tasks", tasks - self._refused_tasks)
        self._metrics.refused("bytes", memory - self._refused_bytes)
        self._refused_tasks, self._refused_bytes = tasks, memory

    async def _state(self) -> None:
        self.state()
