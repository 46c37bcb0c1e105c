"""Claims requests, so that one that was bought before is joined instead of bought again, and settles them.

The rules: a key that is remembered leads to its first request; without a key, a retry joins the same caller's equal
request whose connection broke before everything was delivered, once; a connection still open is never joined. What
becomes of the tasks is `generation`'s affair.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Executable, Row, delete

from app.database.errors import DatabaseUnavailableError
from app.database.tables import tasks
from app.database.writer import Transaction, Writer
from app.domain.answer import TaskCost
from app.journal import statements as sql
from app.journal.bills import bookings
from app.journal.broken import BrokenConnections
from app.journal.processes import name_process
from app.journal.records import (
    Intent,
    KeyExpiredError,
    KeyReusedError,
    Lease,
    NothingToJoinError,
    Receipt,
    Record,
    Settlement,
    Sighting,
    Status,
)
from app.journal.rows import new_record, to_record, to_row, to_sighting

_PARTINGS = {Receipt.DELIVERED: sql.DELIVER, Receipt.BROKEN: sql.BREAK, Receipt.LATER: sql.PART}


@dataclass(frozen=True, slots=True)
class Claim:
    """The request to answer with: a new one to carry out, or an earlier one to join.

    With `rivals` it is neither yet: the callers of these equal requests are still there, as far as anybody knows. Claim
    again when that is certain; `record` is one of them.
    """

    record: Record
    is_new: bool
    rivals: tuple[Sighting, ...] = ()


class Journal:
    """All requests of all replicas on one database. `clock` is unix seconds, `steady` never goes back."""

    def __init__(
        self,
        writer: Writer,
        *,
        key_ttl: float,
        adopt_window: float,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        owner: str | None = None,
    ) -> None:
        self._writer = writer
        self._key_ttl = key_ttl
        self._clock = clock
        self._broken = BrokenConnections(adopt_window, clock, steady)
        self.owner = owner or name_process()

    @property
    def is_behind(self) -> bool:
        """Whether the database is locked or cannot keep up, so that a claim would wait in vain."""
        return self._writer.is_behind

    async def answers(self, seconds: float) -> bool:
        """Whether the database takes writes, as far as it can be told within so many seconds."""
        if self._writer.is_behind or self._writer.failed_lately:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._writer.write(lambda _: None)
        except (TimeoutError, DatabaseUnavailableError):
            return False
        return True

    async def claim(self, intent: Intent) -> Claim:
        """A claim on the request, durable when this returns.

        Raises KeyReusedError, NothingToJoinError, KeyExpiredError (claim again, with other task ids: those of the first
        time lead to its images) or DatabaseUnavailableError (the claim may or may not stand).
        """
        return await self._writer.decide(lambda transaction: self._claim(transaction, intent))

    async def settle(self, lease: Lease, settlement: Settlement, costs: Sequence[TaskCost]) -> None:
        """Write down how a request ended, and what each task cost; nothing where another process has it by now."""
        held: dict[str, object] = {"request_id": lease.request_id, "held_fence": lease.fence}
        values: dict[str, object] = held | {
            "now": self._clock(),
            "new_status": settlement.status.value,
            "new_answer": settlement.answer,
            "new_error": settlement.error,
            "new_cost": settlement.cost,
            "new_known_cost": settlement.known_cost,
            "new_bill_next": None if settlement.known_cost is None else self._clock(),
        }

        # One transaction: the end, the key and the costs agree whenever anybody reads them.
        writes: list[tuple[Executable, dict[str, object]]] = [(sql.SETTLE, values)]
        if settlement.releases:
            writes.append((sql.FREE_KEY, held))
        writes += bookings(costs, lease)
        if settlement.error is not None:
            writes.append((sql.BOOK_UNSENT, {"of_request": lease.request_id, "held_fence": lease.fence}))
        await self._writer.post(*writes)

    async def book(self, lease: Lease, costs: Sequence[TaskCost]) -> None:
        """Write down what is known of the cost of tasks whose request has not ended."""
        if costs:
            await self._writer.post(*bookings(costs, lease))

    async def begin(self, lease: Lease) -> None:
        """A request that waited for its turn is carried out now."""
        await self._run(sql.BEGIN, {"request_id": lease.request_id, "held_fence": lease.fence})

    async def withdraw(self, intent: Intent) -> None:
        """Take back a claim whose writing may or may not have succeeded; nothing was sent for it."""
        own = {"request_id": intent.request_id}
        joined = {
            "of_tenant": intent.tenant,
            "of_fingerprint": intent.fingerprint,
            "by": intent.request_id,
            "now": self._clock(),
        }
        await self._writer.post((sql.WITHDRAW_TASKS, own), (sql.WITHDRAW, own), (sql.UNJOIN, joined))

    async def leave(self, request_id: str, parting: Receipt) -> None:
        """Write down how one caller left; only BROKEN lets the next equal request be its retry."""
        # Noted here before the write, on a clock nobody sets: the retry may come before the commit.
        if parting is Receipt.BROKEN:
            self._broken.note(request_id)
        values: dict[str, object] = {"request_id": request_id}
        if parting is not Receipt.LATER:
            values["now"] = self._clock()
        # Broken connections are written at once, as a retry is about to ask; others may wait for a group.
        await self._writer.post((_PARTINGS[parting], values), patient=parting is not Receipt.BROKEN)

    async def retract(self, request_id: str) -> None:
        """Take back "delivered": the connection was reset after its last byte, so a retry must find the answer."""
        self._broken.note(request_id)
        await self._run(sql.UNDELIVER, {"request_id": request_id, "now": self._clock()})

    async def reopen(self, record: Record, *, callers: int = 0) -> None:
        """Have the images of an answer that did not arrive brought here again, unless somebody did that already.

        With more than so many `callers` nothing is done: they have the answer from elsewhere.
        """
        values = {"request_id": record.id, "held_fence": record.fence, "now": self._clock(), "callers": callers}
        await self._run(sql.REOPEN, values)

    async def rejoin(self, request_id: str, by: str) -> None:
        """A caller collects the answer of a request by its id; `by` is the id of that call."""
        await self._run(sql.JOIN, {"request_id": request_id, "by": by})

    async def keep_answer(self, request_id: str, answer: str) -> None:
        """Replace a kept answer by one that names its images."""
        await self._run(sql.KEEP_ANSWER, {"request_id": request_id, "new_answer": answer})

    async def purge(self, request_id: str) -> None:
        """Forget prompt and images of a request; its metadata stays."""
        await self._run(sql.PURGE, {"request_id": request_id})

    async def find(self, request_id: str, tenant: str | None = None) -> Record | None:
        """A request by its id, only the tenant's own where one is given."""

        def work(connection: Connection) -> Record | None:
            row = connection.execute(sql.FIND, {"request_id": request_id}).first()
            # A foreign request looks like none: ids of other tenants cannot be probed.
            if row is None or tenant not in {None, row.tenant}:
                return None
            return to_record(connection, row)

        # Through the writer, so that it sees what was posted before it.
        return await self._writer.write(work)

    async def _run(self, statement: Executable, values: dict[str, object]) -> None:
        await self._writer.post((statement, values))

    def _claim(self, transaction: Transaction, intent: Intent) -> Claim:
        now, connection = self._clock(), transaction.connection
        # One transaction from this look to the insert, in the one line of writers: no equal claim can come between
        # (0050).
        earlier = self._by_key(connection, intent, now) if intent.key_hash else self._adoptable(connection, intent, now)
        if earlier is not None:
            # At once, in this transaction: a second retry must already see this caller (0062).
            connection.execute(sql.JOIN, {"request_id": earlier.id, "by": intent.request_id})
            return Claim(to_record(connection, earlier), is_new=False)
        # Marked as a retry, yet its first attempt still has a caller: either the end of that connection has not been
        # noticed, or these are two callers. `jobs.claiming` finds out (0062).
        if intent.retries and intent.key_hash is None:
            transaction.write()  # what it may have overtaken may be in the same group
            equal = {"tenant": intent.tenant, "fingerprint": intent.fingerprint, "now": now}
            waiting = connection.execute(sql.WAITING, equal).all()
            if waiting:
                rivals = tuple(to_sighting(row) for row in waiting)
                return Claim(to_record(connection, waiting[0]), is_new=False, rivals=rivals)
        # The queue is full or Runware is unreachable; what is bought already can be had all the same.
        if intent.joins_only:
            raise NothingToJoinError
        # Request and tasks in one commit: a task id that is not durable must never be sent (0007).
        row = to_row(intent, self.owner, now, now + self._key_ttl)
        task_rows = [
            {"uuid": task_id, "request_id": intent.request_id, "position": position}
            for position, task_id in enumerate(intent.task_ids)
        ]
        if intent.key_hash is None:  # not to be joined before somebody went away
            transaction.add(sql.INSERT_REQUEST, row)
            transaction.add(sql.INSERT_TASKS, *task_rows)
        else:  # derived ids may be those of a request whose key was released or forgotten
            connection.execute(sql.INSERT_REQUEST, row)
            connection.execute(delete(tasks).where(tasks.c.uuid.in_(intent.task_ids)))
            connection.execute(sql.INSERT_TASKS, task_rows)
        return Claim(new_record(intent, self.owner, now), is_new=True)

    def _by_key(self, connection: Connection, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        row = connection.execute(sql.BY_KEY, {"tenant": intent.tenant, "key": intent.key_hash}).first()
        if row is None:
            return None
        # An open request keeps its key: expiry in the middle of the work would buy it again (0058).
        if row.key_until < now and Status(row.status).final:
            connection.execute(sql.FORGET_KEY, {"request_id": row.id})
            raise KeyExpiredError(row.id)
        # After the expiry check: an old key may be used for anything.
        if row.fingerprint != intent.fingerprint:
            raise KeyReusedError
        return row

    def _adoptable(self, connection: Connection, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        """The oldest equal request that nobody got, if this call may be its retry."""
        # A marked retry may come late, after long backoffs. An unmarked one is only believed right after a break
        # (0062).
        since = 0.0 if intent.retries else self._broken.since()
        equal = {"tenant": intent.tenant, "fingerprint": intent.fingerprint, "now": now, "broken_since": since}
        rows = connection.execute(sql.ADOPTABLE, equal).all()  # few: ordering them in SQL tempts SQLite to a full scan
        recent = rows if intent.retries else [row for row in rows if self._broken.is_recent(row)]
        # The oldest, so that two retries of two broken requests each find one in turn.
        return min(recent, key=lambda row: row.created_at, default=None)
