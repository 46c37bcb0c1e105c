"""What every request runs: the values of one row or of many arrive as they are, and change every row that they name."""

import random
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    insert,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import DataError, DBAPIError

from app.database.engine import open_engine
from app.database.prepared import find, run
from app.database.statement import Statement, as_taken

things = Table(
    "things",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("count", BigInteger),
    Column("is_new", Boolean),
    Column("at", Float),
    Column("name", String(3)),
    Column("body", Text),
)
ALL = select(things.c.id, things.c.count, things.c.is_new, things.c.at).order_by(things.c.id)
ADD = Statement(insert(things), "id", "count", "is_new", "at")
ADD_NAMED = Statement(insert(things), "id", "name")
RENAME = Statement(
    update(things).where(things.c.id == bindparam("of_key")).values(id=bindparam("new_id")), "new_id", "of_key"
)
RAISE = Statement(
    update(things)
    .where(things.c.id == bindparam("of_key"))
    # The name twice, and a constant of the statement itself.
    .values(count=things.c.count + bindparam("more") + bindparam("more") + 100),
    "more",
    "of_key",
)
ODD_TEXTS = {
    "nothing": "",
    "a space": " ",
    "a quotation mark": "it's",
    "quotation marks": "''\"\"'",
    "dollar quotes": "$$ $1 $tag$",
    "a backslash": "\\",
    "backslashes and a quotation mark": "\\\\'\\\"",
    "an escape": "\\n\\x41\\101",
    "an escaped NUL that is none": "\\u0000",
    "an escape of JSON": "\\u00e4\\/",
    "marks of drivers": "%s %(id)s %% ? :id {id} $1",
    "the end of a statement": "'); DROP TABLE things; --",
    "the end of a row": '"],["a"]]',
    "a comment": "/* -- */",
    "null": "null",
    "true": "true",
    "a number": "1e400",
    "an array of PostgreSQL": "{a,NULL}",
    "lines": "a\nb\r\nc\tz",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "a letter outside ASCII": "ä",
    "the same letter in two": "a\u0308",
    "an emoji": "\U0001f600",
    "an emoji of several": "👩‍👩‍👧‍👦",
    "the end of Unicode": "\uffff\U0010ffff",
    "separators of lines": "\u0085\u2028\u2029",
    "another direction": "\u202eabc\u200f",
    "no character": "\ufeff\ufffe\u00ad",
    "long": "ä\\\"'" * 20_000,
}
VALUES = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), None)
MOMENTS = (0.0, 1_790_000_000.123_456_7, 0.1 + 0.2, 5e-324, 1.797_693_134_862_315_7e308, -1e-7, None)


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


def rows_of(connection: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in find(connection, ALL, {})]


@pytest.mark.parametrize("value", ODD_TEXTS.values(), ids=ODD_TEXTS)
@pytest.mark.parametrize("others", [0, 2], ids=["alone", "with others"])
def test_a_text_arrives_as_it_is_and_finds_its_row(connection, value, others):
    names = [value, "another", "a third"][: 1 + others]
    run(connection, ADD, [(name, 1, True, 0.5) for name in names])

    assert {row[0] for row in rows_of(connection)} == set(names)
    assert run(connection, RAISE, [(5, name) for name in names]) == len(names)
    assert {row[1] for row in rows_of(connection)} == {111}
    assert run(connection, RENAME, [(f"{name}{value}", name) for name in names]) == len(names)
    assert {row[0] for row in rows_of(connection)} == {f"{name}{value}" for name in names}


def test_any_texts_arrive_together(connection):
    chance = random.Random(17)
    letters = "".join(ODD_TEXTS[name] for name in ODD_TEXTS if name != "long")
    names = {"".join(chance.choices(letters, k=chance.randrange(40))) for _ in range(400)}
    rows = {(name, chance.choice(VALUES), chance.choice([True, False, None]), chance.choice(MOMENTS)) for name in names}

    assert run(connection, ADD, list(rows)) == len(rows)

    assert set(rows_of(connection)) == rows


@pytest.mark.parametrize("count", [1, 3], ids=["one row", "several"])
def test_numbers_moments_and_truths_arrive_exactly(connection, count):
    for number, value in enumerate(VALUES):
        run(connection, ADD, [(f"count {number} {row}", value, None, None) for row in range(count)])
    for number, value in enumerate(MOMENTS):
        run(connection, ADD, [(f"moment {number} {row}", None, None, value) for row in range(count)])
    for value in (True, False):
        run(connection, ADD, [(f"truth {value} {row}", None, value, None) for row in range(count)])

    found = rows_of(connection)

    assert [row[1] for row in found if row[0].startswith("count")] == [one for one in VALUES for _ in range(count)]
    assert [row[3] for row in found if row[0].startswith("moment")] == [one for one in MOMENTS for _ in range(count)]
    assert [row[2] for row in found if row[0].startswith("truth")] == [*[False] * count, *[True] * count]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([("a", "abcd")], id="a text that is too long"),
        pytest.param([("a", "abcd"), ("b", "ab")], id="a text that is too long, among others"),
        pytest.param([("a", "\x00")], id="a NUL"),
        pytest.param([("a", "\x00"), ("b", "ab")], id="a NUL, among others"),
        pytest.param([("\\u0000", "\x00"), ("b", "ab")], id="a NUL behind what looks like one"),
    ],
)
def test_what_postgresql_does_not_take_is_refused_and_not_cut(postgres, rows):
    engine = open_engine(postgres.fresh())
    with engine.begin() as connection:
        things.metadata.create_all(connection)
        with pytest.raises(DataError), connection.begin_nested():
            run(connection, ADD_NAMED, rows)
        run(connection, ADD_NAMED, [("a", "abc"), ("b", "ab")])

        assert find(connection, select(things.c.name).order_by(things.c.id), {}) == [("abc",), ("ab",)]
    engine.dispose()


@pytest.mark.parametrize("count", [1, 2], ids=["one row", "two"])
def test_a_refusal_shows_nothing_of_the_rows(postgres, count):
    engine = open_engine(postgres.fresh())
    with engine.begin() as connection:
        things.metadata.create_all(connection)
        with pytest.raises(DBAPIError) as caught, connection.begin_nested():
            run(connection, ADD_NAMED, [(f"a secret prompt {row}\x00", "a") for row in range(count)])

        assert "secret" not in str(caught.value)
    engine.dispose()


@pytest.mark.parametrize(
    ("settings", "encoding"),
    [
        pytest.param("-c standard_conforming_strings=off", "UTF8", id="backslashes in literals escape"),
        pytest.param("-c escape_string_warning=on -c backslash_quote=on", "UTF8", id="quotation marks are escaped"),
        pytest.param("-c bytea_output=escape -c extra_float_digits=0", "UTF8", id="other forms of what is read"),
        pytest.param("", "LATIN1", id="an encoding of one byte"),
    ],
)
def test_no_setting_of_the_server_changes_what_arrives(postgres, settings, encoding):
    server = open_engine(postgres.url).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        name = make_url(postgres.fresh()).database
        connection.exec_driver_sql(f"DROP DATABASE {name}")
        connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    server.dispose()
    query = {"options": settings} if settings else {}
    engine = open_engine(make_url(postgres.url).set(database=name).update_query_dict(query).render_as_string())
    names = [one for one in ODD_TEXTS.values() if encoding == "UTF8" or one.isascii() or one == "ä"]
    with engine.begin() as connection:
        things.metadata.create_all(connection)
        run(connection, ADD, [(one, 1, True, 0.5) for one in names])

        assert run(connection, RAISE, [(5, one) for one in names]) == len(names)
        assert {row[:3] for row in rows_of(connection)} == {(one, 111, True) for one in names}
    engine.dispose()


def test_rows_that_change_the_same_one_all_count(connection):
    run(connection, ADD, [("a", 1, None, None), ("b", 2, None, None)])

    run(connection, RAISE, [(10, "a"), (20, "b"), (30, "a")])

    assert [row[:2] for row in rows_of(connection)] == [("a", 281), ("b", 142)]


def test_rows_of_a_statement_that_does_not_say_which_it_changes_all_count(connection):
    change = update(things).where(things.c.id.like(bindparam("pattern"))).values(count=things.c.count + 1)
    run(connection, ADD, [("a", 1, None, None), ("ab", 1, None, None)])

    run(connection, Statement(change, "pattern"), [("a%",), ("a",)])

    assert [row[:2] for row in rows_of(connection)] == [("a", 3), ("ab", 2)]


@pytest.mark.parametrize(
    "names", [("more", "of_key"), ("of_key", "more")], ids=["in the order of the text", "in another one"]
)
def test_rows_are_tuples_in_the_order_of_the_names(connection, names):
    run(connection, Statement(insert(things), "id", "count"), [("a", 1), ("b", 2), ("c", None)])

    values = [{"of_key": "a", "more": 1}, {"of_key": "b", "more": 5}, {"of_key": "d", "more": 9}]
    rows = [tuple(row[name] for name in names) for row in values]
    changed = run(connection, Statement(RAISE.construct, *names), rows)

    assert changed == 2
    assert [row[:2] for row in rows_of(connection)] == [("a", 103), ("b", 112), ("c", None)]


def test_new_rows_are_numbered_in_their_order(postgres):
    engine = open_engine(postgres.fresh())
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (number serial, id text, count bigint)"))
        run(connection, Statement(insert(things), "id", "count"), [(f"{-row}", row) for row in range(300)])

        assert connection.execute(text("SELECT count FROM things ORDER BY number")).scalars().all() == [*range(300)]
    engine.dispose()


def test_rows_with_very_long_texts_arrive_too(connection):
    rows = [(f"{row}", "\\ä" * 700_000) for row in range(3)]

    run(connection, Statement(insert(things), "id", "body"), rows)

    assert find(connection, select(things.c.id, things.c.body).order_by(things.c.id), {}) == rows


def test_many_rows_are_one_statement_of_postgresql(postgres):
    engine = open_engine(postgres.fresh())
    with engine.begin() as connection:
        things.metadata.create_all(connection)
        run(connection, ADD, [(f"{row}", row, None, None) for row in range(200)])
        counted = as_taken(connection, RAISE)
        cursor = connection.connection.cursor()
        counted.execute(cursor, [(row, f"{row}") for row in range(200)])

        assert cursor.rowcount == 200
        assert cursor.statusmessage == "UPDATE 200"
    engine.dispose()


def test_a_statement_knows_which_of_its_values_names_the_request_it_changes():
    change = update(things).where(things.c.id == bindparam("request_id")).values(count=bindparam("new"))

    assert Statement(change, "new", "request_id").place == 1
    assert Statement(change.where(things.c.count > bindparam("least")), "new", "least", "request_id").place == 2
    assert Statement(insert(things), "id", "count").place is None
