"""Whose turn it is at a bounded number of places. Pure bookkeeping, without clocks and tasks.

What is paid for goes before what is not, and one owner holds at most half of the places while others wait.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.images.workers.bounds import Job

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[_T]):
    entry: _T
    job: Job


class Turns(Generic[_T]):
    """Entries that wait for one of `places`, in no order but that of their turns."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._half = max(1, places // 2)
        self._waiting: list[_Waiting[_T]] = []
        self._held: Counter[str] = Counter()
        self._served: dict[str, int] = {}
        self._turn = 0

    def add(self, entry: _T, job: Job) -> None:
        """Add an entry to those that wait."""
        self._waiting.append(_Waiting(entry, job))

    def withdraw(self, entry: _T) -> None:
        """Take an entry out that waits no more."""
        self._waiting = [waiting for waiting in self._waiting if waiting.entry is not entry]

    def take_next(self) -> tuple[_T, Job] | None:
        """The entry whose turn it is, which now holds a place; None when none is free or nothing may start."""
        ready = [waiting for waiting in self._waiting if self._may_start(waiting.job)] if self._free else []
        if not ready:
            return None
        chosen = min(ready, key=lambda waiting: self._rank(waiting.job))  # the first of equals: order of arrival
        self._waiting.remove(chosen)
        owner = chosen.job.owner
        self._free -= 1
        self._turn += 1
        self._held[owner] += 1
        self._served[owner] = self._turn
        return chosen.entry, chosen.job

    def give_back(self, job: Job) -> None:
        """Give back the place of a job that was taken."""
        self._free += 1
        self._held[job.owner] -= 1
        if not self._held[job.owner]:
            del self._held[job.owner]
        if not self._held and not self._waiting:
            self._served.clear()  # owners come and go; their past matters only among those who are here

    def _may_start(self, job: Job) -> bool:
        """Beyond its half an owner gets only what is soon over: the next owner does not wait long."""
        return job.urgent or not job.is_long or self._held[job.owner] < self._half

    def _rank(self, job: Job) -> tuple[bool, bool, int, int]:
        held = self._held[job.owner]
        # Fairness before urgency: one caller's paid images may not shut out everybody else's.
        return held >= self._half, not job.urgent, held, self._served.get(job.owner, 0)
