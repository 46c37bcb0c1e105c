"""Who holds which request: renewed while its work runs, released, and taken over from those that do not renew any more.

No clock decides here. A lease is a number in the journal that its holder moves on; how long it stood still is for
`jobs.lease_watch` to say. Every change of hands makes `fence` grow, and with an older one nothing is written any more.
"""

import time
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import Connection

from app.database.transaction import Transaction
from app.journal import statements as sql
from app.journal.records import Lease, Record, Sighting
from app.journal.rows import to_record, to_sighting

_AT_ONCE = 500
"""Rows in one statement: databases bound how many values it may have."""


class Leases:
    """The leases of all replicas on one database. `owner` names this process; `clock` is unix seconds, for records."""

    def __init__(self, owner: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.owner = owner

    def renew(self, transaction: Transaction, request_ids: Collection[str]) -> dict[str, Lease | None]:
        """Keep what runs or is delivered here, by id.

        Returns what is still to be kept: with its lease where this process holds it, None where another one does.
        """
        ids, kept = list(request_ids), dict[str, Lease | None]()
        transaction.lock_rows(ids)
        for start in range(0, len(ids), _AT_ONCE):
            values = {"ids": ids[start : start + _AT_ONCE], "process": self.owner}
            for row in transaction.execute(sql.RENEW, values).all():
                # The number of the row, not the one that was held: a difference tells the holder that it lost the
                # lease in between.
                kept[row.id] = Lease(row.id, row.fence) if row.owner == self.owner else None
        return kept

    def confirm(self, transaction: Transaction, lease: Lease) -> bool:
        """Whether this lease is still the last one, and renewed by that."""
        # A write, not a look: it moves the number too, so that nobody takes the lease right after the answer.
        values = {"request_id": lease.request_id, "held_fence": lease.fence}
        return transaction.execute(sql.CONFIRM, values).rowcount == 1

    def release(self, transaction: Transaction, leases: Sequence[Lease]) -> None:
        """Let go of what this process will not finish: it is anybody's."""
        now = self._clock()
        rows = [{"request_id": lease.request_id, "held_fence": lease.fence, "now": now} for lease in leases]
        transaction.add(sql.RELEASE, *rows)

    def let_go(self, transaction: Transaction, sightings: Sequence[Sighting]) -> None:
        """Those that still stand as they were seen are anybody's; their callers have left."""
        now = self._clock()
        transaction.lock_rows([seen.request_id for seen in sightings])
        for seen in sightings:
            values = {"request_id": seen.request_id, "held_fence": seen.fence, "seen_beat": seen.beat, "now": now}
            transaction.execute(sql.LET_GO, values)

    def list_watched(self, connection: Connection) -> list[Sighting]:
        """Everything that somebody must hold, as it stands now."""
        return [to_sighting(row) for row in connection.execute(sql.WATCHED).all()]

    def take_over(self, transaction: Transaction, sightings: Sequence[Sighting]) -> list[Record]:
        """Those that still stand as they were seen, now this process's to resolve; their callers have left."""
        taken = []
        transaction.lock_rows([seen.request_id for seen in sightings])
        for seen in sightings:
            values = {
                "request_id": seen.request_id,
                "held_fence": seen.fence,
                "seen_beat": seen.beat,
                "process": self.owner,
                "now": self._clock(),
            }
            # One by one: each must match as it was seen, and those that moved meanwhile are left to their holders.
            row = transaction.execute(sql.TAKE, values).first()
            if row is not None:
                taken.append(to_record(transaction.connection, row))
        return taken
