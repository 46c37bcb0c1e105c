"""Which webhooks are due, and how their attempts went. Safe with several replicas: what one sends, no other takes."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import bindparam, func, select, update

from app.database.tables import requests
from app.database.transaction import Transaction
from app.database.writer import Writer
from app.journal.records import Record, Status
from app.journal.rows import to_record

ATTEMPT_SECONDS = 60.0
"""After so long an attempt without an end is taken to have died with its process."""
_FINAL = [status.value for status in Status if status.final]
DUE = (
    select(requests.c.id)
    .where(requests.c.webhook_next <= bindparam("now"))
    .where(func.coalesce(requests.c.status, "").in_(_FINAL))  # hidden from SQLite's planner: few are due
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_NOTE = (
    update(requests)
    .where(requests.c.id == bindparam("request_id"))
    .values(webhook_status=bindparam("new_status"), webhook_next=bindparam("next_at"), webhook_url=bindparam("new_url"))
)


class WebhookBook:
    """The webhooks of the journal. `clock` is unix seconds."""

    def __init__(self, writer: Writer, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._clock = clock

    async def due(self, limit: int = 50) -> list[Record]:
        """Requests whose webhook is due now; their attempt is counted and nobody else gets it meanwhile."""
        return await self._writer.write(self._take, limit)

    def _take(self, transaction: Transaction, limit: int) -> list[Record]:
        now, connection = self._clock(), transaction.connection
        ids = list(connection.execute(DUE, {"now": now, "limit": limit}).scalars())
        if not ids:
            return []
        mine = requests.c.id.in_(ids)
        # Moved on in the same transaction that took it: no other replica sends it, and if this one dies, one does
        # later.
        attempt = {"webhook_next": now + ATTEMPT_SECONDS, "webhook_attempts": requests.c.webhook_attempts + 1}
        transaction.execute(update(requests).where(mine).values(attempt), {})
        rows = connection.execute(select(requests).where(mine)).all()
        return [to_record(connection, row) for row in rows]

    async def note(self, record: Record, status: int | None, next_at: float | None) -> None:
        """How an attempt went: the status it was answered with, and when to try again, None for never.

        After the last attempt the address loses what only its owner needs to know.
        """
        # User, password and query often are credentials; nobody needs them after the last attempt.
        is_last = next_at is None and record.webhook_url is not None
        url = without_secrets(record.webhook_url or "") if is_last else record.webhook_url
        values: dict[str, object] = {"request_id": record.id, "new_status": status, "next_at": next_at, "new_url": url}
        await self._writer.post(_note, values)


def _note(transaction: Transaction, values: dict[str, object]) -> None:
    transaction.add(_NOTE, values)


def without_secrets(url: str) -> str:
    """An address without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
