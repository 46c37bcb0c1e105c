"""Who does what one process does for all: a row for each duty, which the migrations made.

No clock decides: whoever moves the number of a duty has it (0059). Works on the caller's transaction; how long the
number of another must stand still is for `jobs.duty` to say.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from app.database.image_tables import duties
from app.database.transaction import Transaction

_NAMED = duties.c.name == bindparam("of_duty")
_FIND = select(duties.c.owner, duties.c.beat).where(_NAMED)
# As it was seen: of two that take it at once one matches, and a holder that moved in between keeps it.
_MOVE = (
    update(duties)
    .where(_NAMED, duties.c.owner == bindparam("seen_owner"), duties.c.beat == bindparam("seen_beat"))
    .values(owner=bindparam("new_owner"), beat=duties.c.beat + 1)
)
_LEAVE = update(duties).where(_NAMED, duties.c.owner == bindparam("held_by")).values(owner="")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who had a duty, and the number that it moves. `owner` is empty where nobody has it."""

    owner: str
    beat: int


NOBODY = Holder("", 0)
IMAGES = "images"
"""Deleting images whose time is over."""


def find_holder(connection: Connection, duty: str) -> Holder:
    """Who has a duty now."""
    row = connection.execute(_FIND, {"of_duty": duty}).first()
    return NOBODY if row is None else Holder(row.owner, row.beat)


def move_duty(transaction: Transaction, duty: str, seen: Holder, owner: str) -> bool:
    """Take a duty that still stands as it was seen, or keep one's own; whether `owner` has it now."""
    values = {"of_duty": duty, "seen_owner": seen.owner, "seen_beat": seen.beat, "new_owner": owner}
    return transaction.execute(_MOVE, values).rowcount == 1


def leave_duty(transaction: Transaction, duty: str, owner: str) -> None:
    """Let anybody have it."""
    transaction.execute(_LEAVE, {"of_duty": duty, "held_by": owner})
