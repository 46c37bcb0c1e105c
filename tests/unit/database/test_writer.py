"""One thread that writes for all: whatever goes wrong, everybody is told soon, and it goes on."""

import asyncio
import contextlib
import sqlite3
import time

import pytest
from sqlalchemy import text

from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError
from app.database.schema import migrate
from app.database.writer import Writer

BUSY = 0.5


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def writer(path):
    engine = open_engine(f"sqlite:///{path}?timeout={BUSY}")
    migrate(engine)
    made = Writer(engine)
    yield made
    made.close()


@contextlib.contextmanager
def locked(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


def ask(transaction) -> int:
    return transaction.connection.execute(text("SELECT 1")).scalar()


def refuse(transaction) -> None:
    transaction.execute(text("INSERT INTO tasks (uuid) VALUES ('one without a request')"), {})


def stumble(transaction) -> None:
    raise ValueError


def test_a_locked_database_is_told_to_all_who_wait_at_once_and_not_one_after_the_other(writer, path):
    async def course():
        began = time.monotonic()
        with locked(path):
            told = await asyncio.gather(*(writer.write(ask) for _ in range(20)), return_exceptions=True)
        assert {type(one) for one in told} == {DatabaseUnavailableError}
        assert time.monotonic() - began < 8 * BUSY
        assert writer.failed_lately
        assert await writer.write(ask) == 1

    asyncio.run(course())


def test_whoever_comes_while_others_wait_in_vain_can_know(writer, path):
    async def course():
        assert not writer.is_behind
        with locked(path):
            with pytest.raises(DatabaseUnavailableError):
                await writer.write(ask)
            waiting = asyncio.create_task(writer.write(ask))
            while not writer.is_behind:  # it is, before the database gives it up
                assert not waiting.done()
                await asyncio.sleep(0.01)
            with pytest.raises(DatabaseUnavailableError):
                await waiting
        assert not writer.is_behind, "nobody waits: the next one may try"

    asyncio.run(course())


def itself(transaction):
    return transaction


def test_what_comes_while_the_one_lock_is_waited_for_shares_the_commit(writer, path):
    patient = Writer(open_engine(f"sqlite:///{path}?timeout=60"))

    async def course():
        with locked(path):
            first = asyncio.create_task(patient.write(itself))
            await asyncio.sleep(0.1)  # it has begun to wait
            later = [asyncio.create_task(patient.write(itself)) for _ in range(5)]
            await asyncio.sleep(0)  # they have asked
        assert len({id(one) for one in await asyncio.gather(first, *later)}) == 1

    try:
        asyncio.run(asyncio.wait_for(course(), 60))
    finally:
        patient.close()


def test_what_one_piece_breaks_is_its_own_affair(writer):
    async def course():
        told = await asyncio.gather(
            *(writer.write(work) for work in (ask, refuse, ask, stumble, ask)), return_exceptions=True
        )
        assert [type(one) for one in told] == [int, DatabaseUnavailableError, int, ValueError, int]
        assert not writer.failed_lately

    asyncio.run(course())


@pytest.mark.parametrize("odd", ["\ud800", "\x00", 2**70], ids=["half a character", "no text", "too large a number"])
def test_values_no_database_takes_end_one_write_and_not_the_writer(writer, odd):
    statement = text("UPDATE requests SET prompt = :odd WHERE id = 'x'")

    async def course():
        with contextlib.suppress(DatabaseUnavailableError):
            await writer.post(lambda transaction: transaction.add(statement, {"odd": odd}))
        assert await asyncio.wait_for(writer.write(ask), 10) == 1

    asyncio.run(course())
