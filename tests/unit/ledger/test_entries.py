"""The entries that follow what happens to a request, however often, late or damaged it is written. On both databases."""

import asyncio
import threading
from decimal import Decimal

import pytest
from sqlalchemy import select, text, update

from app.database.errors import DatabaseUnavailableError
from app.database.key_tables import accounts, highest_prices, ledger_entries
from app.domain.answer import TaskCost
from app.domain.values import replace
from app.journal.outcomes import OpenBills
from app.journal.records import Lease, Status
from app.ledger.entries import SECONDS_OF_A_DAY
from tests.support.journals import ByHand, Clock, as_process, open_journal
from tests.support.ledgers import COST, DONE, FREE, PART, RESERVE, UNKNOWN, Books, intent, known


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def books(database, clock):
    journal = open_journal(database.fresh(), clock)
    yield Books(journal, clock)
    journal.close()


RESERVED = ("reserve", 30_000_000, 0, False)
SETTLED = ("settle", -30_000_000, 12_300_000, False)
GUESSED = ("settle", -30_000_000, 30_000_000, True)
RELEASED = ("release", -30_000_000, 0, False)
BILLED = ("adjust", 0, -17_700_000, False)


def test_a_request_is_reserved_and_settled_and_its_account_charged_the_same(books):
    async def course():
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        assert await books.account() == (30_000_000, 0)
        await books.hand.settle(lease, DONE, known(wanted))
        assert await books.entries(wanted.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_an_end_that_is_written_again_is_booked_once(books):
    """As after a commit whose end nobody heard of, alone and together with others."""

    async def course():
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        for _ in range(2):
            await books.hand.settle(lease, DONE, known(wanted))
        await asyncio.gather(*(books.hand.settle(lease, DONE, known(wanted)) for _ in range(3)))
        assert await books.entries(wanted.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_a_process_that_lost_the_request_books_nothing(books):
    async def course():
        await books.open_account()
        wanted = intent()
        lost = await books.claim(wanted)
        other = ByHand(as_process(books.journal, books.clock, "other"))
        (record,) = await other.take_over(await other.list_watched())
        await books.hand.settle(lost, FREE, known(wanted, Decimal(0)))
        assert await books.entries(wanted.request_id) == [RESERVED]
        await other.settle(Lease(record.id, record.fence), DONE, known(wanted))
        await books.hand.settle(lost, FREE, known(wanted, Decimal(0)))
        assert await books.entries(wanted.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_an_end_that_comes_several_times_in_its_first_group_is_booked_once(books):
    async def course():
        await books.open_account()
        wanted, beside = intent(), intent()
        lease, other = await books.claim(wanted), await books.claim(beside)

        def end_often(transaction):
            for _ in range(3):
                books.journal.outcomes.settle(transaction, lease, DONE, known(wanted))
            books.journal.outcomes.settle(transaction, other, DONE, known(beside))

        await books.journal.writer.post(end_often)
        for one in (wanted, beside):
            assert await books.entries(one.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 2 * 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_ends_of_what_was_opened_here_and_elsewhere_are_booked_in_one_group(books):
    """What this process opened it knows; of everything else it asks the journal (0206)."""

    async def course():
        await books.open_account()
        elsewhere = Books(as_process(books.journal, books.clock, "other"), books.clock)
        mine, theirs = intent(), intent()
        leases = [await books.claim(mine), await elsewhere.claim(theirs)]

        def end_both(transaction):
            for wanted, lease in zip((mine, theirs), leases, strict=True):
                books.journal.outcomes.settle(transaction, lease, DONE, known(wanted))

        await books.journal.writer.post(end_both)
        for one in (mine, theirs):
            assert await books.entries(one.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 2 * 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_an_end_whose_group_breaks_is_booked_once_when_it_is_tried_by_itself(books):
    async def course():
        await books.open_account()
        wanted = [intent() for _ in range(4)]
        leases = [await books.claim(one) for one in wanted]

        def refuse(transaction):
            transaction.execute(text("INSERT INTO tasks (uuid) VALUES ('one without a request')"), {})

        told = await asyncio.gather(
            *(books.hand.settle(lease, DONE, known(one)) for one, lease in zip(wanted, leases, strict=True)),
            books.journal.writer.post(refuse),
            return_exceptions=True,
        )
        assert [type(one) for one in told] == [type(None)] * 4 + [DatabaseUnavailableError]
        for one in wanted:
            assert await books.entries(one.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 4 * 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


@pytest.mark.parametrize("times", [1, 2])
def test_a_claim_that_is_taken_back_releases_what_it_reserved_once(books, times):
    async def course():
        await books.open_account()
        wanted = intent()
        await books.claim(wanted)
        for _ in range(times):
            await books.hand.withdraw(wanted)
        assert await books.entries(wanted.request_id) == [RESERVED, RELEASED]
        assert await books.account() == (0, 0)

    asyncio.run(course())


def test_a_claim_that_was_never_written_is_taken_back_without_a_trace(books):
    async def course():
        await books.open_account()
        wanted = intent()
        await books.hand.withdraw(wanted)
        assert (await books.entries(wanted.request_id), await books.account()) == ([], (0, 0))

    asyncio.run(course())


@pytest.mark.parametrize("later", [0, SECONDS_OF_A_DAY], ids=["the same day", "the next day"])
def test_a_claim_that_is_made_again_after_it_was_taken_back_is_booked_by_its_last_day(books, later):
    async def course():
        await books.open_account()
        wanted = intent()
        await books.claim(wanted)
        await books.hand.withdraw(wanted)
        books.clock.now += later
        lease = await books.claim(wanted)
        await books.hand.settle(lease, DONE, known(wanted))
        assert await books.entries(wanted.request_id) == [RESERVED, RELEASED, RESERVED, SETTLED]
        query = select(ledger_entries.c.day).order_by(ledger_entries.c.id.desc()).limit(2)
        days = await books.journal.reader.read(lambda c: set(c.execute(query).scalars()))
        assert days == {int(books.clock.now // SECONDS_OF_A_DAY)}
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_an_unknown_cost_stands_as_what_was_reserved_until_the_bill_comes_and_then_only_once(books):
    async def course():
        await books.open_account()
        wanted, bills = intent(), OpenBills(1, books.clock)
        lease = await books.claim(wanted)
        await books.hand.settle(lease, UNKNOWN, [TaskCost(wanted.task_ids[0], PART, is_complete=False)])
        assert await books.account() == (0, 30_000_000)
        for _ in range(2):
            await books.journal.writer.post(bills.complete, wanted.request_id, known(wanted), COST)
        assert await books.entries(wanted.request_id) == [RESERVED, GUESSED, BILLED]
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


@pytest.mark.parametrize(
    ("first", "booked"),
    [
        pytest.param(DONE, [RESERVED, SETTLED], id="known"),
        pytest.param(UNKNOWN, [RESERVED, GUESSED, BILLED], id="guessed"),
    ],
)
def test_a_request_that_is_opened_again_is_not_paid_again(books, first, booked):
    async def course():
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        await books.hand.settle(lease, first, known(wanted))
        before = await books.entries(wanted.request_id)
        await books.hand.reopen(await books.hand.find_request(wanted.request_id), callers=1)
        assert (await books.hand.find_request(wanted.request_id)).status is Status.PROCESSING
        assert await books.entries(wanted.request_id) == before
        await books.hand.settle(Lease(lease.request_id, lease.fence + 1), DONE, known(wanted))
        assert await books.entries(wanted.request_id) == booked
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_what_follows_several_changes_of_one_request_in_one_group_is_one_entry(books):
    async def course():
        await books.open_account()
        wanted, bills = intent(), OpenBills(1, books.clock)
        lease = await books.claim(wanted)

        def end_and_bill(transaction):
            books.journal.outcomes.settle(transaction, lease, UNKNOWN, known(wanted))
            bills.complete(transaction, wanted.request_id, known(wanted), COST)

        await books.journal.writer.post(end_and_bill)
        assert await books.entries(wanted.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_a_request_of_an_earlier_period_is_not_charged_to_this_one(books):
    async def course():
        today = int(books.clock.now // SECONDS_OF_A_DAY)
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        fresh = update(accounts).values(period_start=today + 1, reserved=0, spent=0)
        await books.journal.writer.write(lambda t: t.execute(fresh, {}))
        await books.hand.settle(lease, DONE, known(wanted))
        assert await books.entries(wanted.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 0)

    asyncio.run(course())


@pytest.mark.parametrize(
    ("settlement", "n", "estimate", "highest"),
    [
        pytest.param(DONE, 4, None, 3_075_000, id="all images of a model without a price"),
        pytest.param(DONE, 7, None, 1_757_143, id="rounded up"),
        pytest.param(DONE, 4, RESERVE, None, id="the catalog has a price"),
        pytest.param(replace(DONE, status=Status.PARTIAL), 4, None, None, id="some images: a share would be too low"),
        pytest.param(UNKNOWN, 4, None, None, id="a guess is no price"),
        pytest.param(FREE, 4, None, None, id="it failed"),
    ],
)
def test_the_highest_price_that_was_seen_is_of_images_that_were_all_made(books, settlement, n, estimate, highest):
    async def course():
        for _ in range(2):
            wanted = intent(n=n, estimate=estimate)
            await books.hand.settle(await books.claim(wanted), settlement, known(wanted))
        cheaper = intent(n=100, estimate=estimate)
        await books.hand.settle(await books.claim(cheaper), settlement, known(cheaper))
        query = select(highest_prices.c.per_image)
        assert await books.journal.reader.read(lambda c: c.execute(query).scalar_one_or_none()) == highest

    asyncio.run(course())


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"n": "many"}, id="a count"),
        pytest.param({"reserve": "a lot"}, id="what was reserved"),
        pytest.param({"created_at": "yesterday"}, id="a time"),
        pytest.param({"estimate": 2**62}, id="an estimate beyond any sum"),
    ],
)
def test_a_damaged_row_is_settled_by_what_can_be_read_of_it(tmp_path, clock, damage):
    """Only SQLite keeps anything in any column."""
    journal = open_journal(f"sqlite:///{tmp_path / 'journal.db'}", clock)
    books = Books(journal, clock)

    async def course():
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        sets = ", ".join(f'"{name}" = :{name}' for name in damage)
        statement = text(f"UPDATE requests SET {sets} WHERE id = :request_id")
        await journal.writer.write(lambda t: t.execute(statement, {**damage, "request_id": wanted.request_id}))
        await books.hand.settle(lease, DONE, known(wanted))
        assert await books.entries(wanted.request_id) == [RESERVED, SETTLED]
        assert await books.account() == (0, 12_300_000)

    try:
        asyncio.run(course())
    finally:
        journal.close()


def test_a_cost_beyond_any_sum_is_unknown_and_spoils_no_balance(books):
    async def course():
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        await books.hand.settle(lease, DONE, known(wanted))
        await books.damage(wanted.request_id, cost=2**63 - 1)
        await books.hand.settle(
            Lease(wanted.request_id, lease.fence - 1), DONE, known(wanted)
        )  # any write that follows
        assert await books.account() == (0, 30_000_000)
        await books.hand.settle(lease, DONE, known(wanted))
        assert await books.account() == (0, 12_300_000)
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_two_replicas_that_end_and_bill_the_same_requests_book_each_change_once(postgres):
    """Read committed: what one read before it waited for the other's row would be old."""
    url, clock = postgres.fresh(), Clock()
    journals = [open_journal(url, clock, name) for name in "ab"]
    here, there = (Books(journal, clock) for journal in journals)

    async def course():
        await here.open_account()
        for _ in range(4):
            wanted = [intent() for _ in range(6)]
            leases = [await here.claim(one) for one in wanted]
            bills = OpenBills(1, clock)
            await asyncio.gather(
                *(here.hand.settle(lease, UNKNOWN, known(one)) for lease, one in zip(leases, wanted, strict=True)),
                *(there.journal.writer.post(bills.complete, one.request_id, known(one), COST) for one in wanted),
                *(there.hand.settle(lease, UNKNOWN, known(one)) for lease, one in zip(leases, wanted, strict=True)),
                *(there.hand.withdraw(intent()) for _ in range(3)),
            )
            for one in wanted:
                await here.journal.writer.post(bills.complete, one.request_id, known(one), COST)
                entries = await here.entries(one.request_id)
                assert [sum(entry[place] for entry in entries) for place in (1, 2)] == [0, 12_300_000]
        assert await here.account() == (0, 4 * 6 * 12_300_000)

    try:
        asyncio.run(asyncio.wait_for(course(), 60))
    finally:
        for journal in journals:
            journal.close()


def test_replicas_whose_callers_have_no_account_do_not_wait_for_one_another(postgres):
    """A key from the settings is the same tenant everywhere: its ends must not take turns."""
    url, clock = postgres.fresh(), Clock()
    journals = [open_journal(url, clock, name) for name in "ab"]
    here, there = (Books(journal, clock) for journal in journals)

    async def course():
        mine, theirs = intent(tenant="t"), intent(tenant="t")
        first, second = await here.claim(mine), await there.claim(theirs)
        locked = asyncio.Event()
        loop = asyncio.get_running_loop()
        go_on = threading.Event()

        def hold(transaction):
            here.journal.outcomes.settle(transaction, first, DONE, known(mine))
            transaction.write()
            loop.call_soon_threadsafe(locked.set)
            go_on.wait(30)

        holding = asyncio.create_task(here.journal.writer.write(hold))
        await locked.wait()
        try:
            await asyncio.wait_for(there.hand.settle(second, DONE, known(theirs)), 20)
        finally:
            go_on.set()
        await holding
        for one in (mine, theirs):
            assert await here.entries(one.request_id) == [RESERVED, SETTLED]

    try:
        asyncio.run(course())
    finally:
        for journal in journals:
            journal.close()
