"""A request whose caller waits for its end alone: told once, whenever that leaves, and nothing is kept of it."""

import asyncio
import contextlib
import sqlite3

import pytest

from app.domain.outcome import Answered, Unresolved
from app.errors import ConflictingKeyError, OverloadedError
from app.jobs.leases import LeaseLostError
from app.jobs.memory import KeyMemory
from app.journal.records import Status
from tests.support.jobs import Maker, failing, kept_open, open_runner, prepare, run
from tests.support.log_lines import log_lines
from tests.support.waiting import seen_meanwhile


class Counted:
    """Awaits something, and counts how often that waits."""

    def __init__(self, course) -> None:
        self._course = course
        self.waits = 0

    def __await__(self):
        while True:
            try:
                waiting = self._course.send(None)
            except StopIteration as end:
                return end.value
            self.waits += 1
            yield waiting


def test_its_caller_waits_once_and_then_the_end_is_durable(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            prepared = prepare()
            carried = Counted(replica.runner.carry_out(prepared, 10))
            outcome = await carried
            assert isinstance(outcome, Answered)
            assert (carried.waits, outcome.answer.replayed) == (1, False)
            record = await replica.record(prepared.context.request_id)
            assert (record.status, record.task_ids) == (Status.COMPLETED, replica.maker.bought[0])

    run(course())


def test_what_was_bought_under_a_key_is_given_again_and_another_request_is_refused(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            first = await replica.runner.carry_out(prepare(idempotency_key="k"), 10)
            again = await replica.runner.carry_out(prepare(idempotency_key="k"), 10)
            assert (first.answer.replayed, again.answer.replayed) == (False, True)
            assert (again.answer.request_id, len(replica.maker.bought)) == (first.answer.request_id, 1)
            with pytest.raises(ConflictingKeyError):
                await replica.runner.carry_out(prepare("another", idempotency_key="k"), 10)
            assert replica.admission.in_flight == 0

    run(course())


@pytest.mark.parametrize("seconds", [0, 0.3], ids=["before its claim is certain", "while it is worked on"])
def test_when_its_time_is_over_its_caller_learns_that_nothing_is_known_and_the_work_goes_on(tmp_path, seconds):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            prepared = prepare()
            request_id = prepared.context.request_id
            assert await replica.runner.carry_out(prepared, seconds) == Unresolved(request_id)
            gate.set()
            assert (await replica.ended(request_id)).status is Status.COMPLETED
            assert len(maker.bought) == 1

    run(course())


def test_a_claim_that_takes_longer_than_its_caller_waits_is_told_as_soon_as_it_is_certain(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            prepared = prepare()
            with contextlib.closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as holder:
                holder.execute("BEGIN IMMEDIATE")
                carrying = asyncio.create_task(replica.runner.carry_out(prepared, 0.05))
                await asyncio.sleep(0.3)
                assert not carrying.done(), "nobody knows yet whether it was accepted"
            assert await asyncio.wait_for(carrying, 10) == Unresolved(prepared.context.request_id)
            gate.set()
            assert (await replica.ended(prepared.context.request_id)).status is Status.COMPLETED

    run(course())


@pytest.mark.parametrize("key", [None, "k"], ids=["without a key", "with a key"])
def test_whenever_its_caller_leaves_it_and_its_retry_buy_once(tmp_path, key):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            for steps in range(24):
                prompt, own = f"pear {steps}", None if key is None else f"{key}{steps}"
                carrying = asyncio.create_task(replica.runner.carry_out(prepare(prompt, idempotency_key=own), 10))
                # So far, so that it leaves before its claim, in the moment that is certain, at work, and at the end.
                for _ in range(steps):
                    await asyncio.sleep(0.0005)
                carrying.cancel()
                await asyncio.wait({carrying})
                if not carrying.cancelled():
                    break  # it has its answer
                retry = await replica.runner.carry_out(prepare(prompt, idempotency_key=own), 10)
                assert isinstance(retry, Answered)
                assert len(replica.maker.bought) == steps + 1
            assert await seen_meanwhile(lambda: replica.admission.in_flight, lambda places: places == 0) == 0

    run(course())


def test_where_there_is_no_place_it_is_refused_and_nothing_is_kept(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker, capacity=1, max_queued=0) as replica:
            first = asyncio.create_task(replica.runner.carry_out(prepare(), 10))
            assert await seen_meanwhile(lambda: maker.bought, bool)
            with pytest.raises(OverloadedError):
                await replica.runner.carry_out(prepare("another"), 10)
            gate.set()
            assert isinstance(await first, Answered)
            assert (replica.admission.in_flight, len(maker.bought)) == (0, 1)

    run(course())


def test_a_fault_of_ours_between_claim_and_work_keeps_no_place_and_no_lease(tmp_path):
    def broken() -> float:
        raise ZeroDivisionError

    async def course():
        async with open_runner(tmp_path, Maker(), lease_seconds=1.0, memory=KeyMemory(clock=broken)) as replica:
            prepared = prepare(idempotency_key="k")
            for ask in (replica.runner.accept(prepared), replica.runner.carry_out(prepare(idempotency_key="l"), 10)):
                with pytest.raises(ZeroDivisionError):
                    await ask
            assert (replica.admission.in_flight, replica.maker.bought) == (0, [])
            replica.takeover.loop.start()
            record = await replica.ended(prepared.context.request_id)
            assert record.id in replica.maker.resolved, "it is found out by whoever looks next"
            assert replica.maker.bought == []

    run(course())


def test_a_fault_of_ours_whose_caller_has_left_is_in_the_log(tmp_path):
    def broken() -> float:
        raise ZeroDivisionError

    async def course():
        async with open_runner(tmp_path, Maker(), memory=KeyMemory(clock=broken)) as replica:
            prepared = prepare(idempotency_key="k")
            leaving = asyncio.create_task(replica.runner.carry_out(prepared, 10))
            await asyncio.sleep(0)  # it has asked for its claim, which is not written yet
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            with log_lines() as lines:
                assert await seen_meanwhile(lambda: lines, bool)
            assert [(line["event"], line["id"]) for line in lines] == [
                ("unexpected fault", prepared.context.request_id)
            ]
            assert replica.admission.in_flight == 0

    run(course())


def test_a_request_that_waits_for_its_turn_at_the_end_of_its_process_keeps_no_place(tmp_path):
    async def course():
        _, maker = kept_open()
        async with open_runner(tmp_path, maker, capacity=1) as replica:
            carried = [asyncio.create_task(replica.runner.carry_out(prepare(prompt), 10)) for prompt in ("one", "two")]
            assert await seen_meanwhile(lambda: (maker.bought, replica.admission.queued), all)
            await replica.runner.close(0)
            assert {type(await one) for one in carried} == {Unresolved}
            assert (replica.admission.in_flight, replica.admission.queued) == (0, 0)

    run(course())


def test_where_another_process_has_it_by_now_its_caller_waits_for_that(tmp_path):
    async def course():
        async with open_runner(tmp_path, failing(LeaseLostError())) as replica:
            prepared = prepare()
            assert await replica.runner.carry_out(prepared, 0.2) == Unresolved(prepared.context.request_id)

    run(course())


def test_a_fault_of_ours_at_work_is_no_end_and_is_told_at_once(tmp_path):
    async def course():
        async with open_runner(tmp_path, failing(ZeroDivisionError())) as replica:
            prepared = prepare()
            assert await replica.runner.carry_out(prepared, 10) == Unresolved(prepared.context.request_id)
            assert (await replica.record(prepared.context.request_id)).status is Status.PROCESSING

    run(course())
