"""What became of a task: asked until it is certain, never bought anew."""

import asyncio
import time
from decimal import Decimal

import pytest

from app.runware.collector import Collector
from app.runware.exchange import RunwareExchange
from app.runware.retry import RetryPolicy
from app.runware.transport import HTTPReply, LateError
from tests.support.upstreams import KEY, ScriptedTransport, image, raw, reply

UUID = "b37226ee-ee6e-49a8-b472-7d7136c8b161"
POLICY = RetryPolicy(first_poll=0.001, longest_poll=0.002)
PROCESSING = reply(data=[{"taskType": "imageInference", "taskUUID": UUID, "status": "processing"}])
NOTHING, GOOD = reply(), reply(data=[image(UUID)])
DETAILS = reply(data=[{"taskType": "getTaskDetails", "taskUUID": UUID, "response": {"data": [image(UUID)]}}])
NO_DETAILS = reply(404, errors=[{"code": "taskNotFound", "message": "no", "taskUUID": UUID}])
UNPRICED = reply(data=[image(UUID) | {"cost": None}])


def ask(method: str, *script: object, seconds: float = 5.0):
    async def work():
        transport = ScriptedTransport(*script)
        collector = Collector(RunwareExchange(transport), POLICY, 5.0)
        deadline = time.monotonic() + seconds
        if method == "recover":
            return await collector.recover(UUID, KEY, 1, deadline), transport.kinds
        return await collector.find_costs(UUID, KEY, deadline), transport.kinds

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("script", "images"),
    [
        pytest.param([GOOD], 1, id="it is there"),
        pytest.param([PROCESSING, PROCESSING, GOOD], 1, id="it was still running"),
        pytest.param([LateError(), raw(500, ""), GOOD], 1, id="some questions have no answer"),
        pytest.param([NOTHING, GOOD], 1, id="it takes a moment to appear"),
        pytest.param([NOTHING, NOTHING, NOTHING, DETAILS], 1, id="only the record of past tasks knows it"),
        pytest.param([reply(errors=[{"code": "providerError", "message": "no", "taskUUID": UUID}])], 0, id="it failed"),
    ],
)
def test_a_task_of_another_process_is_found_and_never_sent(script, images):
    result, kinds = ask("recover", *script)
    assert len(result.images) == images
    assert bool(result.failures) is not bool(images)
    assert set(kinds) <= {"getResponse", "getTaskDetails"}


def test_a_task_that_runware_never_heard_of_is_none():
    result, kinds = ask("recover", NOTHING, NOTHING, NOTHING, NO_DETAILS)
    assert (result, kinds) == (None, ["getResponse"] * 3 + ["getTaskDetails"])


@pytest.mark.parametrize("entry", [PROCESSING, LateError(), raw(500, "")], ids=["running", "late", "a fault"])
def test_what_runware_does_not_say_in_time_stays_open(entry):
    with pytest.raises(TimeoutError):
        ask("recover", entry, seconds=0.02)


def test_an_answer_too_large_to_be_read_may_have_been_billed():
    result, _ = ask("recover", HTTPReply(200, b"", None, is_cut=True))
    assert (result.images, result.is_billed) == ((), False)


@pytest.mark.parametrize(
    ("script", "costs"),
    [
        pytest.param([GOOD], (Decimal("0.01"),), id="said by now"),
        pytest.param([UNPRICED, DETAILS], (Decimal("0.01"),), id="said by the record of past tasks"),
        pytest.param([UNPRICED, NO_DETAILS], (None,), id="not said: unknown, never zero"),
    ],
)
def test_a_missing_cost_is_looked_for_in_both_places(script, costs):
    result, _ = ask("find_costs", *script)
    assert result.costs == costs
