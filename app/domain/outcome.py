"""How a request that was accepted ended, or that nobody knows yet. Frozen values without behavior.

An outcome is a value and not an exception: that the wait is over says nothing of the work, and the same failure may be
given to several callers (0111). Leaves statuses to `api` and what an error means to `errors`.
"""

from dataclasses import dataclass
from typing import TypeAlias

from app.domain.answer import Answer
from app.errors import GatewayError, Spent


@dataclass(frozen=True, slots=True)
class Answered:
    """There are images."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    """There are none, and there will be none. `spent` is None where it is not known to have been sent."""

    request_id: str
    error: GatewayError
    spent: Spent | None = None
    is_replay: bool = False
    """It was answered before, under the same key."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Nobody knows yet: the work goes on, or somebody finds out what became of it (0054)."""

    request_id: str


Outcome: TypeAlias = Answered | Failed | Unresolved


@dataclass(frozen=True, slots=True)
class Part:
    """The answer of one task of a request; its images are counted from `first_index`."""

    first_index: int
    answer: Answer
