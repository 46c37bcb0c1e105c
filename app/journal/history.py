"""Looks at requests of the past: one by its id; those of one tenant in pages, newest first, and their sums."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from app.database.reader import Reader
from app.database.tables import requests
from app.journal import statements as sql
from app.journal.records import Record, Status, Sums
from app.journal.rows import read_money, to_record

_AT_ONCE = 500
"""Ids in one statement: databases bound how many values it may have."""
_FINAL = frozenset(status.value for status in Status if status.final)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which requests are meant; None means any, of every tenant. Times are unix seconds, both exclusive."""

    tenant: str | None
    created_after: float | None = None
    created_before: float | None = None
    status: str | None = None
    model: str | None = None
    id: str | None = None
    """A part of its id."""


class History:
    """Reads beside the writers, and never from them: a long sum holds up no purchase."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find_request(self, request_id: str, tenant: str | None = None) -> Record | None:
        """A request by its id, only the tenant's own where one is given."""

        def work(connection: Connection) -> Record | None:
            row = connection.execute(sql.FIND, {"request_id": request_id}).first()
            # A foreign request looks like none: ids of other tenants cannot be probed.
            if row is None or tenant not in {None, row.tenant}:
                return None
            return to_record(connection, row)

        return await self._reader.read(work)

    async def find_open(self, request_ids: Collection[str]) -> set[str]:
        """Those of these requests that have not ended; what is not there is not among them."""
        ids = list(request_ids)

        def work(connection: Connection) -> set[str]:
            parts = (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
            return {id_ for part in parts for id_ in connection.execute(sql.OPEN_OF, {"ids": part}).scalars()}

        return await self._reader.read(work)

    async def page(
        self, wanted: Filter, limit: int, *, after: str | None = None, before: str | None = None
    ) -> tuple[list[Record], bool]:
        """Up to `limit` requests older than `after` or newer than `before`, newest first; whether there are more."""

        def work(connection: Connection) -> tuple[list[Record], bool]:
            query = select(requests).where(*_conditions(wanted))
            cursor = after or before
            if cursor is not None:
                at = connection.execute(
                    # A foreign request is no cursor: pages must not tell which ids there are.
                    select(requests.c.created_at).where(requests.c.id == cursor, *_owner(wanted))
                ).scalar_one_or_none()
                if at is None:
                    return [], False
                query = query.where(_beyond(at, cursor, older=after is not None))
            order = (requests.c.created_at, requests.c.id)
            ordered = order if before is not None else tuple(column.desc() for column in order)
            # One more than asked for tells whether there is another page, without counting.
            rows = connection.execute(query.order_by(*ordered).limit(limit + 1)).all()
            found = [to_record(connection, row) for row in rows[:limit]]
            return (found[::-1] if before is not None else found), len(rows) > limit

        return await self._reader.read(work)

    async def sums(self, wanted: Filter) -> Sums:
        """The sums over all requests that are meant."""
        alike = (requests.c.status, requests.c.cost, requests.c.known_cost)

        def work(connection: Connection) -> Sums:
            groups = select(*alike, func.count()).where(*_conditions(wanted)).group_by(*alike)
            known, unknown, by_status = Decimal(0), 0, Counter[str]()
            # Grouped in the database, added here: SQLite sums text as binary fractions.
            for status, cost, known_cost, count in connection.execute(groups):
                by_status[status] += count
                whole = read_money(cost)
                known += count * ((read_money(known_cost) or 0) if whole is None else whole)
                unknown += count if whole is None and status in _FINAL else 0
            return Sums(known, unknown, by_status)

        return await self._reader.read(work)


def _owner(wanted: Filter) -> list[ColumnElement[bool]]:
    return [] if wanted.tenant is None else [requests.c.tenant == wanted.tenant]


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = _owner(wanted)
    if wanted.created_after is not None:
        conditions.append(requests.c.created_at > wanted.created_after)
    if wanted.created_before is not None:
        conditions.append(requests.c.created_at < wanted.created_before)
    if wanted.status is not None:
        conditions.append(requests.c.status == wanted.status)
    if wanted.id is not None:
        conditions.append(requests.c.id.contains(wanted.id, autoescape=True))
    if wanted.model is not None:
        conditions.append(or_(requests.c.model == wanted.model, requests.c.executed_model == wanted.model))
    return conditions


def _beyond(at: float, cursor: str, *, older: bool) -> ColumnElement[bool]:
    created, id_ = requests.c.created_at, requests.c.id
    if older:
        # The id breaks ties: requests of one moment are neither skipped nor repeated between pages.
        return or_(created < at, and_(created == at, id_ < cursor))
    return or_(created > at, and_(created == at, id_ > cursor))
