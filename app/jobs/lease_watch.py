"""Decides whose requests are abandoned, by what was seen of their leases. Does no input or output.

No clock of another process counts, nor the wall's: a lease is over when it was seen to stand still for its whole length
by somebody who looked all the time. What was let go is free at once, and later each time it had to be let go again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.journal.records import Sighting

MAX_TRIES = 16
"""A fault of ours in this take-over ends the request: with these pauses that is after more than an hour."""
_LONGEST_PAUSE_SECONDS = 600.0
_LONGEST_PAUSE_AFTER_DEATH_SECONDS = 30.0
LOOKS = 5
"""How often leases are looked at in their length."""


@dataclass(frozen=True, slots=True)
class _Seen:
    mark: tuple[int, int]
    still: float


def pause_before(tries: int) -> float:
    """Seconds a request is left alone that was taken over so often without an end."""
    # The first is at once: most takeovers end a request whose process simply died (0041).
    return 0.0 if tries == 0 else min(2.0 ** (tries - 1), _LONGEST_PAUSE_SECONDS)


class LeaseWatch:
    """What this process has seen of the leases of others. `seconds` is their length; `clock` never goes back."""

    def __init__(self, seconds: float, is_dead: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._is_dead = is_dead
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._looked: float | None = None

    def abandoned(self, sightings: Sequence[Sighting], is_here: Callable[[Sighting], bool]) -> list[Sighting]:
        """Those of all that must be held which nobody holds any more; `is_here` knows what runs in this process."""
        now = self._clock()
        # While this process stood still itself, leases may have moved unseen: so long does not count.
        passed = max(0.0, min(now - (now if self._looked is None else self._looked), 2 * self._seconds / LOOKS))
        self._looked = now
        dead = {owner for owner in {one.owner for one in sightings} if owner and self._is_dead(owner)}
        earlier, self._seen = self._seen, {}
        found = []
        for one in sightings:
            if is_here(one):
                continue
            mark, before = (one.fence, one.beat), earlier.get(one.request_id)
            # Time counts only while the numbers stayed the same between two looks of this process (0059).
            still = before.still + passed if before is not None and before.mark == mark else 0.0
            self._seen[one.request_id] = _Seen(mark, still)
            if still >= self._patience(one, dead):
                found.append(one)
        return found

    def _patience(self, one: Sighting, dead: set[str]) -> float:
        # Nobody holds it. The pause grows with each attempt, so that a request that trips our code does not spin.
        if not one.owner:
            return pause_before(one.tries)
        # Known to be dead by its process number: its callers need not wait for the lease to run out.
        shortest = 0.0 if one.owner in dead else self._seconds
        return max(shortest, min(pause_before(one.tries), _LONGEST_PAUSE_AFTER_DEATH_SECONDS))
