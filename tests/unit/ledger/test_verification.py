"""A look at the whole ledger: silent while everything agrees, and it names what does not. On both databases."""

import asyncio
import uuid
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.journal.records import Settlement, Status
from app.ledger.verification import MOST_DIFFERENCES
from tests.support.journals import Clock, open_journal
from tests.support.ledgers import COST, DONE, FREE, RESERVE, UNKNOWN, Books, intent, known


@pytest.fixture
def books(database):
    clock = Clock()
    journal = open_journal(database.fresh(), clock)
    yield Books(journal, clock)
    journal.close()


async def some_requests(books: Books) -> dict[str, str]:
    """One in each state, by name."""
    await books.open_account()
    ids = {}
    for name, settlement in (("open", None), ("done", DONE), ("unknown", UNKNOWN), ("free", FREE)):
        wanted = intent()
        lease = await books.claim(wanted)
        if settlement is not None:
            await books.hand.settle(
                lease, settlement, known(wanted, settlement.cost) if settlement.cost is not None else []
            )
        ids[name] = wanted.request_id
    withdrawn = intent()
    await books.claim(withdrawn)
    await books.hand.withdraw(withdrawn)
    return ids


def test_what_agrees_is_summed_up(books):
    async def course():
        await some_requests(books)
        found = await books.verify()
        assert (found.is_exact, found.differences, found.more_differences) == (True, (), 0)
        assert (found.requests, found.accounts, found.entries) == (4, 1, 9)
        assert (found.reserved, found.estimated) == (RESERVE, RESERVE)
        assert found.spent == COST + RESERVE

    asyncio.run(course())


def test_an_empty_ledger_agrees(books):
    found = asyncio.run(books.verify())
    assert (found.is_exact, found.requests, found.entries, found.spent) == (True, 0, 0, 0)


@pytest.mark.parametrize(
    ("statement", "subjects"),
    [
        pytest.param("UPDATE requests SET cost = 1 WHERE id = :done", {"request", "bill"}, id="another cost in the journal"),
        pytest.param("UPDATE requests SET cost = NULL WHERE id = :done", {"request"}, id="a cost that is gone"),
        pytest.param("UPDATE requests SET status = 'failed' WHERE id = :open", {"request"}, id="an end nobody booked"),
        pytest.param("UPDATE requests SET tenant = 'key_b' WHERE id = :done", {"request"}, id="another tenant"),
        pytest.param("UPDATE tasks SET cost = 1 WHERE request_id = :done", {"bill"}, id="a task that cost something else"),
        pytest.param("DELETE FROM ledger_entries WHERE request_id = :done", {"request", "account"}, id="entries that are gone"),
        pytest.param(
            "UPDATE ledger_entries SET request_id = 'req_x' WHERE request_id = :done", {"request"}, id="entries of no request"
        ),
        pytest.param(
            "UPDATE ledger_entries SET spent = spent - 1 WHERE request_id = :done", {"request", "account"}, id="an amount"
        ),
        pytest.param(
            "UPDATE ledger_entries SET is_estimated = (1 = 1) WHERE request_id = :done", {"request"}, id="what is a guess"
        ),
        pytest.param("UPDATE accounts SET spent = spent + 1", {"account"}, id="an account that spent more"),
        pytest.param("UPDATE accounts SET reserved = 0", {"account"}, id="an account that reserved less"),
        pytest.param(
            "INSERT INTO daily_totals VALUES (5, 'key_a', 'm', '', 'completed', 1, 1, 0, 7, 0)", {"account"}, id="a total"
        ),
        pytest.param("INSERT INTO daily_totals VALUES (5, 't', 'm', '', 'completed', 1, 1, 0, -7, 0)", {"totals"}, id="below zero"),
    ],
)  # fmt: skip
def test_what_differs_is_named(books, statement, subjects):
    async def course():
        ids = await some_requests(books)
        await books.journal.writer.write(lambda t: t.execute(text(statement), ids if ":" in statement else {}))
        found = await books.verify()
        assert not found.is_exact
        assert {one.subject for one in found.differences} == subjects, found.differences

    asyncio.run(course())


def test_many_differences_are_counted_and_some_named(books):
    async def course():
        for _ in range(3):
            await asyncio.gather(*(books.claim(intent()) for _ in range(200)))
        await books.journal.writer.write(lambda t: t.execute(text("DELETE FROM ledger_entries"), {}))
        found = await books.verify()
        assert (found.requests, len(found.differences), found.more_differences) == (600, MOST_DIFFERENCES, 500)

    asyncio.run(course())


def test_costs_with_nine_digits_agree_to_the_last_one(books):
    async def course():
        await books.open_account()
        total = Decimal(0)
        for number in range(1, 40):
            ids = tuple(str(uuid.uuid4()) for _ in range(3))
            wanted, cost = intent(task_ids=ids), Decimal(number).scaleb(-9)
            costs = [one for task_id in ids for one in known(intent(task_ids=(task_id,)), cost)]
            total += 3 * cost
            await books.hand.settle(
                await books.claim(wanted), Settlement(Status.COMPLETED, "{}", None, 3 * cost), costs
            )
        found = await books.verify()
        assert (found.is_exact, found.spent) == (True, total)

    asyncio.run(course())
