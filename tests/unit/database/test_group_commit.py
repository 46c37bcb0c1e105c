"""What shares a transaction: rooms that stand or fall together, and on PostgreSQL locks that never wait in a circle."""

import asyncio
import contextlib
import uuid
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import text

from app.database.engine import open_engine
from app.database.errors import DatabaseUnavailableError
from app.database.transaction import Transaction
from app.domain.values import replace
from app.journal.records import Intent, Lease, Receipt, Settlement, Status
from tests.support.journals import ByHand, open_journal

DONE = Settlement(Status.COMPLETED, "{}", None, Decimal("0.1"))


def intent(fingerprint: str, key: str | None = None, *, retries: bool = False) -> Intent:
    return Intent(
        f"req_{uuid.uuid4().hex}", "t", key, fingerprint, "generations", "m", "m", 1, (str(uuid.uuid4()),), None, "{}", retries
    )  # fmt: skip


@pytest.fixture
def url(database):
    return database.fresh()


@pytest.fixture
def opened(url):
    made = open_journal(url)
    yield made
    made.close()


@pytest.fixture
def two_replicas(postgres):
    url = postgres.fresh()
    made = [open_journal(url, owner=name) for name in "ab"]
    yield url, made
    for one in made:
        one.close()


class LimitReachedError(Exception):
    """What another room raises."""


def reserve(transaction: Transaction, request_id: str) -> None:
    """A function of another room: it keeps its own rows on the same transaction."""
    transaction.execute(text("INSERT INTO reservations (request_id) VALUES (:id)"), {"id": request_id})


def reserve_in_vain(transaction: Transaction, request_id: str) -> None:
    reserve(transaction, request_id)
    raise LimitReachedError


def accept(transaction: Transaction, journal, wanted: Intent, reserving):
    claim = journal.claims.join(transaction, wanted) or journal.claims.open(transaction, wanted)
    reserving(transaction, wanted.request_id)
    return claim


def count_reservations(connection) -> list[str]:
    return list(connection.execute(text("SELECT request_id FROM reservations")).scalars())


@pytest.mark.parametrize("key", [None, "k"], ids=["without a key", "under a key"])
def test_a_function_of_another_room_joins_the_claims_transaction_and_is_undone_with_it(opened, key):
    async def course():
        hand, names, decide = ByHand(opened), opened.claims.names_of, opened.writer.decide
        await opened.writer.write(lambda t: t.execute(text("CREATE TABLE reservations (request_id TEXT)"), {}))
        good, bad, beside = intent("f", key), intent("g", key and "other"), intent("h")
        outcomes = await asyncio.gather(
            decide(names(good), (), accept, opened, good, reserve),
            decide(names(bad), (), accept, opened, bad, reserve_in_vain),
            hand.claim(beside),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], LimitReachedError)
        assert outcomes[0].is_new
        assert outcomes[2].is_new
        assert await opened.reader.read(count_reservations) == [good.request_id]
        assert await hand.find_request(bad.request_id) is None, "no claim without its reservation"
        assert (await hand.claim(intent("g", key and "other"))).is_new

    asyncio.run(course())


def test_rows_that_a_refused_piece_added_are_not_written_and_cost_nobody_else_a_commit(opened):
    def add_and_refuse(transaction: Transaction) -> None:
        opened.claims.acknowledge(transaction, first, Receipt.DELIVERED)
        raise LimitReachedError

    async def course():
        nonlocal first
        hand = ByHand(opened)
        wanted = intent("f")
        first = wanted.request_id
        await hand.claim(wanted)
        refused, other = await asyncio.gather(
            opened.writer.decide(("x",), (), add_and_refuse), hand.claim(intent("g")), return_exceptions=True
        )
        assert isinstance(refused, LimitReachedError)
        assert other.is_new
        assert (await hand.find_request(first)).delivered_at is None

    first = ""
    asyncio.run(course())


def learn(transaction: Transaction, learned: list[str], name: str) -> None:
    transaction.once_durable.append(partial(learned.append, name))


def learn_in_vain(transaction: Transaction, learned: list[str], name: str) -> None:
    learn(transaction, learned, name)
    transaction.execute(text("DELETE FROM tasks"), {})
    raise LimitReachedError


def learn_too_early(transaction: Transaction, learned: list[str], name: str) -> None:
    learn(transaction, learned, name)
    transaction.execute(text("PRAGMA defer_foreign_keys = ON"), {})
    transaction.execute(text("INSERT INTO tasks (uuid, request_id, position) VALUES ('t', 'nobody', 0)"), {})


def test_what_is_learned_is_remembered_once_for_each_piece_that_stands(opened):
    learned: list[str] = []

    async def course():
        outcomes = await asyncio.gather(
            opened.writer.post(learn, learned, "stands"),
            opened.writer.write(learn_in_vain, learned, "refused"),
            opened.writer.decide((), (), learn, learned, "stands too"),
            return_exceptions=True,
        )
        assert [type(one) for one in outcomes] == [type(None), LimitReachedError, type(None)]

    asyncio.run(course())
    assert sorted(learned) == ["stands", "stands too"]


def test_nothing_is_remembered_of_a_commit_that_fails(tmp_path):
    opened, learned = open_journal(f"sqlite:///{tmp_path / 'journal.db'}"), list[str]()

    async def course():
        with pytest.raises(DatabaseUnavailableError):
            await opened.writer.write(learn_too_early, learned, "not durable")

    asyncio.run(course())
    opened.close()
    assert learned == []


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"prompt": "a\x00b"}, id="a NUL"),
        pytest.param({"plan": "\ud800"}, id="half a character"),
        pytest.param({"user": "u" * 300}, id="a text that is too long"),
        pytest.param({"n": 2**31}, id="a number that is too large"),
        pytest.param({"estimate": Decimal(2**63)}, id="money that is too much"),
    ],
)
def test_what_the_database_does_not_take_of_one_request_costs_no_other_its_claim(two_replicas, bad):
    _, (opened, _) = two_replicas

    async def course():
        hand = ByHand(opened)
        wanted = [intent(f"f{number}") for number in range(5)]
        wanted[2] = replace(wanted[2], **bad)
        outcomes = await asyncio.gather(*map(hand.claim, wanted), return_exceptions=True)
        assert [isinstance(one, DatabaseUnavailableError) for one in outcomes] == [False, False, True, False, False]
        found = [await hand.find_request(one.request_id) for one in wanted]
        assert [one is not None for one in found] == [True, True, False, True, True]

    asyncio.run(course())


def test_a_read_sees_what_this_process_asked_for_before(opened):
    async def course():
        hand = ByHand(opened)
        claim = await hand.claim(intent("f"))
        receipt = asyncio.create_task(
            opened.writer.post_patiently(opened.claims.acknowledge, claim.record.id, Receipt.DELIVERED)
        )
        await asyncio.sleep(0)
        assert (await hand.find_request(claim.record.id)).delivered_at is not None, "even what nobody waits for"
        await receipt

    asyncio.run(course())


def test_reading_goes_on_while_somebody_else_holds_the_lock_of_all_writers(tmp_path):
    opened = open_journal(f"sqlite:///{tmp_path / 'journal.db'}?timeout=0.05")

    async def course():
        hand = ByHand(opened)
        claim = await hand.claim(intent("f"))
        with holding(f"sqlite:///{tmp_path / 'journal.db'}"):
            assert (await asyncio.wait_for(hand.find_request(claim.record.id), 20)).id == claim.record.id

    asyncio.run(course())
    opened.close()


@contextlib.contextmanager
def holding(url: str, names: tuple[str, ...] = (), rows: tuple[str, ...] = ()):
    """Another process in the middle of a transaction."""
    engine = open_engine(url)
    with engine.connect() as connection:
        connection.begin()
        transaction = Transaction(connection)
        assert transaction.lock_names(names) == frozenset(names)
        transaction.lock_rows(rows)
        yield
        connection.rollback()
    engine.dispose()


def test_a_claim_does_not_wait_while_another_key_is_held_even_beside_a_claim_that_does(two_replicas):
    url, (here, _) = two_replicas

    async def course():
        hand, held, free = ByHand(here), intent("f", "held"), intent("f", "free")
        with holding(url, here.claims.names_of(held)):
            waiting = asyncio.create_task(hand.claim(held))
            claims = await asyncio.wait_for(
                asyncio.gather(hand.claim(free), *(hand.claim(intent(str(number))) for number in range(20))), 20
            )
            assert all(claim.is_new for claim in claims)
            assert not waiting.done(), "whoever decides on the same key is waited for"
            assert not here.writer.is_behind, "one key says nothing of the database"
        assert (await asyncio.wait_for(waiting, 20)).is_new

    asyncio.run(course())


def test_a_withdrawal_waits_for_the_claim_in_doubt_it_takes_back(two_replicas):
    url, (here, _) = two_replicas

    async def course():
        hand, doubtful = ByHand(here), intent("f")
        with holding(url, here.claims.names_of(doubtful)):
            withdrawal = asyncio.create_task(hand.withdraw(doubtful))
            assert (await hand.claim(intent("g"))).is_new
            assert not withdrawal.done(), "its commit may still be on the way"
        await asyncio.wait_for(withdrawal, 20)

    asyncio.run(course())


def test_ends_of_one_process_do_not_wait_for_rows_that_another_holds(two_replicas):
    url, (here, there) = two_replicas

    async def course():
        mine, theirs = ByHand(here), ByHand(there)
        first, second = await asyncio.gather(*(mine.claim(intent(one)) for one in "fg"))
        with holding(url, rows=(first.record.id,)):
            await asyncio.wait_for(theirs.settle(Lease(second.record.id, 1), DONE, []), 20)

    asyncio.run(course())


def test_many_claims_ends_and_receipts_of_two_replicas_never_deadlock_and_buy_nothing_twice(two_replicas):
    url, opened = two_replicas
    hands = [ByHand(one) for one in opened]

    async def one_caller(number: int, claims: list) -> None:
        hand, other = hands[number % 2], hands[1 - number % 2]
        for round_ in range(12):
            equal = number % 3 == 0
            key = f"k{round_}" if equal else None
            claim = await hand.claim(intent(f"f{round_}" if equal else f"{number} {round_}", key))
            claims.append((key or claim.record.id, claim))
            lease = Lease(claim.record.id, claim.record.fence)
            # All at once, from both processes, on the same rows.
            await asyncio.gather(
                hand.settle(lease, DONE, []),
                other.rejoin(claim.record.id, f"{number} again"),
                hand.renew([one.record.id for _, one in claims[-8:]]),
                other.renew([one.record.id for _, one in claims[-8:]][::-1]),
                other.acknowledge(claim.record.id, Receipt.LOST),
                hand.acknowledge(claim.record.id, Receipt.DEFERRED),
            )

    async def course():
        claims: list = []
        await asyncio.gather(*(one_caller(number, claims) for number in range(24)))
        bought = [name for name, claim in claims if claim.is_new]
        assert len(bought) == len(set(bought)), "each key was bought once"
        assert {name for name, _ in claims} == set(bought)

    asyncio.run(course())
    for one in opened:
        one.close()  # with their sessions ended, the server has counted all
    assert deadlocks(url) == 0


def test_groups_that_touch_the_same_requests_in_opposite_orders_wait_and_do_not_deadlock(two_replicas):
    url, (here, there) = two_replicas

    async def course():
        claims = await asyncio.gather(*(ByHand(here).claim(intent(str(number))) for number in range(100)))
        ids = [claim.record.id for claim in claims]
        for _ in range(5):
            await asyncio.gather(
                *(ByHand(here).acknowledge(one, Receipt.LOST) for one in ids),
                *(ByHand(there).acknowledge(one, Receipt.DEFERRED) for one in reversed(ids)),
                ByHand(there).renew(ids),
                ByHand(here).renew(list(reversed(ids))),
            )

    asyncio.run(course())
    for one in (here, there):
        one.close()
    assert deadlocks(url) == 0


def deadlocks(url: str) -> int:
    """How often PostgreSQL had to end a circle of waiting transactions."""
    engine = open_engine(url)
    with engine.connect() as connection:
        counted = connection.execute(
            text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        ).scalar_one()
    engine.dispose()
    return counted
