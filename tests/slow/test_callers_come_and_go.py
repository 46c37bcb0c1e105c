"""Many callers at once, who leave when they like or wait too short, over a journal that is locked now and then."""

import asyncio
import contextlib
import random
import sqlite3

import pytest

from app.domain.outcome import Answered, Outcome
from app.errors import GatewayError, ProviderError
from app.journal.records import Receipt
from tests.support.jobs import COST, Maker, Replica, answer, open_runner, prepare, run
from tests.support.waiting import seen_meanwhile

CALLERS = 1500


class Crowd:
    """The callers of one run, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.leaving: list[asyncio.TimerHandle] = []

    async def work(self, job) -> Outcome:
        await asyncio.sleep(self.chance.choice([0, 0, 0.001, 0.02]))
        luck = self.chance.random()
        if luck < 0.05:
            raise ZeroDivisionError
        if luck < 0.15:
            raise ProviderError("p")
        for task in job.bill.costs:
            job.bill.add(task.task_id, [COST], is_complete=True)
        embedded = {"url": None, "base64": memoryview(b"aGVsbG8=")}
        return Answered(answer(job, **(embedded if luck < 0.5 else {})))

    async def call(self, replica: Replica) -> None:
        key = self.chance.choice([None, None, f"k{self.chance.randrange(60)}"])
        prompt = f"under {key}" if key else f"p{self.chance.randrange(80)}"
        prepared = prepare(prompt, idempotency_key=key, retries=self.chance.random() < 0.1)
        with contextlib.suppress(GatewayError):
            if self.chance.random() < 0.7:
                outcome = await replica.runner.carry_out(prepared, self.chance.choice([0, 0.001, 0.01, 10, 10, 10]))
            else:
                accepted = await replica.runner.accept(prepared)
                outcome = await replica.runner.wait_for(accepted, self.chance.choice([0, 0.01, 10, 10]))
            if isinstance(outcome, Answered):
                replica.runner.receipts.acknowledge(outcome.answer.request_id, Receipt.DELIVERED, outcome.answer)
            else:
                replica.runner.receipts.acknowledge(outcome.request_id, Receipt.LOST)

    async def come_and_go(self, replica: Replica) -> None:
        calls = []
        for _ in range(CALLERS):
            calls.append(asyncio.create_task(self.call(replica)))
            if self.chance.random() < 0.35:
                seconds = self.chance.choice([0, 0.0005, 0.002, 0.01, 0.05])
                self.leaving.append(asyncio.get_running_loop().call_later(seconds, calls[-1].cancel))
            await asyncio.sleep(0.004)
        await asyncio.wait(calls)
        assert [call.exception() for call in calls if not call.cancelled() and call.exception()] == []

    async def lock_now_and_then(self, path) -> None:
        while True:
            await asyncio.sleep(self.chance.random() * 0.3)
            with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as holder:
                with contextlib.suppress(sqlite3.OperationalError):
                    holder.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(self.chance.random() * 0.1)


def statuses(path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [status for (status,) in connection.execute("SELECT status FROM requests")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
def test_whoever_comes_and_goes_each_request_is_bought_once_and_ends_and_nothing_is_kept(tmp_path, seed):
    async def course():
        crowd, path, lost = Crowd(seed), tmp_path / "journal.db", []
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: lost.append(fault))
        async with open_runner(
            tmp_path, Maker(crowd.work), capacity=40, max_queued=CALLERS, lease_seconds=2.0
        ) as replica:
            replica.takeover.loop.start()
            locking = asyncio.create_task(crowd.lock_now_and_then(path))
            await crowd.come_and_go(replica)
            locking.cancel()
            ended = await seen_meanwhile(lambda: statuses(path), lambda seen: set(seen) <= {"completed", "failed"}, 30)
            assert set(ended) == {"completed", "failed"}
            assert len(ended) == len(replica.maker.bought) == len(set(replica.maker.bought))
            admission = replica.admission
            places = await seen_meanwhile(lambda: admission.in_flight + admission.queued, lambda taken: taken == 0)
            assert (places, lost) == (0, [])

    run(course())
