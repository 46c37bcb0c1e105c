"""What ends do beside their rows where several processes share a server: whom they tell, and for whom they wait."""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from app.database.engine import open_engine
from app.database.transaction import ENDS_CHANNEL, Transaction
from app.journal.journal import Journal
from app.journal.records import Lease, Settlement, Status
from tests.support.journals import ByHand, open_journal
from tests.support.keys import numbered_key, put_paying_key
from tests.support.records import intent_of

DONE = Settlement(Status.COMPLETED, "{}", None, Decimal(1))
KEY_ID = numbered_key(1)[0]


@pytest.fixture
def url(postgres) -> str:
    return postgres.fresh()


@pytest.fixture
def processes(url) -> Iterator[list[Journal]]:
    made = [open_journal(url, owner=name) for name in "ab"]
    yield made
    for one in made:
        one.close()


@pytest.fixture
def engine(url, processes) -> Iterator[Engine]:
    opened = open_engine(url)
    yield opened
    opened.dispose()


async def claimed(journal: Journal, tenant: str = "t") -> Lease:
    claim = await ByHand(journal).claim(intent_of(f"req_{uuid.uuid4().hex[:20]}", key=None, tenant=tenant))
    return Lease(claim.record.id, claim.record.fence)


def heard_meanwhile(engine: Engine, work) -> list[str]:
    """The ends that a process which listens is told of while `work` is done."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"LISTEN {ENDS_CHANNEL}"))
        asyncio.run(work())
        connection.execute(text(f"SELECT pg_notify('{ENDS_CHANNEL}', 'last')"))
        return [told.payload for told in connection.connection.dbapi_connection.notifies(timeout=20, stop_after=1)]


def test_an_end_is_announced_where_somebody_joined_and_nowhere_else(engine, processes):
    here, there = processes
    joined: list[str] = []

    async def course() -> None:
        leases = [await claimed(here) for _ in range(4)]
        joined.extend(lease.request_id for lease in leases[1:3])
        for request_id in joined:
            await ByHand(there).rejoin(request_id, "the call that joined")
        await asyncio.gather(*(ByHand(here).settle(lease, DONE, []) for lease in leases))

    told = heard_meanwhile(engine, course)
    assert sorted(told) == sorted([*joined, "last"])


def test_an_end_that_waited_for_somebody_to_join_is_announced(engine, processes):
    async def course() -> None:
        lease = await claimed(processes[0])
        with engine.connect() as connection:
            connection.execute(
                text("UPDATE requests SET joined_by = 'a call', connected = 2 WHERE id = :id"), {"id": lease.request_id}
            )
            ending = asyncio.create_task(ByHand(processes[0]).settle(lease, DONE, []))
            done, _ = await asyncio.wait([ending], timeout=0.5)
            assert not done
            connection.commit()
        await asyncio.wait_for(ending, 20)

    assert len(heard_meanwhile(engine, course)) == 2


@contextlib.contextmanager
def spending(engine: Engine, key_id: str) -> Iterator[None]:
    """Another process that decides what a key may spend."""
    with engine.connect() as connection:
        connection.begin()
        Transaction(connection).lock_accounts((key_id,))
        yield
        connection.rollback()


@pytest.mark.parametrize("ends_at", [0, 1], ids=["the process that opened it", "another process"])
def test_an_end_waits_while_somebody_spends_for_its_account(engine, processes, ends_at):
    put_paying_key(engine)

    async def course() -> None:
        of_key, of_nobody = await claimed(processes[0], KEY_ID), await claimed(processes[0])
        hand = ByHand(processes[ends_at])
        with spending(engine, KEY_ID):
            await asyncio.wait_for(hand.settle(of_nobody, DONE, []), 20)
            waiting = asyncio.create_task(hand.settle(of_key, DONE, []))
            done, _ = await asyncio.wait([waiting], timeout=0.5)
            assert not done
        await asyncio.wait_for(waiting, 20)

    asyncio.run(course())
