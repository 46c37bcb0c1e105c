"""The writer keeps one connection, and nobody notices when it is cut between two groups or within one."""

import asyncio

import pytest
from sqlalchemy import text

from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError
from app.database.schema import migrate
from app.database.writer import Writer

BACKEND = text("SELECT pg_backend_pid()")
END = text("SELECT pg_terminate_backend(:pid, 10000)")


@pytest.fixture
def engine(postgres):
    opened = open_engine(postgres.fresh())
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def writer(engine):
    made = Writer(engine)
    yield made
    made.close()


def ask(transaction) -> int:
    return transaction.connection.execute(BACKEND).scalar()


def end(engine, pid: int) -> None:
    with engine.begin() as connection:
        connection.execute(END, {"pid": pid})


def test_one_group_after_the_other_is_written_on_the_same_connection(writer):
    async def course():
        assert await writer.write(ask) == await writer.write(ask)

    asyncio.run(course())


def test_a_connection_that_was_cut_between_two_groups_costs_nobody_an_error(engine, writer):
    async def course():
        first = await writer.write(ask)
        end(engine, first)
        assert await writer.write(ask) != first
        assert not writer.failed_lately

    asyncio.run(course())


def test_what_a_cut_interrupts_before_its_commit_is_carried_out_once_more(engine, writer):
    asked = []

    def ask_and_be_cut(transaction) -> int:
        asked.append(ask(transaction))
        if len(asked) == 1:
            end(engine, asked[0])
        return ask(transaction)

    async def course():
        assert await writer.write(ask_and_be_cut) == asked[1] != asked[0]

    asyncio.run(course())


def test_what_is_cut_each_time_is_refused_and_the_next_one_is_written(engine, writer):
    def ask_and_be_cut(transaction) -> int:
        end(engine, ask(transaction))
        return ask(transaction)

    async def course():
        with pytest.raises(DatabaseUnavailableError):
            await writer.write(ask_and_be_cut)
        assert await writer.write(ask) > 0

    asyncio.run(course())
