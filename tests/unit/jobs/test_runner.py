"""The life of a claimed request over a real journal: bought once, waited for, joined, settled, left and taken over."""

import asyncio
from decimal import Decimal

import pytest

from app.domain.outcome import Answered, Failed, Part, Unresolved
from app.domain.values import replace
from app.errors import (
    ContentPolicyError,
    InvalidRequestError,
    ProviderAuthenticationError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    Spent,
    UnavailableError,
)
from app.jobs.leases import LeaseLostError
from app.journal.records import Status
from app.ledger.bill import total_cost
from tests.support.databases import locked
from tests.support.jobs import COST, Maker, answer, failing, kept_open, open_runner, prepare, run
from tests.support.waiting import seen_meanwhile


def test_a_request_is_bought_once_answered_and_settled_with_its_bill(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            accepted = await replica.runner.accept(prepare())
            outcome = await replica.runner.wait_for(accepted, 10)
            assert isinstance(outcome, Answered)
            record = await replica.record(accepted.record.id)
            assert (record.status, record.task_ids) == (Status.COMPLETED, replica.maker.bought[0])
            assert total_cost(record.costs) == Decimal("0.01")
            assert (accepted.is_new, accepted.is_replay, outcome.answer.replayed) == (True, False, False)

    run(course())


@pytest.mark.parametrize(
    ("error", "is_free"),
    [
        pytest.param(RateLimitedError("r", retry_after=1), True, id="rate limit"),
        pytest.param(UnavailableError("u", retry_after=1), True, id="no capacity"),
        pytest.param(QuotaError("q"), True, id="no credit"),
        pytest.param(ProviderAuthenticationError("a"), True, id="our own key refused"),
        pytest.param(ProviderError("p"), False, id="provider's fault"),
        pytest.param(InvalidRequestError("i"), False, id="refused by Runware"),
        pytest.param(ContentPolicyError("c"), False, id="moderated"),
    ],
)
def test_a_failure_frees_its_key_only_where_the_caller_may_try_again_and_surely_nothing_was_bought(
    tmp_path, error, is_free
):
    def fails(costs):
        async def work(job):
            for task in job.bill.costs:
                job.bill.add(task.task_id, costs, is_complete=costs is not None and None not in costs)
            raise error

        return work

    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            for key, costs, frees in (("free", [], is_free), ("paid", [COST], False), ("unknown", [None], False)):
                replica.maker.work = fails(costs)
                accepted = await replica.runner.accept(prepare(idempotency_key=key))
                outcome = await replica.runner.wait_for(accepted, 10)
                assert isinstance(outcome, Failed)
                assert (type(outcome.error), outcome.error.message) == (type(error), error.message)
                spent = {"free": Spent(Decimal(0), Decimal(0)), "paid": Spent(COST, COST)}
                assert outcome.spent == spent.get(key, Spent(None, Decimal(0)))
                again = await replica.runner.accept(prepare(idempotency_key=key))
                assert again.is_new is frees, key
                told = await replica.runner.wait_for(again, 10)
                assert isinstance(told, Failed)
                assert (type(told.error), told.is_replay) == (type(error), not frees)

    run(course())


def test_an_error_that_was_raised_is_never_changed(tmp_path):
    async def course():
        error = ProviderError("p")
        before = dict(vars(error))
        async with open_runner(tmp_path, failing(error)) as replica:
            for _ in range(2):
                accepted = await replica.runner.accept(prepare(idempotency_key="k"))
                assert isinstance(await replica.runner.wait_for(accepted, 10), Failed)
            assert vars(error) == before

    run(course())


def test_a_fault_of_ours_is_no_end_and_is_found_out_by_whoever_looks_next(tmp_path):
    async def course():
        async with open_runner(tmp_path, failing(ZeroDivisionError())) as replica:
            replica.takeover.loop.start()
            accepted = await replica.runner.accept(prepare())
            assert await replica.runner.wait_for(accepted, 10) == Unresolved(accepted.record.id)
            record = await replica.ended(accepted.record.id)
            assert (record.status, replica.maker.resolved, len(replica.maker.bought)) == (
                Status.COMPLETED,
                [record.id],
                1,
            )

    run(course())


def test_what_is_unresolved_keeps_its_key_and_what_is_known_of_its_cost(tmp_path):
    async def unknown(job):
        ids = [task.task_id for task in job.bill.costs]
        job.bill.add(ids[0], [COST], is_complete=False)
        return Unresolved(job.request_id)

    async def course():
        async with open_runner(tmp_path, Maker(unknown)) as replica:
            accepted = await replica.runner.accept(prepare(idempotency_key="k"))
            assert await replica.runner.wait_for(accepted, 10) == Unresolved(accepted.record.id)
            record = await replica.record(accepted.record.id)
            assert (record.status, [(one.known, one.is_complete) for one in record.costs]) == (
                Status.PROCESSING,
                [(COST, False)],
            )
            again = await replica.runner.accept(prepare(idempotency_key="k"))
            assert (again.is_new, again.record.id) == (False, accepted.record.id)

    run(course())


def test_whoever_waits_for_its_turn_is_queued_and_then_processed(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker, capacity=1) as replica:
            first, second = [await replica.runner.accept(prepare(prompt)) for prompt in ("one", "two")]
            statuses = [(await replica.record(one.record.id)).status for one in (first, second)]
            assert statuses == [Status.PROCESSING, Status.QUEUED]
            gate.set()
            assert (await replica.ended(second.record.id)).status is Status.COMPLETED

    run(course())


def test_a_turn_that_comes_while_the_claim_is_written_is_written_down_too(tmp_path):
    async def course():
        gate, maker = kept_open()
        url = f"sqlite:///{tmp_path / 'journal.db'}"
        async with open_runner(tmp_path, maker, url=url, capacity=1) as replica:
            before = replica.admission.take("another", 1)
            with locked(url):
                accepting = asyncio.create_task(replica.runner.accept(prepare()))
                assert await seen_meanwhile(lambda: replica.admission.queued, bool) == 1
                before.release()
            accepted = await accepting
            assert await seen_meanwhile(lambda: maker.bought, bool)
            assert (await replica.record(accepted.record.id)).status is Status.PROCESSING
            gate.set()
            assert (await replica.ended(accepted.record.id)).status is Status.COMPLETED

    run(course())


def test_a_stream_hears_every_part_from_the_first_on_and_last_what_failed(tmp_path):
    gate = asyncio.Event()

    async def in_parts(job):
        job.parts.put(Part(0, answer(job)))
        await gate.wait()
        job.parts.put(Part(1, answer(job)))
        job.parts.put(job.fail(ProviderError("p")))
        return Answered(answer(job))

    async def course():
        async with open_runner(tmp_path, Maker(in_parts)) as replica:
            accepted = await replica.runner.accept(prepare(count=3, stream=True))
            events = [None]
            listening = accepted.parts.listen(0.05)
            while events.count(None) < 3:  # silence is told
                events.append(await anext(listening))
            gate.set()
            events += [event async for event in listening]
            told = [event for event in events if event is not None]
            assert [type(event) for event in told] == [Part, Part, Failed]
            late = [event async for event in accepted.parts.listen(1)]
            assert late == told

    run(course())


@pytest.mark.parametrize(
    ("work", "last"),
    [(ProviderError("p"), Failed), (ZeroDivisionError(), Unresolved)],
    ids=["a failure", "a fault of ours"],
)
def test_a_stream_that_brings_nothing_says_why(tmp_path, work, last):
    async def course():
        async with open_runner(tmp_path, failing(work)) as replica:
            accepted = await replica.runner.accept(prepare(stream=True))
            events = [event async for event in accepted.parts.listen(5)]
            assert [type(event) for event in events] == [last]

    run(course())


def test_what_a_process_leaves_behind_is_resolved_by_the_next_and_bought_by_nobody(tmp_path):
    async def course():
        _, slow = kept_open()
        async with open_runner(tmp_path, slow) as first:
            accepted = await first.runner.accept(prepare(idempotency_key="k"))
            assert await seen_meanwhile(lambda: slow.bought, bool)
            await first.runner.close(0)  # as at the end of a process whose grace is over
            async with open_runner(tmp_path, Maker()) as second:
                second.takeover.loop.start()
                record = await second.ended(accepted.record.id)
                joined = await second.runner.accept(prepare(idempotency_key="k"))
                assert isinstance(await second.runner.wait_for(joined, 10), Answered)
                assert (record.status, second.maker.resolved) == (Status.COMPLETED, [record.id])
                assert (len(slow.bought), second.maker.bought) == (1, [])

    run(course())


def test_webhooks_are_woken_when_a_request_that_has_one_ends(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            for url, wakes in ((None, 0), ("https://example.com/hook", 1)):
                prepared = prepare()
                prepared = replace(prepared, request=replace(prepared.request, webhook_url=url))
                accepted = await replica.runner.accept(prepared)
                await replica.runner.wait_for(accepted, 10)
                assert replica.wakes.count == wakes

    run(course())


def test_a_request_is_forgotten_only_once_it_has_ended(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            accepted = await replica.runner.accept(prepare(idempotency_key="k"))
            with pytest.raises(InvalidRequestError, match="still being carried out"):
                await replica.runner.eraser.erase(accepted.record)
            gate.set()
            await replica.runner.wait_for(accepted, 10)
            await replica.runner.eraser.erase(await replica.record(accepted.record.id))
            gone = await replica.runner.wait_for(await replica.runner.accept(prepare(idempotency_key="k")), 10)
            assert isinstance(gone, Failed)
            assert gone.error.code == "result_gone"

    run(course())


def test_a_stream_of_a_process_that_lost_its_lease_ends_as_unresolved(tmp_path):
    async def course():
        async with open_runner(tmp_path, failing(LeaseLostError())) as replica:
            accepted = await replica.runner.accept(prepare(stream=True))
            events = [event async for event in accepted.parts.listen(5)]
            assert events == [Unresolved(accepted.record.id)]
            assert (await replica.record(accepted.record.id)).status is Status.PROCESSING

    run(course())
