"""Sums over requests by day, model, key, user or status: those whose rows are there, and those of the daily totals.

Summed and ranked in the database, so that a report of a million requests needs no more memory than its rows. Reads
only. Leaves the words of questions and answers to `openai_api`.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from app.database.key_tables import api_keys, daily_totals
from app.database.reader import Reader
from app.database.tables import requests
from app.domain.money import from_nanos
from app.domain.usage import GroupBy, UsageQuestion, UsageReport, UsageRow
from app.ledger.calendar import date_of, offsets, whole_days

_SECONDS_OF_A_DAY = 86_400
_FAILED = "failed"
_LARGEST = 10**15
"""Nano-dollars that a request can have cost. What a damaged row holds beyond that would break every sum (0103)."""
_SUMS = ("requests", "images", "cost", "estimated_cost", "failures", "dropped")
_COLUMNS: Mapping[GroupBy, tuple[ColumnElement[Any], ColumnElement[Any]]] = {
    GroupBy.MODEL: (requests.c.executed_model, daily_totals.c.model),
    GroupBy.KEY: (requests.c.tenant, daily_totals.c.tenant),
    GroupBy.USER: (func.coalesce(requests.c.user, ""), daily_totals.c.user),
    GroupBy.STATUS: (requests.c.status, daily_totals.c.status),
}
"""What rows are grouped by, in requests and in totals."""


class Usage:
    """Reports beside the writer: a long sum holds up no purchase."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def report(self, question: UsageQuestion) -> UsageReport:
        """The rows that a question asks for, and the sums over all of them."""
        return await self._reader.read(partial(report_usage, question=question))

    async def find_tenant(self, wanted: str, names: Mapping[str, str]) -> str | None:
        """Whose requests a key's are: see `find_tenant`."""
        return await self._reader.read(partial(find_tenant, wanted=wanted, names=names))


def find_tenant(connection: Connection, wanted: str, names: Mapping[str, str]) -> str | None:
    """The tenant of the key with this id or name, None where there is none.

    `names` are those of the keys of the settings, by tenant; one without a name goes by its tenant.
    """
    # PostgreSQL refuses the character, and nothing is called so.
    if "\x00" in wanted:
        return None
    found = connection.execute(
        select(api_keys.c.id)
        .where(or_(api_keys.c.id == wanted, api_keys.c.name == wanted))
        # An id is nobody's name but by mischief: then the id is meant.
        # The name of a revoked key may be given again: the one that is not revoked is meant, else the latest.
        .order_by(
            case((api_keys.c.id == wanted, 0), else_=1),
            api_keys.c.revoked_at.is_not(None),
            api_keys.c.created_at.desc(),
        )
        .limit(1)
    ).scalar()
    if found is not None:
        return str(found)
    named = next((tenant for tenant, name in names.items() if name == wanted), None)
    if named is not None:
        return named
    known = (select(table.c.tenant).where(table.c.tenant == wanted).limit(1) for table in (requests, daily_totals))
    return next((wanted for query in known if connection.execute(query).first() is not None), None)


def report_usage(connection: Connection, question: UsageQuestion) -> UsageReport:
    """The rows that a question asks for, and the sums over all of them, in one view of the database."""
    group = _group_of(connection, question)
    found = connection.execute(_grouped(question, group)).all()
    page = found[: question.limit]
    ranks = _durations(connection, question, group, [row.value for row in page])
    rows = tuple(_to_row(row, ranks.get(row.value)) for row in page)
    return UsageReport(
        _with_names(connection, question, rows), _total(connection, question), len(found) > question.limit
    )


def _group_of(connection: Connection, question: UsageQuestion) -> ColumnElement[Any]:
    """What requests are grouped by."""
    if question.group_by is not GroupBy.DAY:
        return _COLUMNS[question.group_by][0]
    created = requests.c.created_at
    *changes, (_, last) = offsets(question.start, question.end, question.zone)
    # No database knows all zones, and SQLite knows none: it is told when clocks change (0130).
    ahead: ColumnElement[int] = literal(last, Integer)
    if changes:
        ahead = case(*((created < until, offset) for until, offset in changes), else_=last)
    days = (created + ahead) / literal(float(_SECONDS_OF_A_DAY))
    # SQLite has no FLOOR in every build, and cuts where PostgreSQL rounds.
    return cast(days if connection.dialect.name == "sqlite" else func.floor(days), Integer)


def _grouped(question: UsageQuestion, group: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Sums of each group, one more group than asked for."""
    in_totals = daily_totals.c.day if question.group_by is GroupBy.DAY else _COLUMNS[question.group_by][1]
    parts = union_all(
        _sums_of_requests(question, group).group_by(group), _sums_of_totals(question, in_totals).group_by(in_totals)
    ).subquery()
    value = parts.c.value
    sums = [func.sum(parts.c[name]).label(name) for name in _SUMS]
    paid = func.sum(parts.c.cost + parts.c.estimated_cost)
    order = (value,) if question.group_by is GroupBy.DAY else (paid.desc(), value)
    return (
        select(value.label("value"), *sums)
        .group_by(value)
        .order_by(*order)
        .limit(question.limit + 1)
        .offset(question.offset)
    )


def _total(connection: Connection, question: UsageQuestion) -> UsageRow:
    nothing = literal(0, Integer)
    parts = union_all(_sums_of_requests(question, nothing), _sums_of_totals(question, nothing)).subquery()
    sums = (func.coalesce(func.sum(parts.c[name]), 0).label(name) for name in _SUMS)
    (row,) = connection.execute(select(nothing.label("value"), *sums)).all()
    ranks = _durations(connection, question, nothing, [0])
    return replace(_to_row(row, ranks.get(0)), value=None)


def _sums_of_requests(question: UsageQuestion, value: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    known = _between(requests.c.cost)
    # Until Runware says what it cost, the ledger books what was reserved, or more where more is known (0113).
    reserved, part = (_amount(column) for column in (requests.c.reserve, requests.c.known_cost))
    booked = case((reserved > part, reserved), else_=part)
    return select(
        value.label("value"),
        func.count().label("requests"),
        _sum(_amount(requests.c.images), "images"),
        _sum(case((known, cast(requests.c.cost, BigInteger)), else_=0), "cost"),
        _sum(case((known, 0), (requests.c.completed_at.is_(None), 0), else_=booked), "estimated_cost"),
        _sum(case((requests.c.status == _FAILED, 1), else_=0), "failures"),
        _sum(_amount(requests.c.dropped), "dropped"),
    ).where(*_conditions(question))


def _sums_of_totals(question: UsageQuestion, value: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    totals = daily_totals.c
    first, last = whole_days(question.start, question.end, question.zone)
    meant = [totals.day >= first, totals.day < last]
    if question.tenant is not None:
        meant.append(totals.tenant == question.tenant)
    return select(
        value.label("value"),
        _sum(totals.requests, "requests"),
        _sum(totals.images, "images"),
        _sum(totals.cost, "cost"),
        _sum(totals.estimated_cost, "estimated_cost"),
        _sum(case((totals.status == _FAILED, totals.requests), else_=0), "failures"),
        _sum(totals.dropped, "dropped"),
    ).where(*meant)


def _durations(
    connection: Connection, question: UsageQuestion, group: ColumnElement[Any], values: Collection[object]
) -> dict[object, tuple[float, float]]:
    """Of each group, the seconds within which half of its requests ended, and all but one in twenty."""
    took = requests.c.completed_at - requests.c.created_at
    # A clock that was set back makes a request end before it began.
    seconds = case((took > 0, took), else_=0.0)
    ranked = (
        select(
            group.label("value"),
            seconds.label("seconds"),
            func.row_number().over(partition_by=group, order_by=seconds).label("rank"),
            func.count().over(partition_by=group).label("of_all"),
        )
        .where(*_conditions(question), requests.c.completed_at.is_not(None), group.in_(values))
        .subquery()
    )
    p50, p95 = (
        func.min(case((ranked.c.rank * 100 >= ranked.c.of_all * percent, ranked.c.seconds))) for percent in (50, 95)
    )
    found = connection.execute(select(ranked.c.value, p50, p95).group_by(ranked.c.value))
    return {value: (float(half), float(most)) for value, half, most in found}


def _conditions(question: UsageQuestion) -> list[ColumnElement[bool]]:
    meant = [requests.c.created_at >= question.start, requests.c.created_at < question.end]
    return meant if question.tenant is None else [requests.c.tenant == question.tenant, *meant]


def _between(column: ColumnElement[Any]) -> ColumnElement[bool]:
    # SQLite keeps any value in any column, and a text is larger than every number there (0103).
    return and_(column >= 0, column <= literal(_LARGEST, BigInteger))


def _amount(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """What a column holds, 0 where that is no number it can have."""
    return case((_between(column), cast(column, BigInteger)), else_=0)


def _sum(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return func.coalesce(func.sum(column), 0).label(name)


def _to_row(row: Row[*tuple[Any, ...]], ranks: tuple[float, float] | None) -> UsageRow:
    half, most = ranks or (None, None)
    return UsageRow(
        value=row.value,
        requests=int(row.requests),
        images=int(row.images),
        cost=from_nanos(int(row.cost)),
        estimated_cost=from_nanos(int(row.estimated_cost)),
        failures=int(row.failures),
        p50_seconds=half,
        p95_seconds=most,
        dropped=int(row.dropped),
    )


def _with_names(connection: Connection, question: UsageQuestion, rows: tuple[UsageRow, ...]) -> tuple[UsageRow, ...]:
    """The rows with their values as texts, and the names of keys."""
    if question.group_by is GroupBy.DAY:
        return tuple(replace(row, value=date_of(int(str(row.value)))) for row in rows)
    if question.group_by is GroupBy.USER:
        return tuple(replace(row, value=row.value or None) for row in rows)
    if question.group_by is not GroupBy.KEY:
        return rows
    ids = [row.value for row in rows]
    found = connection.execute(select(api_keys.c.id, api_keys.c.name).where(api_keys.c.id.in_(ids)))
    names: dict[str, str] = {one.id: one.name for one in found}
    return tuple(replace(row, name=names.get(row.value or "")) for row in rows)
