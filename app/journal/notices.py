"""Webhooks that belong to no request, such as warnings about budgets: which are due, and how their attempts went.

Safe with several replicas: what one sends, no other takes. Whoever writes a notice leaves out an address where it is
for the operator.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from app.database.key_tables import notices
from app.database.transaction import Transaction
from app.database.writer import Writer
from app.journal.webhooks import ATTEMPT_SECONDS, without_secrets

OPERATOR = "operator"
"""Whose secret signs what goes to the operator's address."""
_DUE = (
    select(notices)
    .where(notices.c.next_at <= bindparam("now"))
    .order_by(notices.c.next_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_TAKE = (
    update(notices)
    .where(notices.c.id == bindparam("of_notice"))
    .values(attempts=notices.c.attempts + 1, next_at=bindparam("new_next_at"))
)
_NOTE = (
    update(notices)
    .where(notices.c.id == bindparam("of_notice"))
    .values(last_status=bindparam("new_status"), next_at=bindparam("new_next_at"), url=bindparam("new_url"))
)


@dataclass(frozen=True, slots=True)
class Notice:
    """One webhook that is sent now; `own_url` is empty where it goes to the operator's address."""

    id: str
    tenant: str
    webhook_url: str
    webhook_attempts: int
    body: bytes
    own_url: str


class NoticeBook:
    """The notices of the journal. `clock` is unix seconds."""

    def __init__(self, writer: Writer, operator_url: str | None, clock: Callable[[], float] = time.time) -> None:
        self._writer = writer
        self._operator_url = operator_url
        self._clock = clock

    async def due(self, limit: int = 50) -> list[Notice]:
        """Notices that are due now; their attempt is counted and nobody else gets them meanwhile."""
        return await self._writer.write(self._take, limit)

    async def note(self, notice: Notice, status: int | None, next_at: float | None) -> None:
        """How an attempt went: the status it was answered with, and when to try again, None for never."""
        # As with webhooks of requests: what an address needs beside its path is nobody's business afterwards.
        url = without_secrets(notice.own_url) if next_at is None else notice.own_url
        values: dict[str, object] = {"of_notice": notice.id, "new_status": status, "new_next_at": next_at}
        await self._writer.post(_note, values | {"new_url": url})

    def _take(self, transaction: Transaction, limit: int) -> list[Notice]:
        now = self._clock()
        rows = transaction.connection.execute(_DUE, {"now": now, "limit": limit}).all()
        taken: list[Notice] = []
        for row in rows:
            url = row.url or self._operator_url
            # Without any address nobody wants to be told; it stays as a record that it was due.
            again = None if url is None else now + ATTEMPT_SECONDS
            transaction.execute(_TAKE, {"of_notice": row.id, "new_next_at": again})
            if url is not None:
                tenant = row.tenant if row.url else OPERATOR
                taken.append(Notice(row.id, tenant, url, row.attempts + 1, row.body.encode(), row.url))
        return taken


def body_of(notice: Notice) -> bytes:
    """What is sent."""
    return notice.body


def _note(transaction: Transaction, values: dict[str, object]) -> None:
    transaction.add(_NOTE, values)
