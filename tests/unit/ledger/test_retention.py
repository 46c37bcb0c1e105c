"""Old requests go, and their sums stay: totals and what is left add up to what was there before. On both databases."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal

import pytest
from sqlalchemy import func, select, text

from app.database.key_tables import daily_totals, ledger_entries, notices
from app.database.tables import requests, tasks
from app.domain.money import to_nanos
from app.domain.values import replace
from app.journal.outcomes import OpenBills
from app.journal.records import Lease, Receipt, Settlement
from app.ledger.entries import SECONDS_OF_A_DAY
from app.ledger.retention import AT_ONCE, Retention
from tests.support.databases import SQLiteFolder
from tests.support.journals import KEY_TTL, Clock, open_journal
from tests.support.ledgers import COST, DONE, FREE, PART, RESERVE, UNKNOWN, Books, intent, known

TTL = 10 * SECONDS_OF_A_DAY
LATER = TTL + SECONDS_OF_A_DAY


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def books(database, clock):
    journal = open_journal(database.fresh(), clock)
    yield Books(journal, clock)
    journal.close()


@dataclass(frozen=True)
class Sums:
    """What rows and totals add up to."""

    requests: int
    images: int
    dropped: int
    paid: int

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in ("requests", "images", "dropped", "paid")))


async def sums(books: Books) -> tuple[Sums, Sums]:
    """Of the rows that are there, and of the totals."""
    rows = select(func.count(), func.sum(requests.c.images), func.sum(requests.c.dropped))
    entries = select(func.sum(ledger_entries.c.spent))
    totals = select(
        *(func.sum(daily_totals.c[name]) for name in ("requests", "images", "dropped")),
        func.sum(daily_totals.c.cost + daily_totals.c.estimated_cost),
    )

    def look(connection) -> tuple[Sums, Sums]:
        row, spent = connection.execute(rows).one(), connection.execute(entries).scalar()
        in_totals = connection.execute(totals).one()
        return Sums(*(int(one or 0) for one in (*row, spent))), Sums(*(int(one or 0) for one in in_totals))

    return await books.journal.reader.read(look)


async def sweep(books: Books, retention: Retention) -> int:
    removed = 0
    while old := await books.journal.reader.read(retention.find_old):
        removed += await books.journal.writer.write_locked(("x",), retention.remove, old)
    return removed


async def ended(books: Books, settlement: Settlement = DONE, **values: object) -> str:
    wanted = intent(**values)
    lease = await books.claim(wanted)
    costs = known(wanted, settlement.cost) if settlement.cost is not None else []
    await books.hand.settle(lease, settlement, costs)
    await books.hand.acknowledge(wanted.request_id, Receipt.DELIVERED)
    return wanted.request_id


async def left(books: Books) -> set[str]:
    return await books.journal.reader.read(lambda c: set(c.execute(select(requests.c.id)).scalars()))


def test_sums_by_day_key_model_user_and_status_take_the_place_of_old_requests(books, clock):
    async def course():
        await books.open_account()
        first = int(clock.now // SECONDS_OF_A_DAY)
        made = replace(DONE, images=2)
        for _ in range(3):
            await ended(books, made, dropped=1, n=2)
        await ended(books, made, user="anna")
        await ended(books, made, tenant="t")
        await ended(books, FREE)
        given_up = await ended(books, UNKNOWN)
        await books.damage(given_up, bill_next=None)  # Runware never said what it cost
        clock.now += SECONDS_OF_A_DAY
        await ended(books, made)
        before, account = await sums(books), await books.account()
        clock.now += LATER
        young = await ended(books)
        assert await sweep(books, Retention(TTL, clock)) == 8
        assert await left(books) == {young}
        columns = [
            daily_totals.c[name]
            for name in ("day", "tenant", "user", "status", "requests", "images", "dropped", "cost", "estimated_cost")
        ]
        rows = await books.journal.reader.read(lambda c: sorted(tuple(row) for row in c.execute(select(*columns))))
        cost, guess = to_nanos(COST), to_nanos(RESERVE)
        assert rows == [
            (first, "key_a", "", "completed", 4, 6, 3, 3 * cost, guess),
            (first, "key_a", "", "failed", 1, 0, 0, 0, 0),
            (first, "key_a", "anna", "completed", 1, 2, 0, cost, 0),
            (first, "t", "", "completed", 1, 2, 0, cost, 0),
            (first + 1, "key_a", "", "completed", 1, 2, 0, cost, 0),
        ]
        after = await sums(books)
        assert after[0] + after[1] == before[0] + Sums(1, 0, 0, cost)
        assert await books.account() == (account[0], account[1] + cost)
        assert (await books.verify()).is_exact
        assert (
            await books.journal.reader.read(lambda c: c.execute(select(func.count()).select_from(tasks)).scalar()) == 1
        )

    asyncio.run(course())


@pytest.mark.parametrize(
    "keep",
    [
        pytest.param("open", id="it has not ended"),
        pytest.param("bill", id="its bill is still asked for"),
        pytest.param("webhook", id="its webhook is still to be sent"),
        pytest.param("waited for", id="somebody waits for its answer"),
    ],
)
def test_what_may_still_be_needed_stays_until_it_is_not(books, clock, keep):
    async def course():
        await books.open_account()
        wanted = intent(webhook_url="https://example.com/" if keep == "webhook" else None)
        lease = await books.claim(wanted)
        if keep != "open":
            costs = [] if keep == "bill" else known(wanted)
            await books.hand.settle(lease, UNKNOWN if keep == "bill" else DONE, costs)
        if keep != "waited for":
            await books.hand.acknowledge(wanted.request_id, Receipt.DELIVERED)
        clock.now += LATER
        retention = Retention(TTL, clock)
        assert await books.journal.reader.read(retention.find_old) == []
        # Also where it was found while it still looked old.
        assert await books.journal.writer.write(retention.remove, [wanted.request_id]) == 0
        assert await left(books) == {wanted.request_id}
        match keep:
            case "open":
                await books.hand.settle(lease, DONE, known(wanted))
            case "bill":
                bill = OpenBills(1, clock).complete
                await books.journal.writer.post(bill, wanted.request_id, known(wanted), COST)
            case "webhook":
                await books.damage(wanted.request_id, webhook_next=None)
            case _:
                await books.hand.acknowledge(wanted.request_id, Receipt.DELIVERED)
        assert await sweep(books, retention) == 1
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_a_key_that_is_remembered_keeps_its_request_however_short_the_journals_memory_is(books, clock):
    async def course():
        kept = await ended(books, key_hash="k")
        retention = Retention(60, clock)
        clock.now += KEY_TTL - 1
        assert await sweep(books, retention) == 0
        assert await left(books) == {kept}
        clock.now += 2
        assert await sweep(books, retention) == 1

    asyncio.run(course())


def test_what_the_ledger_had_not_heard_of_is_not_lost_with_its_row(books, clock):
    async def course():
        await books.open_account()
        request_id = await ended(books)
        await books.damage(request_id, cost=to_nanos(PART))
        await books.journal.writer.write(
            lambda t: t.execute(text("UPDATE tasks SET cost = :cost"), {"cost": to_nanos(PART)})
        )
        clock.now += LATER
        await sweep(books, Retention(TTL, clock))
        _, totals = await sums(books)
        assert (totals.paid, await books.account()) == (to_nanos(PART), (0, to_nanos(PART)))
        assert (await books.verify()).is_exact

    asyncio.run(course())


def test_a_removal_that_is_written_again_or_fails_adds_nothing(books, clock):
    class TransactionLostError(Exception):
        """It breaks off before it ends."""

    async def course():
        await books.open_account()
        ids = [await ended(books) for _ in range(5)]
        before, _ = await sums(books)
        clock.now += LATER
        retention = Retention(TTL, clock)

        def break_off(transaction):
            retention.remove(transaction, ids)
            raise TransactionLostError

        with pytest.raises(TransactionLostError):
            await books.journal.writer.write(break_off)
        assert await sums(books) == (before, Sums(0, 0, 0, 0))
        done = [await books.journal.writer.write(retention.remove, ids) for _ in range(2)]
        assert (done, await sums(books)) == ([5, 0], (Sums(0, 0, 0, 0), before))

    asyncio.run(course())


def test_entries_of_claims_that_were_taken_back_go_too_and_only_those(books, clock):
    async def course():
        await books.open_account()
        withdrawn, running = intent(), intent()
        await books.claim(withdrawn)
        await books.hand.withdraw(withdrawn)
        await books.claim(running)
        odd = {"kind": "settle", "tenant": "t", "day": 3, "at": 5.0, "reserved": 0, "spent": 7, "is_estimated": False}
        await books.journal.writer.write(lambda t: t.execute(ledger_entries.insert(), odd | {"request_id": "req_lost"}))
        retention = Retention(TTL, clock)
        assert await books.journal.reader.read(retention.find_left_over) == []
        clock.now += LATER
        old = await books.journal.reader.read(retention.find_left_over)
        assert old == [withdrawn.request_id], "what adds up to something is for `verify` to tell"
        assert await books.journal.writer.write(retention.remove_left_over, [*old, running.request_id]) == 2
        assert len(await books.entries(running.request_id)) == 1

    asyncio.run(course())


def test_old_notices_go_unless_they_are_still_to_be_sent(books, clock):
    async def course():
        old, now = clock.now - LATER, clock.now
        rows = [
            {"id": name, "event": "e", "tenant": "t", "url": "u", "body": "{}", "created_at": at, "next_at": due}
            for name, at, due in (("old", old, None), ("due", old, now), ("young", now, None))
        ]
        await books.journal.writer.write(lambda t: t.execute(notices.insert(), rows))
        await books.journal.writer.write(Retention(TTL, clock).remove_notices)
        names = await books.journal.reader.read(lambda c: set(c.execute(select(notices.c.id)).scalars()))
        assert names == {"due", "young"}

    asyncio.run(course())


def test_two_replicas_that_remove_at_once_sum_up_each_request_once(postgres, clock):
    url = postgres.fresh()
    journals = [open_journal(url, clock, name) for name in "ab"]
    here, there = (Books(journal, clock) for journal in journals)

    async def course():
        await here.open_account()
        await asyncio.gather(*(ended(here) for _ in range(2 * AT_ONCE)))
        before, _ = await sums(here)
        clock.now += LATER
        retention = Retention(TTL, clock)
        removed = await asyncio.gather(*(sweep(one, retention) for one in (here, there)))
        assert sum(removed) == 2 * AT_ONCE
        assert await sums(here) == (Sums(0, 0, 0, 0), before)
        assert (await here.verify()).is_exact

    try:
        asyncio.run(asyncio.wait_for(course(), 60))
    finally:
        for journal in journals:
            journal.close()


_SWEEP = """
import sys
from app.database.engine import open_engine
from app.database.transaction import Transaction
from app.ledger.retention import Retention
engine, retention = open_engine(sys.argv[1]), Retention(1.0, lambda: 1e9)
print("ready", flush=True)
while True:
    with engine.begin() as connection:
        old = retention.find_old(connection)[:3]
        transaction = Transaction(connection)
        retention.remove(transaction, old)
        transaction.write()
    if not old:
        break
    print(len(old), flush=True)
"""


def test_a_process_that_is_killed_in_the_middle_of_it_loses_no_sum(tmp_path, clock):
    chance, url = random.Random(7), SQLiteFolder(tmp_path).fresh()
    journal = open_journal(url, clock)
    books = Books(journal, clock)

    async def fill() -> Sums:
        await books.open_account()
        await asyncio.gather(*(ended(books, replace(DONE, images=1), dropped=2) for _ in range(150)))
        return (await sums(books))[0]

    async def look() -> tuple[Sums, Sums]:
        assert (await books.verify()).is_exact
        return await sums(books)

    try:
        before = asyncio.run(fill())
        killed_in_between, rest = 0, before
        while rest.requests:
            with subprocess.Popen([sys.executable, "-c", _SWEEP, url], stdout=subprocess.PIPE, text=True) as process:
                process.stdout.readline()
                for _ in range(chance.randrange(3, 9)):
                    process.stdout.readline()
                time.sleep(chance.random() * 0.01)  # anywhere in a transaction
                process.send_signal(signal.SIGKILL)
            rest, totals = asyncio.run(look())
            assert rest + totals == before
            killed_in_between += 0 < rest.requests < before.requests
        assert killed_in_between > 2
        assert asyncio.run(books.account()) == (0, 150 * to_nanos(COST))
    finally:
        journal.close()


def test_a_damaged_row_is_summed_up_by_what_can_be_read_of_it(tmp_path, clock):
    """Only SQLite keeps anything in any column."""
    journal = open_journal(SQLiteFolder(tmp_path).fresh(), clock)
    books = Books(journal, clock)

    async def course():
        request_id = await ended(books, replace(DONE, images=1))
        odd = text("UPDATE requests SET images = 'many', dropped = -3, executed_model = x'00ff' WHERE id = :id")
        await journal.writer.write(lambda t: t.execute(odd, {"id": request_id}))
        clock.now += LATER
        assert await sweep(books, Retention(TTL, clock)) == 1
        _, totals = await sums(books)
        assert totals == Sums(1, 0, 0, to_nanos(COST))

    try:
        asyncio.run(course())
    finally:
        journal.close()


def test_a_late_bill_of_a_request_that_is_gone_changes_nothing(books, clock):
    async def course():
        await books.open_account()
        wanted = intent()
        lease = await books.claim(wanted)
        await books.hand.settle(lease, FREE, known(wanted, Decimal(0)))
        await books.hand.acknowledge(wanted.request_id, Receipt.DELIVERED)
        clock.now += LATER
        await sweep(books, Retention(TTL, clock))
        await books.journal.writer.post(OpenBills(1, clock).complete, wanted.request_id, known(wanted), COST)
        await books.hand.settle(Lease(wanted.request_id, lease.fence), DONE, known(wanted))
        assert (await books.entries(wanted.request_id), await books.account()) == ([], (0, 0))

    asyncio.run(course())
