"""Old requests are removed when a process starts and regularly, by one process at a time, whatever the database does."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import func, select, text

from app.database.errors import DatabaseUnavailableError
from app.database.key_tables import daily_totals
from app.jobs.retention import JournalSweeper
from app.journal.records import Receipt
from app.ledger.retention import AT_ONCE, Retention
from tests.support.journals import Clock, open_journal
from tests.support.ledgers import DONE, Books, intent, known

TTL = 3600.0


@pytest.fixture
def clock():
    return Clock()


async def fill(books: Books, count: int) -> None:
    async def one() -> None:
        wanted = intent()
        await books.hand.settle(await books.claim(wanted), DONE, known(wanted))
        await books.hand.acknowledge(wanted.request_id, Receipt.DELIVERED)

    await asyncio.gather(*(one() for _ in range(count)))


async def summed_up(books: Books) -> int:
    query = select(func.coalesce(func.sum(daily_totals.c.requests), 0))
    return int(await books.journal.reader.read(lambda c: c.execute(query).scalar_one()))


async def until_summed_up(books: Books, count: int) -> int:
    for _ in range(3000):
        done = await summed_up(books)
        if done == count:
            break
        await asyncio.sleep(0.02)
    return done


def test_all_that_is_old_goes_in_several_transactions(database, clock):
    journal = open_journal(database.fresh(), clock)
    books = Books(journal, clock)

    async def course():
        await books.open_account()
        withdrawn = intent()
        await books.claim(withdrawn)
        await books.hand.withdraw(withdrawn)
        await fill(books, AT_ONCE + 10)
        sweeper = JournalSweeper(journal, Retention(TTL, clock))
        assert await sweeper.sweep() == 0
        clock.now += 2 * TTL
        await fill(books, 1)
        assert await sweeper.sweep() == AT_ONCE + 10
        assert await summed_up(books) == AT_ONCE + 10
        assert await books.entries(withdrawn.request_id) == []
        found = await books.verify()
        assert (found.is_exact, found.requests) == (True, 1)

    try:
        asyncio.run(course())
    finally:
        journal.close()


def test_it_happens_at_the_start_and_again_and_ends_with_the_process(tmp_path, clock):
    journal = open_journal(f"sqlite:///{tmp_path / 'journal.db'}", clock)
    books = Books(journal, clock)

    async def course():
        await fill(books, 2)
        clock.now += 2 * TTL
        sweeper = JournalSweeper(journal, Retention(TTL, clock), every=0.05)
        sweeper.loop.start()
        assert await until_summed_up(books, 2) == 2
        await fill(books, 3)
        clock.now += 2 * TTL
        assert await until_summed_up(books, 5) == 5
        sweeper.loop.stop()

    try:
        asyncio.run(course())
    finally:
        journal.close()


def test_a_database_that_refuses_is_asked_again_later(tmp_path, clock):
    journal = open_journal(f"sqlite:///{tmp_path / 'journal.db'}", clock)
    books = Books(journal, clock)

    async def rename(old: str, new: str) -> None:
        for _ in range(100):
            # In one group with a look of the sweeper's it is refused as that is.
            with suppress(DatabaseUnavailableError):
                return await journal.writer.write(lambda t: t.execute(text(f"ALTER TABLE {old} RENAME TO {new}"), {}))
        raise AssertionError("every group was refused")

    async def course():
        await fill(books, 2)
        clock.now += 2 * TTL
        await rename("daily_totals", "elsewhere")
        sweeper = JournalSweeper(journal, Retention(TTL, clock), every=0.05)
        sweeper.loop.start()
        await asyncio.sleep(0.3)
        assert (
            await books.journal.reader.read(lambda c: c.execute(text("SELECT COUNT(*) FROM requests")).scalar())
        ) == 2
        await rename("elsewhere", "daily_totals")
        assert await until_summed_up(books, 2) == 2
        sweeper.loop.stop()

    try:
        asyncio.run(course())
    finally:
        journal.close()
