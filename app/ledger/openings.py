"""What this process opened and has not seen the end of: so that an end need not read back what it knows (0206).

A memory only: what is not in it is read from the journal. Used by the thread that writes alone.
"""

from collections.abc import Sequence

from msgspec import Struct

from app.domain.memory import Memory

_REMEMBERED = 8192
"""More than run at once; what waits longer is read."""


class Opening(Struct, frozen=True):
    """A request as it was accepted: whose it is, and what is reserved for it in nano-dollars."""

    request_id: str
    tenant: str
    created_at: float
    reserve: int
    executed_model: str
    n: int
    estimate: int | None


class Ended(Struct, frozen=True):
    """How such a request ended. `cost` is None where a part is unknown; then `known_cost` is the rest."""

    opening: Opening
    status: str
    cost: int | None
    known_cost: int | None
    images: int


class Openings:
    """The newest ones, by request."""

    def __init__(self) -> None:
        self._opened = Memory[str, Opening](_REMEMBERED)

    def note(self, opening: Opening) -> None:
        """This one was accepted, if its transaction stands; the same id may be accepted anew after it was not."""
        self._opened.keep(opening.request_id, opening)

    def find(self, request_id: str) -> Opening | None:
        """How this one was accepted; None where that is not known here."""
        return self._opened.find(request_id)

    def take(self, request_ids: Sequence[str]) -> list[Opening] | None:
        """How these were accepted, which is forgotten then; None where one is not known here."""
        found = [self._opened.take(request_id) for request_id in request_ids]
        known = [opening for opening in found if opening is not None]
        return known if len(known) == len(found) else None
