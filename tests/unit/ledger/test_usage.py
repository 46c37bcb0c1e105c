"""Sums over the requests of the past: exact, in the days of any zone, and the same with rows as with totals."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, insert, text

from app.database.key_tables import api_keys, daily_totals
from app.database.tables import requests
from app.domain.usage import GroupBy, UsageQuestion, UsageReport
from app.ledger.usage import find_tenant, report_usage
from tests.support.databases import SQLiteFolder, open_migrated

BERLIN, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia")
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
CENT = 10_000_000


def row(number: int, at: datetime, **more: object) -> dict[str, object]:
    """A request that completed after two seconds for a cent."""
    seconds = at.timestamp()
    return {
        "id": f"req_{number}", "tenant": "t", "fingerprint": "f", "endpoint": "generations", "model": "m", "executed_model": "runware:100@1",
        "n": 1, "images": 1, "status": "completed", "created_at": seconds, "completed_at": seconds + 2, "key_until": 0.0, "connected": 0,
        "owner": "", "plan": "{}", "cost": CENT, "reserve": CENT, "known_cost": None, "dropped": 0, "user": None,
    } | more  # fmt: skip


def fill(engine: Engine, *rows: dict[str, object], totals: list[dict[str, object]] | None = None) -> None:
    with engine.begin() as connection:
        connection.execute(insert(requests), list(rows)) if rows else None
        connection.execute(insert(daily_totals), totals) if totals else None


def ask(engine: Engine, group_by: str = "status", start: datetime = FIRST, end: datetime = LAST, **more) -> UsageReport:
    zone = more.pop("zone", UTC)
    question = UsageQuestion(GroupBy(group_by), start.timestamp(), end.timestamp(), zone, **more)
    with engine.begin() as connection:
        return report_usage(connection, question)


@pytest.fixture
def engine(database):
    opened = open_migrated(database.fresh())
    yield opened
    opened.dispose()


def test_a_row_sums_what_came_what_it_cost_and_what_failed(engine):
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    fill(
        engine,
        row(1, at, n=4, images=4, dropped=2),
        row(2, at, status="partial", n=4, images=3, cost=3 * CENT),
        row(3, at, status="failed", images=0, cost=0),
        row(4, at, status="completed", cost=None, known_cost=CENT, reserve=5 * CENT),
        row(5, at, status="failed", images=0, cost=None, known_cost=7 * CENT, reserve=5 * CENT),
        row(6, at, status="processing", images=0, completed_at=None, cost=None),
    )
    total = ask(engine).total
    assert (total.requests, total.images, total.failures, total.dropped) == (6, 8, 2, 2)
    assert (total.cost, total.estimated_cost) == (Decimal("0.04"), Decimal("0.12"))
    assert {one.value: one.requests for one in ask(engine).rows} == {
        "completed": 2,
        "partial": 1,
        "failed": 2,
        "processing": 1,
    }


def test_no_digit_is_lost_however_many_requests_are_summed(engine):
    at, odd = datetime(2026, 5, 1, tzinfo=UTC), 123_456_789_123
    fill(engine, *(row(number, at, cost=odd + number) for number in range(1000)))
    assert ask(engine).total.cost == Decimal(1000 * odd + 499_500).scaleb(-9)


@pytest.mark.parametrize(
    ("zone", "moments", "days"),
    [
        pytest.param(UTC, ["2026-05-01T00:00:00Z", "2026-05-01T23:59:59.999Z", "2026-05-02T00:00:00Z"], {"2026-05-01": 2, "2026-05-02": 1}, id="UTC"),
        pytest.param(BERLIN, ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"],
                     {"2026-03-28": 1, "2026-03-29": 2, "2026-03-30": 1}, id="a day of 23 hours"),
        pytest.param(BERLIN, ["2026-10-24T21:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"],
                     {"2026-10-24": 1, "2026-10-25": 2, "2026-10-26": 1}, id="a day of 25 hours"),
        pytest.param(ZoneInfo("Asia/Kolkata"), ["2026-05-01T18:29:59Z", "2026-05-01T18:30:00Z"], {"2026-05-01": 1, "2026-05-02": 1}, id="half an hour"),
        pytest.param(ZoneInfo("Pacific/Kiritimati"), ["2026-05-01T09:59:59Z", "2026-05-01T10:00:00Z"], {"2026-05-01": 1, "2026-05-02": 1}, id="the first zone"),
        pytest.param(ZoneInfo("America/Havana"), ["2026-03-08T04:59:59Z", "2026-03-08T05:00:00Z"], {"2026-03-07": 1, "2026-03-08": 1}, id="midnight does not exist"),
    ],
)  # fmt: skip
def test_days_are_those_of_the_zone(engine, zone, moments, days):
    fill(engine, *(row(number, datetime.fromisoformat(moment)) for number, moment in enumerate(moments)))
    assert {one.value: one.requests for one in ask(engine, "day", zone=zone).rows} == days


def test_a_day_that_a_country_left_out_has_no_row(engine):
    start, end = datetime(2011, 12, 1, tzinfo=UTC), datetime(2012, 1, 31, tzinfo=UTC)
    fill(engine, *(row(hour, start + timedelta(hours=hour)) for hour in range(24 * 60)))
    found = {one.value: one.requests for one in ask(engine, "day", start, end, zone=APIA).rows}
    assert "2011-12-30" not in found
    assert (found["2011-12-29"], found["2011-12-31"]) == (24, 24)


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")], ids=str)
def test_sums_by_day_are_those_that_a_calendar_makes(tmp_path, zone):
    engine, chance = open_migrated(SQLiteFolder(tmp_path).fresh()), random.Random(7)
    moments = [FIRST + timedelta(seconds=chance.randrange(365 * 86_400)) for _ in range(3000)]
    fill(engine, *(row(number, moment) for number, moment in enumerate(moments)))
    expected: dict[str, int] = defaultdict(int)
    for moment in moments:
        expected[moment.astimezone(zone).date().isoformat()] += 1
    report = ask(engine, "day", zone=zone)
    assert {one.value: one.requests for one in report.rows} == expected
    assert [one.value for one in report.rows] == sorted(expected)
    engine.dispose()


@pytest.mark.parametrize(
    ("seconds", "p50", "p95"),
    [
        pytest.param([3.0], 3.0, 3.0, id="one"),
        pytest.param([1.0, 2.0], 1.0, 2.0, id="two"),
        pytest.param([float(second) for second in range(1, 101)], 50.0, 95.0, id="a hundred"),
        pytest.param([5.0] * 19 + [60.0], 5.0, 5.0, id="one in twenty is slow"),
        pytest.param([-4.0], 0.0, 0.0, id="a clock that was set back"),
    ],
)
def test_durations_are_ranked(engine, seconds, p50, p95):
    at = datetime(2026, 5, 1, tzinfo=UTC)
    fill(engine, *(row(number, at, completed_at=at.timestamp() + one) for number, one in enumerate(seconds)))
    report = ask(engine)
    assert [(one.p50_seconds, one.p95_seconds) for one in (*report.rows, report.total)] == [(p50, p95)] * 2


def test_without_any_that_ended_there_is_no_duration(engine):
    fill(engine, row(1, FIRST, status="processing", completed_at=None, cost=None))
    assert (ask(engine).total.p50_seconds, ask(engine).rows[0].p95_seconds) == (None, None)


TOTAL = {"tenant": "t", "model": "runware:100@1", "user": "", "status": "completed", "requests": 10, "images": 12, "dropped": 3, "cost": 10 * CENT, "estimated_cost": 2 * CENT}  # fmt: skip


def day_number(text_: str) -> int:
    return (datetime.fromisoformat(text_).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")], ids=str)  # fmt: skip
def test_rows_that_were_removed_are_still_summed_under_their_date(engine, zone):
    fill(
        engine,
        row(1, datetime(2026, 5, 2, 12, tzinfo=UTC)),
        totals=[
            TOTAL | {"day": day_number("2026-05-01")},
            TOTAL
            | {"day": day_number("2026-05-01"), "status": "failed", "requests": 2, "cost": 0, "estimated_cost": 0},
        ],
    )
    start, end = datetime(2026, 5, 1, tzinfo=zone), datetime(2026, 5, 4, tzinfo=zone)
    report = ask(engine, "day", start, end, zone=zone)
    first, total = report.rows[0], report.total
    assert (first.value, first.requests, first.failures, first.p50_seconds) == ("2026-05-01", 12, 2, None)
    assert (total.requests, total.images, total.dropped) == (13, 25, 6)
    assert (total.cost, total.estimated_cost) == (Decimal("0.11"), Decimal("0.02"))
    assert ask(engine, "day", end, datetime(2026, 6, 1, tzinfo=zone), zone=zone).total.requests == 0
    assert ask(engine, "day", FIRST, start, zone=zone).total.requests == 0


def test_each_key_is_summed_by_itself(engine):
    at = datetime(2026, 5, 1, tzinfo=UTC)
    fill(
        engine,
        row(1, at),
        row(2, at, tenant="other"),
        totals=[TOTAL | {"day": day_number("2026-05-01"), "tenant": "other"}],
    )
    assert (ask(engine, tenant="t").total.requests, ask(engine, tenant="other").total.requests) == (1, 11)
    assert {one.value: one.requests for one in ask(engine, "key").rows} == {"other": 11, "t": 1}


def test_keys_of_the_database_have_their_names_and_are_found_by_them(engine):
    key = {"id": "key_1", "name": "mobile", "digest": "d", "last_four": "abcd", "created_at": 0.0, "is_admin": False, "period": "total", "models": "[]", "defaults": "{}", "forbid_unpriced": False}  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(api_keys), [key, key | {"id": "key_2", "name": "key_1", "digest": "e"}])
    fill(engine, row(1, FIRST, tenant="key_1"), row(2, FIRST, tenant="anonymous"))
    names = {"0123": "settings", "4567": "mobile"}
    wanted = ("key_1", "key_2", "mobile", "settings", "anonymous", "0123", "nobody", "", "a\x00b")
    with engine.begin() as connection:
        found = [find_tenant(connection, one, names) for one in wanted]
    assert found == ["key_1", "key_2", "key_1", "0123", "anonymous", None, None, None, None]
    assert {one.value: one.name for one in ask(engine, "key").rows} == {"key_1": "mobile", "anonymous": None}


def test_a_name_that_was_given_again_is_that_of_the_key_that_opens(engine):
    key = {"name": "mobile", "last_four": "abcd", "is_admin": False, "period": "total", "models": "[]", "defaults": "{}", "forbid_unpriced": False}  # fmt: skip
    rows = [
        {"id": "key_1", "digest": "a", "created_at": 1.0, "revoked_at": 2.0},
        {"id": "key_2", "digest": "b", "created_at": 3.0, "revoked_at": None},
        {"id": "key_3", "digest": "c", "created_at": 4.0, "revoked_at": 5.0},
    ]
    with engine.begin() as connection:
        connection.execute(insert(api_keys), [key | one for one in rows])
        assert find_tenant(connection, "mobile", {}) == "key_2"
        connection.execute(text("UPDATE api_keys SET revoked_at = 6 WHERE id = 'key_2'"))
        assert find_tenant(connection, "mobile", {}) == "key_3"


def test_users_who_are_not_named_are_one_row_without_a_value(engine):
    fill(engine, row(1, FIRST), row(2, FIRST, user=""), row(3, FIRST, user="ann", cost=9 * CENT))
    assert [(one.value, one.requests) for one in ask(engine, "user").rows] == [("ann", 1), (None, 2)]


def test_what_cost_most_comes_first_and_pages_have_each_row_once(engine):
    fill(engine, *(row(number, FIRST, user=f"u{number:02}", cost=number * CENT) for number in range(25)))
    pages = [ask(engine, "user", limit=10, offset=offset) for offset in (0, 10, 20)]
    assert [one.has_more for one in pages] == [True, True, False]
    assert [one.value for page in pages for one in page.rows] == [f"u{number:02}" for number in reversed(range(25))]
    assert {page.total.requests for page in pages} == {25}
    assert pages[2].rows[-1].p50_seconds == 2.0


def test_the_first_moment_counts_and_the_last_does_not(engine):
    start, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    fill(engine, row(1, start), row(2, end), row(3, start - timedelta(seconds=1)))
    assert ask(engine, start=start, end=end).total.requests == 1


@pytest.mark.parametrize("damage", ["'abc'", "1.5e300", "-7", "9223372036854775807"])
def test_a_damaged_row_spoils_no_sum(tmp_path, damage):
    engine = open_migrated(SQLiteFolder(tmp_path).fresh())
    fill(engine, *(row(number, FIRST) for number in range(3)))
    with engine.begin() as connection:
        connection.execute(
            text(f"UPDATE requests SET cost = {damage}, dropped = {damage}, reserve = {damage} WHERE id = 'req_0'")
        )
    total = ask(engine).total
    assert (total.requests, total.cost, total.estimated_cost, total.dropped) == (3, Decimal("0.02"), 0, 0)
    engine.dispose()
