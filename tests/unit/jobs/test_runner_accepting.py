"""Requests are accepted over a real journal: what is new is begun once, what was bought is joined."""

import asyncio
import contextlib
import hashlib
import re

import pytest

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.outcome import Answered
from app.domain.values import replace
from app.errors import ConflictingKeyError, OverloadedError
from app.jobs.claiming import to_intent
from app.journal.records import Receipt
from tests.support.jobs import Maker, answered, kept_open, open_runner, prepare, run


def test_the_same_key_leads_to_the_same_answer_and_buys_nothing(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            first = await replica.runner.accept(prepare(idempotency_key="k"))
            await replica.runner.wait_for(first, 10)
            again = await replica.runner.accept(prepare(idempotency_key="k"))
            assert (await answered(replica, again)).replayed
            assert (again.record.id, again.is_replay) == (first.record.id, True)
            assert len(replica.maker.bought) == 1
            with pytest.raises(ConflictingKeyError):
                await replica.runner.accept(prepare("another prompt", idempotency_key="k"))

    run(course())


def test_an_expired_key_buys_anew_under_other_task_ids_without_preparing_again(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker(), key_ttl=-1.0) as replica:
            for _ in range(2):
                accepted = await replica.runner.accept(prepare(idempotency_key="k"))
                assert isinstance(await replica.runner.wait_for(accepted, 10), Answered)
            assert len(set(replica.maker.bought)) == 2

    run(course())


@pytest.mark.parametrize(("key", "bought"), [(None, 0), ("k", 1)], ids=["without a key", "with a key"])
def test_for_a_caller_that_leaves_while_it_is_claimed_only_a_key_has_work_begun(tmp_path, key, bought):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            accepting = asyncio.create_task(replica.runner.accept(prepare(idempotency_key=key)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await accepting
            retry = await replica.runner.accept(prepare(idempotency_key=key))
            assert isinstance(await replica.runner.wait_for(retry, 10), Answered)
            assert (len(replica.maker.bought), retry.is_new) == (1, bought == 0)

    run(course())


def test_a_request_takes_one_task_beside_its_callers_own(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            first = await replica.runner.accept(prepare())
            before = asyncio.all_tasks()
            others = [await replica.runner.accept(prepare()) for _ in range(5)]
            assert len(asyncio.all_tasks() - before) == 5
            gate.set()
            for accepted in (first, *others):
                await answered(replica, accepted)

    run(course())


def test_whenever_its_caller_leaves_a_request_with_a_key_is_bought_once(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            for steps in range(24):
                accepting = asyncio.create_task(replica.runner.accept(prepare(idempotency_key=f"k{steps}")))
                # So far, so that it leaves before its claim, in the moment it is certain, and after it was told.
                for _ in range(steps):
                    await asyncio.sleep(0.0005)
                accepting.cancel()
                await asyncio.wait({accepting})
                retry = await replica.runner.accept(prepare(idempotency_key=f"k{steps}"))
                assert isinstance(await replica.runner.wait_for(retry, 10), Answered)
                assert len(replica.maker.bought) == steps + 1

    run(course())


def test_where_there_is_no_place_what_was_bought_can_still_be_had(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker, capacity=1, max_queued=0) as replica:
            first = await replica.runner.accept(prepare(idempotency_key="k"))
            with pytest.raises(OverloadedError):
                await replica.runner.accept(prepare("another"))
            joined = await replica.runner.accept(prepare(idempotency_key="k"))
            gate.set()
            assert isinstance(await replica.runner.wait_for(joined, 10), Answered)
            assert joined.record.id == first.record.id

    run(course())


def test_one_hundred_callers_at_once_under_one_key_buy_once(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            accepted = await asyncio.gather(*[replica.runner.accept(prepare(idempotency_key="k")) for _ in range(100)])
            assert [one.is_new for one in accepted].count(True) == 1
            assert len({one.record.id for one in accepted}) == 1
            outcomes = await asyncio.gather(*[replica.runner.wait_for(one, 10) for one in accepted])
            assert {type(one) for one in outcomes} == {Answered}
            assert len(replica.maker.bought) == 1

    run(course())


def test_equal_requests_of_callers_that_are_there_are_each_bought(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker()) as replica:
            accepted = await asyncio.gather(*[replica.runner.accept(prepare()) for _ in range(10)])
            assert all(one.is_new for one in accepted)
            await asyncio.gather(*[answered(replica, one) for one in accepted])
            assert len(replica.maker.bought) == 10

    run(course())


def test_a_retry_that_overtakes_its_own_disconnect_waits_for_it_and_joins(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            first = await replica.runner.accept(prepare())
            retry = asyncio.create_task(replica.runner.accept(prepare(retries=True)))
            await asyncio.sleep(0.05)
            replica.runner.receipts.acknowledge(first.record.id, Receipt.LOST)
            joined = await retry
            gate.set()
            assert (joined.is_new, joined.record.id) == (False, first.record.id)
            assert len(maker.bought) == 1

    run(course())


def test_a_retry_whose_first_attempt_still_has_its_caller_is_another_request(tmp_path):
    async def course():
        gate, maker = kept_open()
        async with open_runner(tmp_path, maker) as replica:
            await replica.runner.accept(prepare())
            second = await replica.runner.accept(prepare(retries=True))
            gate.set()
            assert (second.is_new, len(maker.bought)) == (True, 2)

    run(course())


def test_nothing_is_begun_and_no_place_is_kept_where_the_claim_is_refused(tmp_path):
    async def course():
        async with open_runner(tmp_path, Maker(), capacity=1) as replica:
            await answered(replica, await replica.runner.accept(prepare(idempotency_key="k")))
            with pytest.raises(ConflictingKeyError):
                await replica.runner.accept(prepare("another", idempotency_key="k"))
            assert (replica.admission.in_flight, replica.admission.queued) == (0, 0)
            assert len(replica.maker.bought) == 1

    run(course())


def test_a_claim_holds_no_key_no_prompt_and_no_character_that_a_database_refuses():
    prepared = prepare("a secret\x00 harbor", idempotency_key="private", client_request_id="id\x00" * 200)
    prepared = replace(prepared, request=replace(prepared.request, user="someone\x00"))
    intent = to_intent(prepared)
    assert intent.key_hash == hashlib.sha256(b"private").hexdigest()
    assert (intent.prompt, intent.user, intent.client_request_id) == (None, "someone", ("id" * 200)[:200])
    assert not re.search("secret|harbor|private|\x00", repr(intent))
    assert to_intent(replace(prepared, kept_prompt="a secret\x00 harbor")).prompt == "a secret harbor"


def test_a_claim_counts_the_fields_that_were_dropped_and_no_other_adjustment():
    prepared = prepare()
    modes = [AdjustmentMode.DROPPED, AdjustmentMode.CHANGED, AdjustmentMode.DROPPED, AdjustmentMode.EMULATED]
    adjustments = tuple(Adjustment("quality", "hd", None, mode, "why") for mode in modes)
    assert to_intent(prepared).dropped == 0
    assert to_intent(replace(prepared, spec=replace(prepared.spec, adjustments=adjustments))).dropped == 2
