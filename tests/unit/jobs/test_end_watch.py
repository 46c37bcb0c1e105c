"""Ends of other processes: one question for all who wait, and on PostgreSQL none to be told at once."""

import asyncio
import contextlib
import time
import uuid
from decimal import Decimal

import pytest
from sqlalchemy import event, text

from app.database.engine import open_engine
from app.jobs.end_watch import EndWatch
from app.journal.journal import Journal
from app.journal.records import Intent, Lease, Settlement, Status
from tests.support.databases import open_migrated
from tests.support.journals import ByHand
from tests.support.waiting import seen_meanwhile

DONE = Settlement(Status.COMPLETED, "{}", None, Decimal("0.1"))
KILL = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")  # fmt: skip


class Parts:
    """A journal that counts how often it is asked for ends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.questions: list[str] = []
        engine = open_migrated(url)
        event.listen(engine, "before_cursor_execute", self._count)
        self.journal = Journal.on(engine, key_ttl=1000, adopt_window=60)
        self.hand = ByHand(self.journal)
        self.watch = EndWatch(self.journal.history, self.journal.listener)

    def _count(self, _connection, _cursor, statement, *_) -> None:
        if statement.startswith("SELECT requests.id") and "status IN" in statement and "requests.beat" not in statement:
            self.questions.append(statement)

    async def claim(self) -> Lease:
        wanted = Intent(
            f"req_{uuid.uuid4().hex}", "t", None, uuid.uuid4().hex, "g", "m", "m", 1, (str(uuid.uuid4()),), None, "{}"
        )
        return Lease((await self.hand.claim(wanted)).record.id, 1)

    async def end(self, lease: Lease) -> None:
        await self.hand.settle(lease, DONE, [])

    async def listening(self, *, is_listening: bool = True) -> None:
        for _ in range(2000):
            if self.journal.listener.is_listening is is_listening:
                return
            await asyncio.sleep(0.01)
        raise AssertionError


@contextlib.contextmanager
def opened(url: str):
    made = Parts(url)
    yield made
    made.journal.close()


def run(parts: Parts, course) -> None:
    async def bounded() -> None:
        try:
            await asyncio.wait_for(course(), 60)
        finally:
            parts.watch.stop()

    asyncio.run(bounded())


def test_an_end_is_learned_whenever_it_comes_and_only_by_those_who_wait_for_it(database):
    with opened(database.fresh()) as parts:

        async def course():
            first, second = await parts.claim(), await parts.claim()
            waiting = [
                asyncio.create_task(parts.watch.wait_for_end(one.request_id, 30)) for one in (first, first, second)
            ]
            await asyncio.sleep(0.1)
            await parts.end(first)
            await asyncio.wait(waiting[:2])
            assert not waiting[2].done()
            waiting[2].cancel()

        run(parts, course)


@pytest.mark.parametrize("is_gone", [False, True], ids=["ended", "withdrawn"])
def test_what_ended_before_anybody_waited_is_learned_without_a_poll(database, is_gone):
    with opened(database.fresh()) as parts:

        async def course():
            lease = await parts.claim()
            await parts.end(lease)
            name = "req_nobody_knows" if is_gone else lease.request_id
            await asyncio.wait_for(parts.watch.wait_for_end(name, 60), 20)
            assert len(parts.questions) == 1

        run(parts, course)


def test_hundreds_of_callers_cost_one_question_a_look_and_nobody_costs_none(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'journal.db'}") as parts:

        async def course():
            leases = [await parts.claim() for _ in range(20)]
            waiting = [
                asyncio.create_task(parts.watch.wait_for_end(lease.request_id, 60))
                for lease in leases
                for _ in range(15)
            ]
            began = time.monotonic()
            assert await seen_meanwhile(lambda: len(parts.questions) >= 2, bool)
            await asyncio.sleep(2)
            looks = 1 + (time.monotonic() - began) / 0.25
            assert len(parts.questions) <= looks + 4, "once for all who came, and four times a second"
            for task in waiting:
                task.cancel()
            await asyncio.sleep(0.5)
            asked = len(parts.questions)
            await asyncio.sleep(1)
            assert len(parts.questions) == asked

        run(parts, course)


def test_whoever_waits_no_longer_than_this_is_released(tmp_path):
    with opened(f"sqlite:///{tmp_path / 'journal.db'}") as parts:

        async def course():
            lease = await parts.claim()
            await parts.watch.wait_for_end(lease.request_id, 0.05)

        run(parts, course)


def test_postgresql_announces_the_end_of_what_somebody_joined_in_the_transaction_that_writes_it(postgres):
    with opened(postgres.fresh()) as parts:

        async def course():
            lease, alone = await parts.claim(), await parts.claim()
            heard: list[str] = []
            listening = asyncio.create_task(parts.journal.listener.listen(heard.append))
            await parts.listening()
            await parts.hand.rejoin(lease.request_id, "req_other")
            await asyncio.gather(parts.end(alone), parts.end(lease))
            for _ in range(1000):
                if heard:
                    break
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert heard == [lease.request_id], "nobody waits elsewhere for what nobody joined"
            listening.cancel()

        run(parts, course)


def test_an_announced_end_wakes_at_once_without_a_question(postgres):
    with opened(postgres.fresh()) as parts:

        async def course():
            keep = asyncio.create_task(parts.watch.wait_for_end((await parts.claim()).request_id, 60))
            await asyncio.sleep(0)
            await parts.listening()
            waits = []
            for _ in range(5):
                lease = await parts.claim()
                await parts.hand.rejoin(lease.request_id, "req_other")
                waiting = asyncio.create_task(parts.watch.wait_for_end(lease.request_id, 60))
                await asyncio.sleep(0.2)
                began = time.monotonic()
                await parts.end(lease)
                await waiting
                waits.append(time.monotonic() - began)
            assert sorted(waits)[2] < 0.5, "the poll would take two seconds"
            keep.cancel()

        run(parts, course)


def test_with_its_connection_cut_the_watcher_asks_and_listens_again(postgres):
    with opened(postgres.fresh()) as parts:

        async def course():
            lease = await parts.claim()
            await parts.hand.rejoin(lease.request_id, "req_other")
            waiting = asyncio.create_task(parts.watch.wait_for_end(lease.request_id, 60))
            await asyncio.sleep(0)
            await parts.listening()
            engine = open_engine(parts.url)
            with engine.begin() as connection:
                assert connection.execute(KILL).all()
            engine.dispose()
            await parts.listening(is_listening=False)
            await parts.end(lease)
            await asyncio.wait_for(waiting, 20)
            await parts.listening()

        run(parts, course)
