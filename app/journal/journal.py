"""The journal as one value: the rules over transactions, and the two ways to the database that open them."""

from dataclasses import dataclass

from app.database.reader import Reader
from app.database.writer import Writer
from app.journal.claims import Claims
from app.journal.history import History
from app.journal.leases import Leases
from app.journal.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Journal:
    """All requests of all replicas on one database.

    Whoever writes opens the transaction with `writer` and passes it to the rooms whose rows belong together.
    """

    writer: Writer
    reader: Reader
    claims: Claims
    outcomes: Outcomes
    leases: Leases
    history: History
