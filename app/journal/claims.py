"""Claims requests, so that one that was bought before is joined instead of bought again, and settles them.

The rules: a key that is remembered leads to its first request; without a key, a retry joins the same caller's equal
request whose connection broke before everything was delivered, once; a connection still open is never joined. What
becomes of the tasks is `generation`'s affair.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from app.database.tables import requests, tasks
from app.database.writer import Writer
from app.journal.processes import is_dead, name_process
from app.journal.records import Intent, KeyReusedError, Record, Settlement, Status

LEASE_SECONDS = 15.0
"""A process that runs a request renews its claim well before; one that is dead lets it go."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The request to answer with: a new one to carry out, or an earlier one to join.

    Unsettled: an equal request waits at another process, which may be dead. Ask again when its lease has moved.
    """

    record: Record
    is_new: bool
    unsettled: bool = False


class Journal:
    """All requests of all replicas on one database. `clock` is unix seconds; `owner` names this process."""

    def __init__(
        self,
        writer: Writer,
        *,
        key_ttl: float,
        adopt_window: float,
        clock: Callable[[], float] = time.time,
        owner: str | None = None,
    ) -> None:
        self._writer = writer
        self._key_ttl = key_ttl
        self._adopt_window = adopt_window
        self._clock = clock
        self.owner = owner or name_process()

    async def claim(self, intent: Intent) -> Claim:
        """A claim on the request, durable when this returns; raises KeyReusedError or DatabaseUnavailableError."""
        return await self._writer.write(lambda connection: self._claim(connection, intent))

    async def settle(self, request_id: str, settlement: Settlement, costs: dict[str, str]) -> None:
        """Write down how a request ended, and what each task cost."""
        now = self._clock()

        def work(connection: Connection) -> None:
            values: dict[str, object] = {
                "status": settlement.status.value,
                "completed_at": now,
                "answer": settlement.answer,
                "error": settlement.error,
                "cost": settlement.cost,
            }
            if settlement.releases:
                values["key_hash"] = None
            connection.execute(update(requests).where(requests.c.id == request_id).values(values))
            for task_id, cost in costs.items():
                connection.execute(update(tasks).where(tasks.c.uuid == task_id).values(cost=cost))

        await self._writer.write(work)

    async def leave(self, request_id: str, *, delivered: bool) -> None:
        """A caller has his answer, or has gone without it."""
        now = self._clock()
        values: dict[str, object] = {"connected": requests.c.connected - 1}
        values |= {"delivered_at": now} if delivered else {"broken_at": now}
        await self._writer.write(
            lambda connection: connection.execute(update(requests).where(requests.c.id == request_id).values(values))
        )

    async def come_back(self, request_id: str) -> None:
        """A caller collects the answer of a request by its id."""
        values = {"connected": requests.c.connected + 1}
        mine = requests.c.id == request_id
        await self._writer.write(lambda connection: connection.execute(update(requests).where(mine).values(values)))

    async def renew(self) -> None:
        """Keep the leases of requests this process runs, or whose callers wait here."""
        until = self._clock() + LEASE_SECONDS
        open_ = or_(requests.c.status == Status.PROCESSING.value, requests.c.connected > 0)
        mine = and_(requests.c.owner == self.owner, open_)
        await self._writer.write(
            lambda connection: connection.execute(update(requests).where(mine).values(lease_until=until))
        )

    async def let_go(self, request_ids: Sequence[str]) -> None:
        """End the leases of requests this process will not finish."""
        mine = and_(requests.c.id.in_(request_ids), requests.c.owner == self.owner)
        values = {"lease_until": 0.0, "connected": 0, "broken_at": self._clock()}
        await self._writer.write(lambda connection: connection.execute(update(requests).where(mine).values(values)))

    async def keep_answer(self, request_id: str, answer: str) -> None:
        """Replace a kept answer by one that names its pictures."""
        mine = requests.c.id == request_id
        await self._writer.write(
            lambda connection: connection.execute(update(requests).where(mine).values(answer=answer))
        )

    async def take_over(self, limit: int = 100) -> list[Record]:
        """Requests that a dead process left behind, unfinished or undelivered, now this process's to resolve."""
        now = self._clock()
        undelivered = and_(requests.c.connected > 0, requests.c.delivered_at.is_(None), requests.c.error.is_(None))
        left = and_(or_(requests.c.status == Status.PROCESSING.value, undelivered), requests.c.lease_until < now)

        def work(connection: Connection) -> list[Record]:
            self._end_dead_leases(connection, now)
            query = (
                select(requests)
                .where(left)
                .order_by(requests.c.created_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(query).all()
            ids = [row.id for row in rows]
            values = {"owner": self.owner, "lease_until": now + LEASE_SECONDS, "connected": 0, "broken_at": now}
            connection.execute(update(requests).where(requests.c.id.in_(ids)).values(values))
            return [to_record(connection, row) for row in rows]

        return await self._writer.write(work)

    def _end_dead_leases(self, connection: Connection, now: float) -> None:
        """End the leases of processes of this machine that are gone."""
        owners = connection.execute(select(requests.c.owner).where(requests.c.lease_until >= now).distinct()).scalars()
        dead = [owner for owner in owners if owner != self.owner and is_dead(owner)]
        if dead:
            connection.execute(update(requests).where(requests.c.owner.in_(dead)).values(lease_until=0.0))

    async def find(self, request_id: str, tenant: str | None = None) -> Record | None:
        """A request by its id, only the tenant's own where one is given."""
        query = select(requests).where(requests.c.id == request_id)
        if tenant is not None:
            query = query.where(requests.c.tenant == tenant)

        def work(connection: Connection) -> Record | None:
            row = connection.execute(query).first()
            return None if row is None else to_record(connection, row)

        return await self._writer.write(work)

    async def purge(self, request_id: str) -> None:
        """Forget prompt and pictures of a request; its metadata stays."""
        values = {"prompt": None, "answer": None, "key_hash": None}
        await self._writer.write(
            lambda connection: connection.execute(update(requests).where(requests.c.id == request_id).values(values))
        )

    def _claim(self, connection: Connection, intent: Intent) -> Claim:
        now = self._clock()
        earlier = self._by_key(connection, intent, now) if intent.key_hash else self._adoptable(connection, intent, now)
        if earlier is not None:
            values = {"connected": requests.c.connected + 1}
            connection.execute(update(requests).where(requests.c.id == earlier.id).values(values))
            return Claim(to_record(connection, earlier), is_new=False)
        waiting = self._waiting_elsewhere(connection, intent, now) if intent.retries and not intent.key_hash else None
        if waiting is not None:
            return Claim(to_record(connection, waiting), is_new=False, unsettled=True)
        connection.execute(insert(requests).values(self._row_of(intent, now)))
        rows = [
            {"uuid": task_id, "request_id": intent.request_id, "position": position}
            for position, task_id in enumerate(intent.task_ids)
        ]
        if intent.key_hash is not None:  # derived ids may be those of a request whose key was released or forgotten
            connection.execute(delete(tasks).where(tasks.c.uuid.in_(intent.task_ids)))
        connection.execute(insert(tasks), rows)
        return Claim(self._record_of(intent, now), is_new=True)

    def _by_key(self, connection: Connection, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        mine = and_(requests.c.tenant == intent.tenant, requests.c.key_hash == intent.key_hash)
        row = connection.execute(select(requests).where(mine)).first()
        if row is None:
            return None
        if row.key_until < now and Status(row.status).final:
            connection.execute(update(requests).where(requests.c.id == row.id).values(key_hash=None))
            return None
        if row.fingerprint != intent.fingerprint:
            raise KeyReusedError
        return row

    def _adoptable(self, connection: Connection, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        """The oldest equal request that nobody got, if this call may be its retry."""
        broken = requests.c.broken_at.is_not(None)
        recent = broken if intent.retries else and_(broken, requests.c.broken_at >= now - self._adopt_window)
        open_ended = or_(requests.c.status != Status.FAILED.value, requests.c.answer.is_not(None))
        query = (
            select(requests)
            .where(requests.c.tenant == intent.tenant, requests.c.fingerprint == intent.fingerprint)
            .where(requests.c.key_hash.is_(None), requests.c.delivered_at.is_(None), requests.c.connected <= 0)
            .where(recent, open_ended, requests.c.key_until >= now)
            .order_by(requests.c.created_at)
            .limit(1)
        )
        return connection.execute(query).first()

    def _waiting_elsewhere(self, connection: Connection, intent: Intent, now: float) -> Row[tuple[object, ...]] | None:
        """An equal request that some caller waits for at another process."""
        query = (
            select(requests)
            .where(requests.c.tenant == intent.tenant, requests.c.fingerprint == intent.fingerprint)
            .where(requests.c.key_hash.is_(None), requests.c.delivered_at.is_(None), requests.c.connected > 0)
            .where(requests.c.owner != self.owner, requests.c.error.is_(None), requests.c.key_until >= now)
            .order_by(requests.c.created_at)
            .limit(1)
        )
        return connection.execute(query).first()

    def _row_of(self, intent: Intent, now: float) -> dict[str, object]:
        return {
            "id": intent.request_id,
            "tenant": intent.tenant,
            "key_hash": intent.key_hash,
            "fingerprint": intent.fingerprint,
            "endpoint": intent.endpoint,
            "model": intent.model,
            "executed_model": intent.executed_model,
            "n": intent.n,
            "status": Status.PROCESSING.value,
            "created_at": now,
            "key_until": now + self._key_ttl,
            "connected": 1,
            "owner": self.owner,
            "lease_until": now + LEASE_SECONDS,
            "estimate": intent.estimate,
            "plan": intent.plan,
            "user": intent.user,
            "client_request_id": intent.client_request_id,
            "prompt": intent.prompt,
        }

    def _record_of(self, intent: Intent, now: float) -> Record:
        return Record(
            id=intent.request_id,
            tenant=intent.tenant,
            fingerprint=intent.fingerprint,
            endpoint=intent.endpoint,
            model=intent.model,
            executed_model=intent.executed_model,
            n=intent.n,
            status=Status.PROCESSING,
            created_at=now,
            completed_at=None,
            delivered_at=None,
            owner=self.owner,
            lease_until=now + LEASE_SECONDS,
            estimate=intent.estimate,
            cost=None,
            plan=intent.plan,
            answer=None,
            error=None,
            user=intent.user,
            task_ids=intent.task_ids,
        )


def to_record(connection: Connection, row: Row[tuple[object, ...]]) -> Record:
    """The record of a row of `requests`, with the ids of its tasks."""
    ids = connection.execute(
        select(tasks.c.uuid).where(tasks.c.request_id == row.id).order_by(tasks.c.position)
    ).scalars()
    return Record(
        id=row.id,
        tenant=row.tenant,
        fingerprint=row.fingerprint,
        endpoint=row.endpoint,
        model=row.model,
        executed_model=row.executed_model,
        n=row.n,
        status=Status(row.status),
        created_at=row.created_at,
        completed_at=row.completed_at,
        delivered_at=row.delivered_at,
        owner=row.owner,
        lease_until=row.lease_until,
        estimate=row.estimate,
        cost=row.cost,
        plan=row.plan,
        answer=row.answer,
        error=row.error,
        user=row.user,
        task_ids=tuple(ids),
    )
