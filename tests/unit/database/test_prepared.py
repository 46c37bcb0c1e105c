"""Statements that never change run on the driver itself, and look and fail as SQLAlchemy's do."""

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.access.budgets import RUNNING
from app.database.engine import open_engine
from app.database.prepared import find, listed, one_of, run
from app.database.schema import migrate

things = Table(
    "things",
    MetaData(),
    Column("id", String, primary_key=True),
    Column("count", BigInteger),
    Column("is_new", Boolean),
)
ALL = select(things).order_by(things.c.id)
ADD = insert(things)
RAISE = (
    update(things)
    .where(things.c.id == bindparam("of_id"))
    # The name twice, and a constant of the statement itself.
    .values(count=things.c.count + bindparam("more") + bindparam("more") + 100)
)
ROWS = ({"id": "a", "count": 2**40, "is_new": True}, {"id": "b", "count": None, "is_new": False})


@pytest.fixture
def engine(database):
    opened = open_engine(database.fresh())
    with opened.begin() as connection:
        things.metadata.create_all(connection)
    yield opened
    opened.dispose()


@pytest.fixture
def connection(engine):
    with engine.begin() as opened:
        yield opened


def test_rows_are_those_that_sqlalchemy_finds(connection):
    assert run(connection, ADD, ROWS) == 2

    found = find(connection, ALL, {})

    assert found == connection.execute(ALL).all()
    assert [(row.id, row.count, row.is_new) for row in found] == [("a", 2**40, True), ("b", None, False)]
    assert [type(row.is_new) for row in found] == [bool, bool]
    assert found[0]._asdict() == ROWS[0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([{"of_id": "a", "more": 1}], 1, id="one row"),
        pytest.param([{"of_id": "a", "more": 1}, {"of_id": "c", "more": 5}], 1, id="one of two"),
        pytest.param([{"of_id": "c", "more": 1}], 0, id="none"),
    ],
)
def test_it_tells_how_many_rows_it_changed(connection, rows, expected):
    run(connection, ADD, ROWS)

    assert run(connection, RAISE, rows) == expected
    assert find(connection, ALL, {})[0].count == 2**40 + (102 if expected else 0)


def test_one_statement_takes_rows_of_several_shapes(connection):
    run(connection, ADD, [{"id": "a", "count": 1}])
    run(connection, ADD, [{"is_new": True, "id": "b"}])

    assert [tuple(row) for row in find(connection, ALL, {})] == [("a", 1, None), ("b", None, True)]


ODD = ["", " ", "NULL", "{}", "a,b", "\\", '"', 'it\'s "c"\\', "\\n", "a\nb", "ä\U0001f600\x01", "%s"]


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "b"], ODD], ids=["none", "one", "several", "odd ones"])
def test_one_text_serves_any_number_of_values(connection, ids):
    run(connection, ADD, [{"id": name} for name in ("a", "b", "d", *ODD)])
    among = select(things.c.id).where(one_of(things.c.id, "ids", connection.dialect.name)).order_by(things.c.id)

    assert {row.id for row in find(connection, among, {"ids": listed(connection, ids)})} == set(ids)


def test_a_violated_rule_is_sqlalchemys_error_and_shows_no_values(connection):
    run(connection, ADD, [{"id": "a prompt"}])

    with pytest.raises(IntegrityError) as caught, connection.begin_nested():
        run(connection, ADD, [{"id": "a prompt"}])

    # What the driver says itself may name them; what is added here does not.
    assert caught.value.params is None
    assert caught.value.statement.startswith("INSERT INTO things")


def test_a_session_that_was_ended_is_not_used_again(postgres):
    engine = open_engine(postgres.fresh())
    one = select(func.pg_backend_pid().label("pid"))
    with engine.connect() as mine, engine.connect() as other:
        pid = find(mine, one, {})[0].pid
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

        with pytest.raises(OperationalError) as caught:
            find(mine, one, {})

        assert caught.value.connection_invalidated
        mine.rollback()
        assert find(mine, one, {})[0].pid != pid
    engine.dispose()


def test_a_statement_that_differs_each_time_is_refused(connection):
    with pytest.raises(TypeError):
        find(connection, select(things).where(things.c.id.in_(["a", "b"])), {})


def test_a_fault_of_the_driver_is_never_raised_bare(connection):
    unknown = select(Table("nowhere", MetaData(), Column("id", String)))

    with pytest.raises(DBAPIError), connection.begin_nested():
        find(connection, unknown, {})


def test_counting_the_open_requests_of_a_key_reads_no_others(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/journal.db")
    migrate(engine)
    with engine.begin() as connection:
        compiled = RUNNING.compile(engine)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", ("", "key_a")).all()
    engine.dispose()

    assert [row[3] for row in plan] == ["SEARCH requests USING INDEX requests_open (status=?)"]
