"""The course of one task: what is sent again, what is collected, what is never bought twice."""

import asyncio
import time

import pytest
from msgspec import structs

from app.images.types import ImageBytes
from app.runware.client import RunwareClient
from app.runware.failures import Kind
from app.runware.keys import OwnKey
from app.runware.retry import RetryPolicy
from app.runware.tasks import ImageTask, InlineImage
from app.runware.transport import LateError, LostError, NotSentError
from tests.support.upstreams import KEY, ScriptedTransport, image, raw, reply

UUID = "b37226ee-ee6e-49a8-b472-7d7136c8b161"
POLICY = RetryPolicy(
    first_backoff=0.001, longest_backoff=0.002, first_poll=0.001, longest_poll=0.002, longest_retry_after=0.05
)
SUBMIT, COLLECT = "imageInference", "getResponse"


def task(count: int = 1) -> ImageTask:
    return ImageTask(UUID, "runware:100@1", "a pear", count, "URL", "PNG", 256, 256)


def run(*script: object, count: int = 1, seconds: float = 5.0):
    async def work():
        transport = ScriptedTransport(*script)
        client = RunwareClient(transport, OwnKey(KEY.secret), sync_wait=100, retry=POLICY, chance=lambda: 0.5)
        result = await client.run_task(task(count), KEY, time.monotonic() + seconds)
        return transport, result

    return asyncio.run(work())


def fault(code: str, status: int = 400, **members: object):
    return reply(status, errors=[{"code": code, "message": code, "taskUUID": UUID, "taskType": SUBMIT} | members])


GOOD = reply(data=[image(UUID)])
PROCESSING = reply(data=[{"taskType": SUBMIT, "taskUUID": UUID, "status": "processing"}])
NOTHING = reply()
CONFLICT = fault("conflictTaskUUID")


@pytest.mark.parametrize(
    ("script", "kinds"),
    [
        ([GOOD], [SUBMIT]),
        ([fault("rateLimitExceeded", 429), GOOD], [SUBMIT, SUBMIT]),
        ([fault("noAvailableServer", 503), fault("internalServerError", 500), GOOD], [SUBMIT, SUBMIT, SUBMIT]),
        ([raw(502, "<html>"), GOOD], [SUBMIT, SUBMIT]),
        ([NotSentError(), NotSentError(), GOOD], [SUBMIT, SUBMIT, SUBMIT]),
        ([raw(200, "nonsense"), CONFLICT, GOOD], [SUBMIT, SUBMIT, COLLECT]),
        ([NOTHING, CONFLICT, PROCESSING, GOOD], [SUBMIT, SUBMIT, COLLECT, COLLECT]),
        ([CONFLICT, PROCESSING, GOOD], [SUBMIT, COLLECT, COLLECT]),
        ([CONFLICT, NotSentError(), raw(500, ""), GOOD], [SUBMIT, COLLECT, COLLECT, COLLECT]),
        ([LateError(), PROCESSING, GOOD], [SUBMIT, COLLECT, COLLECT]),
        ([LateError(), NOTHING, NOTHING, NOTHING, GOOD], [SUBMIT, COLLECT, COLLECT, COLLECT, SUBMIT]),
        ([LateError(), NOTHING, NOTHING, NOTHING, CONFLICT, NOTHING, GOOD], [SUBMIT, *[COLLECT] * 3, SUBMIT, COLLECT, COLLECT]),
        ([LateError(), NOTHING, NOTHING, NOTHING, LostError(), PROCESSING, GOOD], [SUBMIT, *[COLLECT] * 3, SUBMIT, COLLECT, COLLECT]),
        ([LostError(), PROCESSING, PROCESSING, GOOD], [SUBMIT, COLLECT, COLLECT, COLLECT]),
        ([LostError(), NOTHING, GOOD], [SUBMIT, COLLECT, SUBMIT]),
        ([LostError(), NOTHING, CONFLICT, GOOD], [SUBMIT, COLLECT, SUBMIT, COLLECT]),
        ([LostError(), NotSentError(), GOOD], [SUBMIT, COLLECT, SUBMIT]),
        ([CONFLICT, fault("taskNotFound", 404), GOOD], [SUBMIT, COLLECT, COLLECT]),
        ([CONFLICT, fault("taskFailedOrNotFound", taskType=COLLECT), GOOD], [SUBMIT, COLLECT, COLLECT]),
        ([PROCESSING, GOOD], [SUBMIT, COLLECT]),
        ([*[LostError(), NotSentError()] * 3, GOOD], [*[SUBMIT, COLLECT] * 3, COLLECT]),
        ([*[raw(500, "oops")] * 3, PROCESSING, GOOD], [*[SUBMIT] * 3, COLLECT, COLLECT]),
    ],
    ids=[
        "at once", "rate limit", "no server, then a fault", "HTML", "not reachable", "nonsense", "200 without data", "conflict",
        "polls that fail", "late", "late and unknown: sent again", "late, unknown, then a conflict", "late, unknown, then lost",
        "lost and running", "lost and unknown: sent again", "lost, unknown, then a conflict", "lost, then unreachable",
        "unknown to a poll", "unknown in a 200", "told to be processing",
        "lost, and nobody says what became of it", "faults last, and yet it runs",
    ],
)  # fmt: skip
def test_a_task_comes_to_its_image(script, kinds):
    transport, result = run(*script)
    assert len(result.images) == 1
    assert not result.failures
    assert transport.kinds == kinds
    assert {sent["taskUUID"] for sent in transport.sent} == {UUID}


@pytest.mark.parametrize(
    ("script", "kind", "exchanges"),
    [
        ([fault("contentPolicyViolation")], Kind.MODERATION, 1),
        ([fault("invalidWidth")], Kind.INVALID, 1),
        ([fault("insufficientCredits", 402)], Kind.MONEY, 1),
        ([fault("thirdPartyInsufficientCredits", 400)], Kind.MONEY, 1),
        ([fault("invalidApiKey", 401)], Kind.AUTHENTICATION, 1),
        ([fault("rateLimitExceeded", 429)], Kind.RATE_LIMIT, 3),
        ([fault("timeoutProvider")], Kind.TIMEOUT, 3),
        ([NotSentError()], Kind.CAPACITY, 3),
        ([raw(500, "oops")], Kind.PROVIDER, 4),
        ([CONFLICT, fault("providerError", 200)], Kind.PROVIDER, 2),
        ([LateError(), fault("invalidProviderContent", 200)], Kind.MODERATION, 2),
        ([LateError(), NOTHING, NOTHING, NOTHING, fault("insufficientCredits", 402)], Kind.MONEY, 5),
    ],
    ids=[
        "moderation", "validation", "money", "money as 400", "our key", "rate limit lasts", "provider's timeout lasts",
        "unreachable", "faults last", "failed after a conflict", "failed while late", "refused when sent again",
    ],
)  # fmt: skip
def test_a_task_fails_for_the_reason_runware_gave(script, kind, exchanges):
    _, result = run(*script)
    assert not result.images
    assert result.failures[0].kind is kind
    assert len(result.exchanges) == exchanges


def test_images_arriving_over_several_polls_are_each_counted_once():
    two = reply(data=[image(UUID, 0), image(UUID, 1), {"taskType": SUBMIT, "taskUUID": UUID, "status": "processing"}])
    three = reply(data=[image(UUID, place) for place in (0, 1, 2, 2)])
    _, result = run(LateError(), two, three, count=3)
    assert [one.image_uuid for one in result.images] == ["i0", "i1", "i2"]


def test_a_mixed_answer_keeps_images_and_reasons():
    mixed = reply(data=[image(UUID)], errors=[{"code": "providerError", "message": "no", "taskUUID": UUID}])
    _, result = run(mixed, count=2)
    assert (len(result.images), result.failures[0].kind) == (1, Kind.PROVIDER)


def test_a_task_that_settles_with_fewer_images_ends():
    _, result = run(LateError(), reply(data=[image(UUID)]), count=3)
    assert len(result.images) == 1


def test_a_deadline_ends_polling_with_what_there_is():
    part = reply(data=[image(UUID), {"taskType": SUBMIT, "taskUUID": UUID, "status": "processing"}])
    _, result = run(LateError(), part, count=2, seconds=0.05)
    assert (len(result.images), result.failures[0].kind) == (1, Kind.TIMEOUT)


def test_a_retry_after_is_obeyed_only_up_to_its_limit():
    transport, result = run(reply(429, errors=[{"code": "rateLimitExceeded"}], retry_after=30.0))
    assert (len(transport.sent), result.failures[0].retry_after) == (1, 30.0)
    transport, result = run(reply(429, errors=[{"code": "rateLimitExceeded"}], retry_after=0.001), GOOD)
    assert (len(transport.sent), len(result.images)) == (2, 1)


def test_answers_about_other_tasks_are_not_ours():
    strange = reply(data=[image("c64351d5-4c59-42f7-95e1-eace013eddab")])
    transport, result = run(strange, CONFLICT, GOOD)
    assert transport.kinds == [SUBMIT, SUBMIT, COLLECT]
    assert len(result.images) == 1


def test_an_image_is_sent_with_every_attempt():
    carrying = structs.replace(task(), inputs={"seedImage": InlineImage(ImageBytes(b"abc" * 50_000), "png")})
    transport = ScriptedTransport(NotSentError(), GOOD)

    async def work():
        client = RunwareClient(transport, OwnKey(KEY.secret), sync_wait=100, retry=POLICY, chance=lambda: 0.5)
        return await client.run_task(carrying, KEY, time.monotonic() + 5)

    assert len(asyncio.run(work()).images) == 1
    assert [body["inputs"] for body in transport.sent] == [
        {"seedImage": "data:image/png;base64," + "YWJj" * 50_000}
    ] * 2
