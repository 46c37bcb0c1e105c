"""The periods of budgets: calendar days, weeks from Monday and months in UTC. Pure; days are UTC days since 1970-01-01.

Calendar periods, not windows from the first request: an operator and a bill speak of days and months.
"""

import datetime as dt

from app.domain.caller import Period

SECONDS_OF_A_DAY = 86_400
_EPOCH = dt.date(1970, 1, 1)
_DAYS_OF_A_WEEK = 7
_WEEKDAY_OF_THE_FIRST = _EPOCH.weekday()


def first_day(period: Period, now: float) -> int:
    """The first day of the period that `now` is in; 0 where the budget lasts as long as its key."""
    today = int(now // SECONDS_OF_A_DAY)
    match period:
        case Period.TOTAL:
            return 0
        case Period.DAY:
            return today
        case Period.WEEK:
            return today - (today + _WEEKDAY_OF_THE_FIRST) % _DAYS_OF_A_WEEK
        case Period.MONTH:
            return today - (_EPOCH + dt.timedelta(days=today)).day + 1


def resets_at(period: Period, first: int) -> float | None:
    """When the period that began with this day ends, in unix seconds; None where it does not."""
    start = _EPOCH + dt.timedelta(days=first)
    match period:
        case Period.TOTAL:
            return None
        case Period.DAY:
            following = start + dt.timedelta(days=1)
        case Period.WEEK:
            following = start + dt.timedelta(days=_DAYS_OF_A_WEEK)
        case Period.MONTH:
            # Any day of the next month leads to its first one.
            following = (start.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    return float((following - _EPOCH).days * SECONDS_OF_A_DAY)


def shown_time(seconds: float) -> str:
    """A moment as people and programs read it, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
