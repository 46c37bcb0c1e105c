"""Usage as the API shows it, as JSON and as CSV, what may be asked about it, and the balance at Runware. Pure."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from app.domain.usage import GroupBy, UsageQuestion, UsageReport, UsageRow
from app.errors import InvalidRequestError
from app.openai_api.readers import read_choice, read_integer, read_text, wrong
from app.openai_api.render import CURRENCY

QUERY = {
    "group_by": "`day`, `model`, `key`, `user` or `status`. Default: `day`.",
    "from": "The first moment, as a date (its beginning) or an ISO 8601 time. Default: 29 days before today.",
    "to": "The last date, which counts whole, or the ISO 8601 time before which requests began. Default: today.",
    "tz": "The IANA time zone of dates and days, such as `Europe/Berlin`. Default: `UTC`.",
    "key": "Only this key, by id or name.",
    "limit": "How many rows at most, 1 to 1000. Default: 1000.",
    "offset": "How many rows to leave out first.",
}
"""The parameters of a question, and what they mean."""
_MOST, _LARGEST_OFFSET = 1000, 10**9
_USUAL_DAYS = 30
_LONGEST_DAYS = 3660
_EARLIEST, _LATEST = 1970, 2200
_SPACE_FOR_PLUS = re.compile(r"(T.+) (\d\d:?\d\d)")
# What spreadsheets take for the beginning of a formula, in every width that they understand.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """A question as a caller asks it; `key` is the id or the name of the key it is about."""

    question: UsageQuestion
    key: str | None
    zone_name: str


def read_usage(query: Mapping[str, str], now: datetime) -> UsageQuery:
    """The question in a query string, raising InvalidRequestError for what cannot be one."""
    unknown = [name for name in query if name not in QUERY]
    if unknown:
        message = f"`{unknown[0][:60]}` is no parameter here. There are {', '.join(QUERY)}."
        raise InvalidRequestError(message, param=unknown[0][:60], code="unknown_parameter")
    zone_name = read_text(query, "tz") or "UTC"
    zone = _read_zone(zone_name)
    today = now.astimezone(zone).date()
    start = _read_moment(query, "from", zone, ends=False) or _begin(today - timedelta(days=_USUAL_DAYS - 1), zone)
    end = _read_moment(query, "to", zone, ends=True) or _begin(today + timedelta(days=1), zone)
    if end <= start:
        raise InvalidRequestError("`to` must be later than `from`.", param="to")
    if end - start > timedelta(days=_LONGEST_DAYS):
        raise InvalidRequestError(f"From `from` to `to` there may be {_LONGEST_DAYS} days.", param="from")
    question = UsageQuestion(
        GroupBy(read_choice(query, "group_by", [one.value for one in GroupBy]) or GroupBy.DAY),
        start.timestamp(),
        end.timestamp(),
        zone,
        limit=read_integer(query, "limit", 1, _MOST) or _MOST,
        offset=read_integer(query, "offset", 0, _LARGEST_OFFSET) or 0,
    )
    return UsageQuery(question, read_text(query, "key"), zone_name)


def _read_zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    # A name may be that of a folder, or of no file that may be opened.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong("tz", "an IANA time zone like Europe/Berlin", name) from None


def _read_moment(query: Mapping[str, str], name: str, zone: tzinfo, *, ends: bool) -> datetime | None:
    """A moment in UTC; a date is its beginning, or where it `ends` the beginning of the next one."""
    text = read_text(query, name)
    if text is None:
        return None
    try:
        # Where the plus of an offset was not encoded, a space came instead.
        moment = _parse(_SPACE_FOR_PLUS.sub(r"\1+\2", text), zone, ends=ends)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not _EARLIEST <= moment.year <= _LATEST:
        raise wrong(name, "a date like 2026-11-26 or a time like 2026-11-26T08:00:00+01:00", text) from None
    return moment


def _parse(text: str, zone: tzinfo, *, ends: bool) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    return _begin(day + timedelta(days=1) if ends else day, zone)


def _begin(day: date, zone: tzinfo) -> datetime:
    # In UTC: the difference of two local times would leave out that clocks change between them.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def render_usage(report: UsageReport, query: UsageQuery) -> bytes:
    """A report as JSON; amounts have all their digits."""
    question = query.question
    body = {
        "object": "usage",
        "group_by": question.group_by.value,
        "from": _show(question.start, question.zone),
        "to": _show(question.end, question.zone),
        "tz": query.zone_name,
        "currency": CURRENCY,
        "data": [members_of(row, question.group_by) for row in report.rows],
        "total": _sums_of(report.total),
        "has_more": report.has_more,
        "next_page_url": next_page_url(report, query),
    }
    return _encoder.encode(body)


def next_page_url(report: UsageReport, query: UsageQuery) -> str | None:
    """Where the next rows are, None behind the last."""
    if not report.has_more:
        return None
    question = query.question
    given = {
        "group_by": question.group_by.value,
        # As they were read: "today" may be another day when the next page is asked for.
        "from": _show(question.start, question.zone),
        "to": _show(question.end, question.zone),
        "tz": query.zone_name,
        "key": query.key,
        "limit": question.limit,
        "offset": question.offset + len(report.rows),
    }
    return "/v1/usage?" + urlencode({name: value for name, value in given.items() if value is not None})


def render_usage_csv(report: UsageReport, group_by: GroupBy) -> bytes:
    """A report as CSV (RFC 4180), with the columns of its rows."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(members_of(report.total, group_by))
    for row in report.rows:
        writer.writerow(_cell(value) for value in members_of(row, group_by).values())
    return text.getvalue().encode("utf-8", "replace")


def members_of(row: UsageRow, group_by: GroupBy) -> dict[str, object]:
    """A row by the names of its columns; a key's has its name too."""
    name = {"name": row.name} if group_by is GroupBy.KEY else {}
    return {group_by.value: row.value, **name, **_sums_of(row)}


def _sums_of(row: UsageRow) -> dict[str, object]:
    return {
        "requests": row.requests,
        "images": row.images,
        "cost": row.cost,
        "estimated_cost": row.estimated_cost,
        "failures": row.failures,
        "p50_seconds": _round(row.p50_seconds),
        "p95_seconds": _round(row.p95_seconds),
        "dropped": row.dropped,
    }


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    text = str(value)
    # A user's name must not become a formula in the spreadsheet of an accountant (0130).
    is_formula = text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA
    return f"'{text}" if isinstance(value, str) and text and is_formula else text


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _show(moment: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(moment, zone).isoformat()


def render_balance(dollars: Decimal, asked_at: float, low: Decimal | None) -> bytes:
    """The balance at Runware, and whether it is one that the operator calls low; null where none is called so."""
    body = {
        "object": "balance",
        "balance": dollars,
        "currency": CURRENCY,
        "asked_at": int(asked_at),
        "low_balance": low,
        "is_low": None if low is None else dollars < low,
    }
    return _encoder.encode(body)
