"""The days of a time zone as numbers that a database can compute. Pure.

A day is the number of days since 1970-01-01 in the calendar of the zone; clocks that are set forward or back within a
day make it shorter or longer.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DAY = 86_400
_EPOCH = date(1970, 1, 1)


def offsets(start: float, end: float, zone: tzinfo) -> list[tuple[float, int]]:
    """By how many seconds local time is ahead of UTC: each offset with the moment until which it holds.

    The last one holds until `end` and beyond.
    """
    found: list[tuple[float, int]] = []
    moment, offset = start, _offset(start, zone)
    while moment < end:
        later = min(moment + _DAY, end)
        if _offset(later, zone) != offset:
            found.append((_change_between(moment, later, zone), offset))
            offset = _offset(later, zone)
        moment = later
    return [*found, (end, offset)]


def whole_days(start: float, end: float, zone: tzinfo) -> tuple[int, int]:
    """The calendar days of which only the date is known, from the first until before the last.

    Such a day counts where its noon in the zone does: sums of whole dates then have each date once.
    """
    first, last = (_day_from(moment, zone) for moment in (start, end))
    return first, max(first, last)


def date_of(day: int) -> str:
    """The date of a day as ISO 8601 writes it."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def _offset(moment: float, zone: tzinfo) -> int:
    ahead = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset() or timedelta()
    return round(ahead.total_seconds())


def _change_between(before: float, after: float, zone: tzinfo) -> float:
    """The second at which the offset changes between two moments that have different ones."""
    earlier, later, offset = int(before), int(after) + 1, _offset(before, zone)
    while later - earlier > 1:
        middle = (earlier + later) // 2
        earlier, later = (middle, later) if _offset(middle, zone) == offset else (earlier, middle)
    return float(later)


def _day_from(moment: float, zone: tzinfo) -> int:
    """The first day whose noon is not before `moment`."""
    today = datetime.fromtimestamp(moment, UTC).astimezone(zone).date()
    return next((one - _EPOCH).days for one in _from(today) if _noon(one, zone) >= moment)


def _from(day: date) -> Iterator[date]:
    while True:
        yield day
        day += timedelta(days=1)


def _noon(day: date, zone: tzinfo) -> float:
    return datetime.combine(day, time(12), zone).timestamp()
