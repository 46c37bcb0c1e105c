"""What is written late: in order for each request, and known to be late. On a real file that others may lock."""

import asyncio
import contextlib
import sqlite3
import time

import pytest
from sqlalchemy import text

from app.database.errors import DatabaseUnavailableError
from app.database.writer import Writer
from app.jobs.write_queue import WriteQueue
from tests.support.databases import open_migrated
from tests.support.waiting import seen_meanwhile

BUSY = 0.1
WRITE = text("INSERT INTO lines (line) VALUES (:line)")


class Book:
    """A file with lines, and the way to lock it."""

    def __init__(self, path) -> None:
        self.path = path
        self.writer = Writer(open_migrated(f"sqlite:///{path}?timeout={BUSY}"))
        self.change("CREATE TABLE lines (line TEXT)")
        self.holder = None

    def change(self, statement: str) -> list:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def lock(self) -> None:
        self.holder = sqlite3.connect(self.path, isolation_level=None)
        self.holder.execute("BEGIN IMMEDIATE")

    def unlock(self) -> None:
        self.holder.close()

    @property
    def lines(self) -> list[str]:
        return [line for (line,) in self.change("SELECT line FROM lines ORDER BY rowid")]


def add(transaction, line: str) -> None:
    transaction.add(WRITE, {"line": line})


def stumble(transaction) -> None:
    raise ValueError


@pytest.fixture
def book(tmp_path):
    made = Book(tmp_path / "book.db")
    yield made
    made.writer.close()


def test_what_was_refused_is_written_later_and_before_what_came_after_it(book):
    async def course():
        queue = WriteQueue(book.writer)
        book.lock()
        await queue.post("r", add, "first")
        assert queue.lagging
        queue.post_later("r", add, "second")
        queue.post_later("other", add, "third")
        book.unlock()
        await queue.flush()
        await asyncio.gather(queue.drain("r"), queue.drain("other"))
        assert (book.lines.index("first") < book.lines.index("second"), bool(queue.lagging)) == (True, False)
        assert sorted(book.lines) == ["first", "second", "third"]

    asyncio.run(course())


def test_what_follows_a_refused_write_of_the_same_request_does_not_overtake_it(book):
    async def course():
        queue = WriteQueue(book.writer)
        book.lock()
        await queue.post("r", add, "costs")
        book.unlock()
        await queue.post("r", add, "end")
        await queue.post("other", add, "at once")
        await queue.drain("r")
        assert book.lines.index("costs") < book.lines.index("end")

    asyncio.run(course())


def test_where_nothing_was_refused_nobody_waits(book):
    async def course():
        queue = WriteQueue(book.writer)
        never = asyncio.Event()
        queue.enqueue("slow", never.wait)
        await asyncio.wait_for(queue.flush(), 10)
        await queue.post("r", add, "line")
        assert (book.lines, bool(queue.lagging)) == (["line"], False)
        await queue.close(0)

    asyncio.run(course())


def test_what_nobody_waits_for_is_written_with_whatever_comes_next(book):
    async def course():
        queue = WriteQueue(book.writer)
        began = time.monotonic()
        queue.post_patiently("r", add, "receipt")
        await asyncio.sleep(0)
        await queue.post("other", add, "line")
        assert book.lines == ["receipt", "line"]
        assert not queue.lagging
        return time.monotonic() - began

    asyncio.run(course())


def test_at_the_end_what_cannot_be_written_is_given_up(book):
    async def course():
        queue = WriteQueue(book.writer)
        book.lock()
        await queue.post("r", add, "line")
        await queue.close(0.2)
        book.unlock()
        await book.writer.catch_up()
        assert book.lines == []

    asyncio.run(course())


def test_a_fault_that_is_not_the_databases_ends_one_line_only(book):
    async def course():
        queue = WriteQueue(book.writer)
        queue.post_later("r", stumble)
        queue.post_later("r", add, "next")
        await queue.drain("r")
        assert book.lines == ["next"]

    asyncio.run(course())


def test_whoever_needs_to_know_all_learns_when_it_cannot(book):
    async def course():
        queue = WriteQueue(book.writer, patience=0.1)
        book.lock()
        await queue.post("r", add, "line")
        with pytest.raises(DatabaseUnavailableError):
            await queue.flush()
        book.unlock()
        await queue.close(0)

    asyncio.run(course())


async def ended(queue: WriteQueue, way: str) -> None:
    """Wait for what is being written of "r", in one of the ways there are."""
    if way == "close":
        await queue.close(10)
    elif way == "drain":
        await queue.drain("r")
    else:
        is_drained = asyncio.Event()
        queue.when_drained("r", is_drained.set)
        assert not is_drained.is_set()
        await asyncio.wait_for(is_drained.wait(), 10)


@pytest.mark.parametrize("way", ["drain", "when drained", "close"])
def test_what_nobody_waited_for_can_be_waited_for_later(book, way):
    async def course():
        queue = WriteQueue(book.writer)
        queue.post_patiently("r", add, "receipt")
        await ended(queue, way)
        assert book.lines == ["receipt"]

    asyncio.run(course())


@pytest.mark.parametrize("way", ["drain", "when drained", "close"])
def test_what_is_refused_is_waited_for_until_it_is_written(book, way):
    async def course():
        queue = WriteQueue(book.writer)
        book.lock()
        queue.post_later("r", add, "receipt")
        waiting = asyncio.create_task(ended(queue, way))
        assert await seen_meanwhile(lambda: queue.lagging, bool)
        assert not waiting.done()
        book.unlock()
        await waiting
        assert (book.lines, bool(queue.lagging)) == (["receipt"], False)

    asyncio.run(course())


def test_what_is_refused_before_anybody_waits_is_written_before_what_follows(book):
    async def course():
        queue = WriteQueue(book.writer)
        book.lock()
        queue.post_later("r", add, "receipt")
        assert await seen_meanwhile(lambda: queue.lagging, bool)
        await queue.post("r", add, "end")
        book.unlock()
        await queue.drain("r")
        assert book.lines == ["receipt", "end"]

    asyncio.run(course())
