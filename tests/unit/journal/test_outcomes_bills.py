"""Which open bills are asked for, when, by whom, and what is written once they are whole. On both databases."""

import asyncio
import uuid
from decimal import Decimal
from itertools import pairwise

import pytest

from app.domain.answer import TaskCost
from app.journal.history import Filter
from app.journal.outcomes import OpenBills
from app.journal.records import Intent, Lease, Settlement, Status
from app.ledger.bill import known_cost, total_cost
from tests.support.journals import ByHand, Clock, open_journal

FIRST_PAUSE = 120.0
CENT = Decimal("0.01")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(database, clock):
    made = open_journal(database.fresh(), clock)
    yield made
    made.close()


@pytest.fixture
def journal(opened) -> ByHand:
    return ByHand(opened)


class Bills:
    """Each call is a transaction of its own."""

    def __init__(self, opened, clock) -> None:
        self._writer, self._bills = opened.writer, OpenBills(FIRST_PAUSE, clock)

    async def due(self, is_known=lambda _: True):
        return await self._writer.write(self._bills.take_due, is_known)

    async def complete(self, *bill) -> None:
        await self._writer.post(self._bills.complete, *bill)


@pytest.fixture
def bills(opened, clock) -> Bills:
    return Bills(opened, clock)


async def claimed(journal: ByHand, request_id: str, task_ids: tuple[str, ...]) -> Lease:
    """A request with these tasks that is being carried out."""
    wanted = Intent(request_id, "t", None, "f", "generations", "m", "m", len(task_ids), task_ids, None, "{}")
    return Lease(request_id, (await journal.claim(wanted)).record.fence)


async def ended(journal: ByHand, *, known: Decimal | None) -> tuple[str, tuple[str, str]]:
    """A request of two tasks that ended; of the second's cost nothing is known, where `known` is the first's."""
    ids = (str(uuid.uuid4()), str(uuid.uuid4()))
    request_id = f"req_{uuid.uuid4().hex}"
    lease = await claimed(journal, request_id, ids)
    if known is None:
        costs = [TaskCost(task_id, CENT, is_complete=True) for task_id in ids]
        await journal.settle(lease, Settlement(Status.COMPLETED, "{}", None, 2 * CENT), costs)
    else:
        costs = [TaskCost(ids[0], known, is_complete=True), TaskCost(ids[1], Decimal(0), is_complete=False)]
        await journal.settle(lease, Settlement(Status.COMPLETED, "{}", None, None, known), costs)
    return request_id, ids


def test_only_open_bills_are_due_and_not_right_after_the_end(journal, bills, clock):
    async def course():
        request_id, _ = await ended(journal, known=CENT)
        await ended(journal, known=None)
        assert await bills.due() == []
        clock.now += FIRST_PAUSE
        (record,) = await bills.due()
        assert (record.id, total_cost(record.costs), known_cost(record.costs)) == (request_id, None, CENT)
        sums = await journal.journal.history.sums(Filter("t"))
        assert (sums.unknown, sums.known_cost) == (1, 3 * CENT)

    asyncio.run(course())


def test_the_bill_of_a_caller_whose_key_is_not_known_here_waits_and_counts_no_try(journal, bills, clock):
    async def course():
        request_id, _ = await ended(journal, known=CENT)
        clock.now += FIRST_PAUSE
        for _ in range(20):
            assert await bills.due(lambda tenant: tenant != "t") == []
        assert [record.id for record in await bills.due()] == [request_id]

    asyncio.run(course())


def test_a_request_that_runs_is_not_asked_for(journal, bills, clock):
    async def course():
        lease = await claimed(journal, "req_1", ("a",))
        await journal.book_costs(lease, [TaskCost("a", Decimal(0), is_complete=False)])
        clock.now += 10 * FIRST_PAUSE
        assert await bills.due() == []

    asyncio.run(course())


def test_what_one_replica_asks_for_no_other_asks_for_meanwhile(journal, opened, bills, clock):
    async def course():
        await ended(journal, known=CENT)
        clock.now += FIRST_PAUSE
        other = Bills(opened, clock)
        first, second = await asyncio.gather(bills.due(), other.due())
        assert len(first) + len(second) == 1
        assert await other.due() == []

    asyncio.run(course())


def test_it_is_asked_for_ever_more_seldom_and_not_for_ever(journal, bills, clock):
    async def course() -> list[float]:
        await ended(journal, known=CENT)
        asked, began = [], clock.now
        while clock.now - began < 60 * 86_400:
            clock.now += 60
            asked += [clock.now - began] * len(await bills.due())
            if len(asked) > 3:
                clock.now += 6 * 3600
        return asked

    asked = asyncio.run(course())
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert len(asked) == 7
    assert pauses == sorted(pauses)
    assert 6 * 86_400 < asked[-1] < 12 * 86_400


def test_once_it_is_whole_all_say_it_and_it_is_asked_for_no_more(journal, bills, clock):
    async def course():
        request_id, ids = await ended(journal, known=CENT)
        clock.now += FIRST_PAUSE
        await bills.due()
        costs = [TaskCost(task_id, CENT, is_complete=True) for task_id in ids]
        await bills.complete(request_id, costs, 2 * CENT)
        record = await journal.find_request(request_id)
        sums = await journal.journal.history.sums(Filter("t"))
        assert (sums.unknown, sums.known_cost, total_cost(record.costs)) == (0, 2 * CENT, 2 * CENT)
        clock.now += 100 * FIRST_PAUSE
        assert await bills.due() == []

    asyncio.run(course())


def test_a_failure_that_sent_nothing_cost_nothing_for_each_of_its_tasks(journal):
    async def course():
        lease = await claimed(journal, "req_1", ("a", "b"))
        await journal.settle(lease, Settlement(Status.FAILED, None, "{}", Decimal(0)), [])
        assert total_cost((await journal.find_request("req_1")).costs) == 0

    asyncio.run(course())
