"""Calendar days, weeks from Monday and months, in UTC."""

import datetime as dt

import pytest

from app.domain.caller import Period
from app.ledger.periods import SECONDS_OF_A_DAY, first_day, resets_at, shown_time


def at(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "begins", "ends"),
    [
        pytest.param("day", "2026-11-26T23:59:59", "2026-11-26", "2026-11-27", id="day"),
        pytest.param("day", "2026-11-27T00:00:00", "2026-11-27", "2026-11-28", id="the first moment of a day"),
        pytest.param("week", "2026-11-29T12:00:00", "2026-11-23", "2026-11-30", id="Sunday"),
        pytest.param("week", "2026-11-30T00:00:00", "2026-11-30", "2026-12-07", id="Monday"),
        pytest.param("month", "2026-12-31T23:00:00", "2026-12-01", "2027-01-01", id="December"),
        pytest.param("month", "2028-02-29T01:00:00", "2028-02-01", "2028-03-01", id="a leap day"),
        pytest.param("total", "2026-11-26T00:00:00", "1970-01-01", None, id="total"),
    ],
)
def test_a_period_begins_and_ends_with_the_calendar(period, now, begins, ends):
    first = first_day(Period(period), at(now))
    assert first == at(begins) // SECONDS_OF_A_DAY
    assert resets_at(Period(period), first) == (None if ends is None else at(ends))


def test_times_are_shown_in_utc_to_the_second():
    assert shown_time(at("2026-11-27T00:00:00")) == "2026-11-27T00:00:00Z"
