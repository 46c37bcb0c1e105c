"""Looks through past requests of one tenant: pages, newest first, and sums."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from app.database.reader import Reader
from app.database.tables import requests
from app.journal.records import Record
from app.journal.rows import to_record


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests are meant; None means any. Times are unix seconds, both exclusive."""

    tenant: str
    created_after: float | None = None
    created_before: float | None = None
    status: str | None = None
    model: str | None = None


class History:
    """Reads the journal."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(
        self, wanted: Filter, limit: int, *, after: str | None = None, before: str | None = None
    ) -> tuple[list[Record], bool]:
        """Up to `limit` requests older than `after` or newer than `before`, newest first; whether there are more."""

        def work(connection: Connection) -> tuple[list[Record], bool]:
            query = select(requests).where(*_conditions(wanted))
            cursor = after or before
            if cursor is not None:
                at = connection.execute(
                    select(requests.c.created_at).where(requests.c.id == cursor)
                ).scalar_one_or_none()
                if at is None:
                    return [], False
                query = query.where(_beyond(at, cursor, older=after is not None))
            order = (requests.c.created_at, requests.c.id)
            ordered = order if before is not None else tuple(column.desc() for column in order)
            rows = connection.execute(query.order_by(*ordered).limit(limit + 1)).all()
            found = [to_record(connection, row) for row in rows[:limit]]
            return (found[::-1] if before is not None else found), len(rows) > limit

        return await self._reader.read(work)

    async def sums(self, wanted: Filter) -> tuple[dict[str, int], dict[str, int]]:
        """How many of the requests that are meant had each cost, and how many have each status."""

        def work(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
            conditions = _conditions(wanted)
            costs = select(requests.c.cost, func.count()).where(*conditions, requests.c.cost.is_not(None))
            statuses = select(requests.c.status, func.count()).where(*conditions)
            return (
                {row[0]: row[1] for row in connection.execute(costs.group_by(requests.c.cost))},
                {row[0]: row[1] for row in connection.execute(statuses.group_by(requests.c.status))},
            )

        return await self._reader.read(work)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = [requests.c.tenant == wanted.tenant]
    if wanted.created_after is not None:
        conditions.append(requests.c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(requests.c.created_at < wanted.created_before)
    if wanted.status is not None:
        conditions.append(requests.c.status == wanted.status)
    if wanted.model is not None:
        conditions.append(or_(requests.c.model == wanted.model, requests.c.executed_model == wanted.model))
    return conditions


def _beyond(at: float, cursor: str, *, older: bool) -> ColumnElement[bool]:
    created, id_ = requests.c.created_at, requests.c.id
    if older:
        return or_(created < at, and_(created == at, id_ < cursor))
    return or_(created > at, and_(created == at, id_ > cursor))
