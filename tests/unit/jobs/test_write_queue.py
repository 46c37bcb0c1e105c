"""What is written late: in order for each request, and known to be late."""

import asyncio

import pytest

from app.database.errors import DatabaseUnavailableError
from app.jobs.write_queue import WriteQueue


class Book:
    """Refuses the first writes."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.lines: list[str] = []

    def write(self, line: str):
        async def work() -> None:
            if self.refusals:
                self.refusals -= 1
                raise DatabaseUnavailableError
            self.lines.append(line)

        return work


def test_what_was_refused_is_written_later_and_before_what_came_after_it():
    async def course():
        scribe, book = WriteQueue(), Book(refusals=2)
        await scribe.write("r", book.write("first"))
        assert scribe.lags
        scribe.enqueue("r", book.write("second"))
        scribe.enqueue("other", book.write("third"))
        await scribe.flush()
        assert (book.lines.index("first") < book.lines.index("second"), scribe.lags) == (True, False)
        assert sorted(book.lines) == ["first", "second", "third"]

    asyncio.run(course())


def test_where_nothing_was_refused_nobody_waits():
    async def course():
        scribe, book = WriteQueue(), Book(refusals=0)
        never = asyncio.Event()
        scribe.enqueue("slow", never.wait)
        await asyncio.wait_for(scribe.flush(), 0.1)
        await scribe.write("r", book.write("line"))
        assert (book.lines, scribe.lags) == (["line"], False)
        await scribe.close(0)

    asyncio.run(course())


def test_at_the_end_what_cannot_be_written_is_given_up():
    async def course():
        scribe, book = WriteQueue(), Book(refusals=10**6)
        await scribe.write("r", book.write("line"))
        await scribe.close(0.2)
        await asyncio.sleep(0)
        assert book.lines == []

    asyncio.run(course())


def test_a_fault_that_is_not_the_databases_ends_one_line_only():
    async def course():
        scribe, book = WriteQueue(), Book(refusals=0)

        async def broken() -> None:
            raise ValueError

        scribe.enqueue("r", broken)
        scribe.enqueue("r", book.write("next"))
        await scribe.written("r")
        assert book.lines == ["next"]

    asyncio.run(course())


def test_whoever_needs_to_know_all_is_told_when_he_cannot():
    async def course():
        scribe, book = WriteQueue(patience=0.1), Book(refusals=10**6)
        await scribe.write("r", book.write("line"))
        with pytest.raises(DatabaseUnavailableError):
            await scribe.flush()
        await scribe.close(0)

    asyncio.run(course())
