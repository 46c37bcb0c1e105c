"""What becomes of answers by how their callers went."""

import asyncio
import contextlib

import pytest

from app.domain.outcome import Answered
from app.jobs.receipts import DeliveryReceipts
from app.journal.records import Receipt
from tests.support.jobs import Maker, Replica, answer, answered, kept_open, open_runner, prepare, run


async def note(replica: Replica, request_id: str, receipt: Receipt | str) -> None:
    """Note how a caller went; a connection is reset after the answer was taken for delivered."""
    receipts: DeliveryReceipts = replica.runner.receipts
    if isinstance(receipt, Receipt):
        receipts.acknowledge(request_id, receipt)
    else:
        await delivered(replica, request_id)
        receipts.retract(request_id)


async def delivered(replica: Replica, request_id: str) -> None:
    """Wait until that is written: it waits for company."""
    for _ in range(500):
        if (await replica.record(request_id)).delivered_at is not None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(request_id)


def test_the_work_goes_on_without_its_caller_and_its_retry_joins(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            accepted = await replica.runner.accept(prepare())
            waiting = asyncio.create_task(replica.runner.wait_for(accepted, 10))
            await asyncio.sleep(0.05)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            retry = await replica.runner.accept(prepare())
            gate.set()
            assert (retry.is_new, retry.record.id) == (False, accepted.record.id)
            assert isinstance(await replica.runner.wait_for(retry, 10), Answered)
            assert len(maker.bought) == 1

    run(course())


def test_base64_that_reached_nobody_is_kept_for_the_retry(tmp_path):
    async def embedded(job):
        return Answered(answer(job, url=None, base64=memoryview(b"AAAA")))

    async def course():
        async with open_runner(tmp_path, Maker(embedded)) as replica:
            accepted = await replica.runner.accept(prepare())
            outcome = await replica.runner.wait_for(accepted, 10)
            assert isinstance(outcome, Answered)
            replica.runner.receipts.acknowledge(accepted.record.id, Receipt.LOST, outcome.answer)
            retry = await replica.runner.accept(prepare())
            again = await replica.runner.wait_for(retry, 10)
            assert isinstance(again, Answered)
            assert (retry.is_new, again.answer.result.images[0].base64) == (False, b"AAAA")
            assert (len(replica.maker.bought), replica.maker.resolved) == (1, [])

    run(course())


def test_a_delivered_answer_without_a_key_is_nobody_elses(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            for _ in range(2):
                accepted = await replica.runner.accept(prepare())
                await replica.runner.wait_for(accepted, 10)
                replica.runner.receipts.acknowledge(accepted.record.id, Receipt.DELIVERED)
            assert len(replica.maker.bought) == 2

    run(course())


@pytest.mark.parametrize(
    ("receipts", "joins"),
    [
        pytest.param([Receipt.LOST], True, id="lost"),
        pytest.param([Receipt.DELIVERED], False, id="delivered"),
        pytest.param([Receipt.DEFERRED], False, id="asked for later"),
        pytest.param([Receipt.DELIVERED, "retract"], True, id="reset after it was taken for delivered"),
    ],
)
def test_only_an_answer_that_nobody_received_is_joined_without_a_key(tmp_path, receipts, joins):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            accepted = await replica.runner.accept(prepare())
            await answered(replica, accepted)
            for receipt in receipts:
                await note(replica, accepted.record.id, receipt)
            again = await replica.runner.accept(prepare())
            assert again.is_new is not joins
            await answered(replica, again)
            assert len(replica.maker.bought) == (1 if joins else 2)

    run(course())


def test_base64_that_was_reset_on_the_way_is_fetched_from_the_provider_again_and_not_bought(tmp_path):
    waits = asyncio.Event()

    async def embedded(job):
        await waits.wait()
        return Answered(answer(job, url=None, base64=memoryview(b"AAAA")))

    async def course():
        async with open_runner(tmp_path, Maker(embedded, embedded)) as replica:
            replica.takeover.loop.start()
            accepted = await replica.runner.accept(prepare())
            waiting = asyncio.create_task(answered(replica, accepted))
            await asyncio.sleep(0)  # in which its caller begins to wait, so nothing is kept beforehand
            waits.set()
            await waiting
            replica.runner.receipts.acknowledge(accepted.record.id, Receipt.DELIVERED)
            await delivered(replica, accepted.record.id)
            replica.runner.receipts.retract(accepted.record.id)
            again = await replica.runner.accept(prepare())
            made = await answered(replica, again)
            assert (again.record.id, made.result.images[0].base64) == (accepted.record.id, b"AAAA")
            assert (len(replica.maker.bought), replica.maker.resolved) == (1, [accepted.record.id])

    run(course())
