"""Callers wait for the end of a request, wherever it runs."""

import asyncio

from app.domain.outcome import Answered, Failed, Unresolved
from app.errors import ProviderError, Spent
from app.jobs.claiming import to_intent
from tests.support.jobs import COST, Maker, kept_open, open_runner, prepare, run


def test_a_caller_that_joins_running_work_waits_for_it(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            first = await replica.runner.accept(prepare(idempotency_key="k"))
            second = await replica.runner.accept(prepare(idempotency_key="k"))
            assert await replica.runner.wait_for(first, 0.05) == Unresolved(first.record.id)
            waiting = asyncio.create_task(replica.runner.wait_for(second, 10))
            await asyncio.sleep(0.05)
            gate.set()
            assert isinstance(await waiting, Answered)
            assert len(maker.bought) == 1

    run(course())


def test_work_of_another_process_is_waited_for(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as one, open_runner(tmp_path, Maker()) as other:
            first = await one.runner.accept(prepare(idempotency_key="k"))
            joined = await other.runner.accept(prepare(idempotency_key="k"))
            assert (joined.is_new, joined.running) == (False, None)
            waiting = asyncio.create_task(other.runner.wait_for(joined, 10))
            await asyncio.sleep(0.1)
            gate.set()
            outcome = await waiting
            assert isinstance(outcome, Answered)
            assert (outcome.answer.request_id, other.maker.bought) == (first.record.id, [])

    run(course())


def test_the_end_is_told_to_a_caller_that_asks_by_id(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            accepted = await replica.runner.accept(prepare(in_background=True))
            record = await replica.ended(accepted.record.id)
            outcome = await replica.runner.join(record, 0)
            assert isinstance(outcome, Answered)
            assert (outcome.answer.request_id, outcome.answer.replayed) == (record.id, False)

    run(course())


def test_a_failure_elsewhere_is_told_with_its_cost(tmp_path):
    async def fails(job):
        for task in job.bill.costs:
            job.bill.add(task.task_id, [COST], is_complete=True)
        raise ProviderError("p")

    async def course():
        async with open_runner(tmp_path, Maker(fails)) as one, open_runner(tmp_path, Maker()) as other:
            first = await one.runner.accept(prepare(idempotency_key="k"))
            joined = await other.runner.accept(prepare(idempotency_key="k"))
            outcome = await other.runner.wait_for(joined, 10)
            assert isinstance(outcome, Failed)
            assert (outcome.request_id, outcome.error.message, outcome.spent) == (
                first.record.id,
                "p",
                Spent(COST, COST),
            )
            assert (outcome.is_replay, other.maker.bought) == (True, [])

    run(course())


def test_a_request_whose_claim_was_taken_back_was_never_sent(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as one, open_runner(tmp_path, Maker()) as other:
            prepared = prepare(idempotency_key="k")
            await one.runner.accept(prepared)
            joined = await other.runner.accept(prepare(idempotency_key="k"))
            await one.journal.writer.post(one.journal.claims.withdraw, to_intent(prepared))
            outcome = await other.runner.wait_for(joined, 10)
            gate.set()
            assert isinstance(outcome, Failed)
            assert (outcome.error.code, outcome.error.should_retry) == ("not_started", True)

    run(course())
