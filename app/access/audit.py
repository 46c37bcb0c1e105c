"""Who did what, when, and what stood before and after (0118). Written in the transaction of what was done.

Nothing here holds a secret: what is written of a key is `key_facts`.
"""

import json
import time
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, insert, select

from app.database.key_tables import audit
from app.database.reader import Reader
from app.database.transaction import Transaction
from app.database.writer import Writer
from app.domain.caller import Caller
from app.domain.key_records import AuditEntry, AuditPage
from app.domain.words import JSONValue

KEY_CREATED, KEY_UPDATED, KEY_ROTATED, KEY_REVOKED = "key.created", "key.updated", "key.rotated", "key.revoked"
REQUEST_READ, RESULT_READ = "request.read", "result.read"
_LONGEST_ACTOR, _LONGEST_TARGET = 100, 64
_INSERT = insert(audit)
Facts = Mapping[str, JSONValue]


def actor_of(caller: Caller) -> str:
    """How an administrator is named in the log: by its key's id, else by the name its key has in the settings."""
    return caller.key.id if caller.key is not None else caller.name or caller.tenant


def write_entry(
    transaction: Transaction,
    action: str,
    *,
    at: float,
    actor: str,
    target: str,
    before: Facts | None = None,
    after: Facts | None = None,
) -> None:
    """Write that something was done, with the same commit."""
    row = {
        "at": at,
        "actor": actor[:_LONGEST_ACTOR],
        "action": action,
        "target": target[:_LONGEST_TARGET],
        "before": None if before is None else json.dumps(before),
        "after": None if after is None else json.dumps(after),
    }
    transaction.add(_INSERT, row)


class AuditLog:
    """What administrators did. `clock` is unix seconds."""

    def __init__(self, writer: Writer, reader: Reader, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def note_reading(self, caller: Caller, action: str, request_id: str) -> None:
        """Write down that an administrator reads what is another's, before it is shown.

        Raises DatabaseUnavailableError: what cannot be written down is not shown.
        """
        await self._writer.post(write_entry, action, at=self._clock(), actor=actor_of(caller), target=request_id)

    async def page(self, wanted: AuditPage) -> tuple[list[AuditEntry], bool]:
        """A page of entries, newest first, and whether there are more."""

        def work(connection: Connection) -> tuple[list[AuditEntry], bool]:
            query = select(audit)
            for column, value in ((audit.c.actor, wanted.actor), (audit.c.action, wanted.action)):
                query = query if value is None else query.where(column == value)
            if wanted.target is not None:
                query = query.where(audit.c.target == wanted.target)
            if wanted.after is not None:
                query = query.where(audit.c.id < wanted.after)
            if wanted.before is not None:
                query = query.where(audit.c.id > wanted.before)
            order = audit.c.id if wanted.before is not None else audit.c.id.desc()
            rows = connection.execute(query.order_by(order).limit(wanted.limit + 1)).all()
            found = [AuditEntry(*row) for row in rows[: wanted.limit]]
            return (found[::-1] if wanted.before is not None else found), len(rows) > wanted.limit

        return await self._reader.read(work)
