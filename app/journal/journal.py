"""The journal as one value: the rules over transactions, and the ways to the database that open them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Engine

from app.database.listener import EndListener
from app.database.reader import Reader
from app.database.writer import Writer
from app.journal.claims import Claims
from app.journal.history import History
from app.journal.leases import Leases
from app.journal.outcomes import Outcomes
from app.journal.processes import is_dead
from app.ledger.entries import Ledger
from app.observability.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Journal:
    """All requests of all replicas on one database.

    A caller that writes opens the transaction with `writer` and passes it to the rooms whose rows belong together.
    """

    writer: Writer
    reader: Reader
    listener: EndListener
    claims: Claims
    outcomes: Outcomes
    leases: Leases
    history: History

    @classmethod
    def on(
        cls,
        engine: Engine,
        *,
        key_ttl: float,
        adopt_window: float,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        owner: str | None = None,
        may_have_ended: Callable[[str], bool] = is_dead,
        metrics: Metrics | None = None,
    ) -> Self:
        """The journal on a database, for one process by the name `owner`; see Claims."""
        writer = Writer(engine, metrics)
        reader = Reader(engine, writer)
        # One for both: what a claim opens, an end of the same process knows.
        ledger = Ledger(clock)
        claims = Claims(
            key_ttl=key_ttl,
            adopt_window=adopt_window,
            clock=clock,
            steady=steady,
            owner=owner,
            ledger=ledger,
            may_have_ended=may_have_ended,
        )
        leases = Leases(claims.owner, clock)
        return cls(writer, reader, EndListener(engine), claims, Outcomes(clock, ledger), leases, History(reader))

    def close(self) -> None:
        """Write all that waits, and give the connections back."""
        # The reader first: it waits for the writer.
        self.reader.close()
        self.writer.close()
