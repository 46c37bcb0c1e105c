"""How a request that was accepted ended, or that nobody knows yet. Frozen values without behavior.

An outcome is a value and not an exception: that the wait is over says nothing of the work, and the same failure may be
given to several callers (0111). Leaves statuses to `api` and what an error means to `errors`.
"""

from typing import TypeAlias

from msgspec import Struct

from app.domain.answer import Answer
from app.errors import GatewayError, Spent


class Answered(Struct, frozen=True):
    """There are images."""

    answer: Answer


class Failed(Struct, frozen=True):
    """There are none, and there will be none. `spent` is None where it is not known to have been sent."""

    request_id: str
    error: GatewayError
    spent: Spent | None = None
    is_replay: bool = False
    """It was answered before, under the same key."""


class Unresolved(Struct, frozen=True):
    """Nobody knows yet: the work goes on, or somebody finds out what became of it (0054)."""

    request_id: str


Outcome: TypeAlias = Answered | Failed | Unresolved


class Part(Struct, frozen=True):
    """The answer of one task of a request; its images are counted from `first_index`."""

    first_index: int
    answer: Answer
