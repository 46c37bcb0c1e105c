"""Rows that an older gateway wrote: mended once, and readable ever after."""

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from app.database.engine import open_engine
from app.database.reader import Reader
from app.database.schema import migrate
from app.database.tables import requests
from app.database.writer import Writer
from app.domain.money import to_nanos
from app.jobs.codec import view_of
from app.jobs.result_store import needs_refetch
from app.journal.history import Filter, History
from app.journal.records import Record, Sums
from app.journal.rows import to_record
from app.ledger.bill import known_cost, total_cost
from app.ledger.entries import read_held
from app.ledger.standing import Standing
from app.ledger.verification import verify_ledger
from tests.support.databases import SQLiteFolder
from tests.support.old_journals import columns_of, upgrade_to

OLD_ROW = text(
    "INSERT INTO requests (id, tenant, fingerprint, endpoint, model, executed_model, n, status, created_at, completed_at,"
    " key_until, connected, owner, lease_until, cost, plan, answer)"
    " VALUES (:id, 't', 'f', 'generations', 'm', 'runware:100@1', 2, 'completed', 1.0, 2.0, 0.0, 0, 'o', 0.0, :cost, '{}', :answer)"
)
ROW_BEFORE_IMAGES_KEPT = text(
    "INSERT INTO requests (id, tenant, fingerprint, endpoint, model, executed_model, n, status, created_at, completed_at,"
    " key_until, connected, owner, plan, answer)"
    " VALUES (:id, 't', 'f', 'generations', 'm', 'runware:100@1', 1, 'completed', 1.0, 2.0, 0.0, 0, 'o', '{}', :answer)"
)
OLD_TASK = text("INSERT INTO tasks (uuid, request_id, position, cost) VALUES (:uuid, :id, :position, :cost)")
OLD_ANSWER = (
    '{"created":1,"requested_model":"m","images":[{"size":[8,8],"format":"png","seed":7,"url":"https://x/a.png","expires_at":null,'
    '"name":null,"hosted":null}],"failures":[],"format":"png","cost":null,"task_ids":["a"],"attempts":[],"adjustments":[]}'
)


def look_after_the_migration(
    url: str, stored: str | None, task_costs: list[str | None]
) -> tuple[Record, Sums, tuple[int | None, int | None]]:
    """What is read of a row that was there before, and what its columns of money hold."""
    engine = open_engine(url)
    upgrade_to(engine, "0002")
    with engine.begin() as connection:
        connection.execute(OLD_ROW, {"id": "r", "cost": stored, "answer": OLD_ANSWER})
        for position, task_cost in enumerate(task_costs):
            connection.execute(OLD_TASK, {"uuid": f"u{position}", "id": "r", "position": position, "cost": task_cost})
    migrate(engine)
    writer = Writer(engine)
    reader = Reader(engine, writer)

    async def look() -> tuple[Record, Sums]:
        return (await History(reader).page(Filter("t"), 10))[0][0], await History(reader).sums(Filter("t"))

    record, sums = asyncio.run(look())
    with engine.begin() as connection:
        cost, known = connection.execute(text("SELECT cost, known_cost FROM requests")).one()
    reader.close()
    writer.close()
    return record, sums, (cost, known)


@pytest.mark.parametrize(
    ("stored", "task_costs", "cost", "known"),
    [
        pytest.param("0.03", ["0.01", "0.02"], "0.03", None, id="all known"),
        pytest.param("0.01", ["0.01", None], None, "0.01", id="a sum of the known parts was taken for all"),
        pytest.param(None, [None, None], None, None, id="nothing known"),
        pytest.param("-5", ["-5"], None, "0", id="negative"),
        pytest.param("NaN", ["NaN"], None, "0", id="no number"),
        pytest.param("Infinity", ["Infinity"], None, "0", id="infinite"),
    ],
)
def test_old_costs_are_mended(database, stored, task_costs, cost, known):
    record, sums, columns = look_after_the_migration(database.fresh(), stored, task_costs)
    assert columns == tuple(None if amount is None else to_nanos(Decimal(amount)) for amount in (cost, known))
    assert (total_cost(record.costs) is None, f"{known_cost(record.costs):f}") == (cost is None, cost or known or "0")
    assert (sums.unknown, sums.known_cost) == (int(cost is None), known_cost(record.costs))


def test_an_endless_cost_which_only_sqlite_took_is_mended(tmp_path):
    endless = "1" + "0" * 400
    _, sums, columns = look_after_the_migration(SQLiteFolder(tmp_path).fresh(), endless, [endless])
    assert (columns, sums.unknown) == ((None, 0), 1)


@pytest.mark.parametrize(
    ("images", "is_lost"),
    [pytest.param('"https://x/a.png"', False, id="a link"), pytest.param("null", True, id="an image nobody kept")],
)
def test_an_old_row_is_shown_and_judged_by_its_answer(database, images, is_lost):
    engine = open_engine(database.fresh())
    upgrade_to(engine, "0004")
    answer = OLD_ANSWER.replace('"https://x/a.png"', images)
    with engine.begin() as connection:
        connection.execute(ROW_BEFORE_IMAGES_KEPT, {"id": "r", "answer": answer})
    migrate(engine)
    with engine.begin() as connection:
        record = to_record(connection, connection.execute(select(requests)).one())
    engine.dispose()
    assert (record.images_kept, needs_refetch(record)) == (None, is_lost)
    shown = view_of(record).result
    assert shown is not None
    assert (shown.images[0].seed, shown.images[0].url is None) == (7, is_lost)


@pytest.mark.parametrize(
    ("status", "answer", "count"),
    [
        pytest.param("completed", OLD_ANSWER, 2, id="complete: what was asked for"),
        pytest.param("partial", OLD_ANSWER, 1, id="partial: what the answer has"),
        pytest.param("partial", "{", 2, id="partial and unreadable: what was asked for"),
        pytest.param("failed", None, 0, id="failed: none"),
        pytest.param("processing", None, 0, id="open: none"),
    ],
)
def test_the_images_of_old_rows_are_counted(database, status, answer, count):
    engine = open_engine(database.fresh())
    upgrade_to(engine, "0005")
    with engine.begin() as connection:
        connection.execute(ROW_BEFORE_IMAGES_KEPT, {"id": "r", "answer": answer})
        connection.execute(text("UPDATE requests SET status = :status, n = 2"), {"status": status})
    migrate(engine)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT images FROM requests")).scalar_one() == count
    engine.dispose()


ROW_BEFORE_THE_LEDGER = text(
    "INSERT INTO requests (id, tenant, fingerprint, endpoint, model, executed_model, n, status, created_at, completed_at,"
    " key_until, connected, owner, estimate, cost, known_cost, plan)"
    " VALUES (:id, 't', 'f', 'generations', 'm', 'runware:100@1', 1, :status, 86400.0, 86401.0, 0.0, 0, 'o',"
    " :estimate, :cost, :known, '{}')"
)
TASK_BEFORE_THE_LEDGER = text("INSERT INTO tasks (uuid, request_id, position, cost) VALUES (:uuid, :id, 0, :cost)")


@pytest.mark.parametrize(
    ("status", "texts", "tasks", "standing"),
    [
        pytest.param("completed", ("0.03", "0.0123", None), ["0.0123"], (0, 12_300_000, False), id="a cost"),
        pytest.param("completed", (None, "0.000000001", None), ["0.000000001"], (0, 1, False), id="the last digit"),
        pytest.param(
            "completed", ("0.03", "0.0000000015", None), ["0.0000000005"] * 3, (0, 0, False), id="parts finer than the tables"
        ),
        pytest.param("completed", ("0.03", "0.0000000018", None), ["0.0000000006"] * 3, (0, 3, False), id="parts rounded up"),
        pytest.param("failed", ("0.03", "0", None), ["0"], (0, 0, False), id="free"),
        pytest.param("completed", ("0.03", None, "0.01"), [None], (0, 30_000_000, True), id="unknown: what was estimated"),
        pytest.param("completed", ("0.03", None, "0.05"), [None], (0, 50_000_000, True), id="unknown, and more is known"),
        pytest.param("completed", (None, None, None), [None], (0, 0, True), id="nothing is known at all"),
        pytest.param("processing", ("0.03", None, None), [None], (30_000_000, 0, False), id="it runs"),
        pytest.param("completed", ("0.03", "9" * 20, None), ["9" * 20], (0, 30_000_000, True), id="more than money can be"),
    ],
)  # fmt: skip
def test_money_in_texts_becomes_nano_dollars_and_a_ledger_that_agrees(database, status, texts, tasks, standing):
    engine = open_engine(database.fresh())
    upgrade_to(engine, "0005")
    with engine.begin() as connection:
        values = dict(zip(("estimate", "cost", "known"), texts, strict=True))
        connection.execute(ROW_BEFORE_THE_LEDGER, {"id": "r", "status": status} | values)
        for number, cost in enumerate(tasks):
            connection.execute(TASK_BEFORE_THE_LEDGER, {"uuid": f"u{number}", "id": "r", "cost": cost})
    migrate(engine)
    with engine.begin() as connection:
        (held,) = read_held(connection, ["r"]).values()
        found = verify_ledger(connection)
    engine.dispose()
    assert held.standing == Standing(*standing)
    assert (held.owner.tenant, held.owner.day) == ("t", 1)
    assert found.is_exact, found.differences


def test_what_was_added_since_0006_keeps_no_older_gateway_from_writing(database):
    engine = open_engine(database.fresh())
    upgrade_to(engine, "0006")
    before = columns_of(engine)
    migrate(engine)
    after = columns_of(engine)
    engine.dispose()

    assert {column: after.get(column) for column in before} == before
    tables = {table for table, _ in before}
    added = {column: what for column, what in after.items() if column not in before and column[0] in tables}
    assert added != {}
    assert [column for column, (_, is_optional) in added.items() if not is_optional] == []
