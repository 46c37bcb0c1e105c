"""One exchange with Runware: what counts against its reachability, and what is known of our key."""

import asyncio

import pytest

from app.runware.exchange import OversizedError, Run, RunwareExchange
from app.runware.failures import OVERSIZED, Kind
from app.runware.tasks import ImageTask, encode
from app.runware.transport import HTTPReply, LateError, LostError, NotSentError, NotTriedError
from app.runware.wire import Reply
from tests.support.upstreams import KEY, ScriptedTransport, image, raw, reply

UUID = "b37226ee-ee6e-49a8-b472-7d7136c8b161"
TASK = ImageTask(UUID, "runware:100@1", "a pear", 1, "URL", "PNG", 256, 256)
GOOD = reply(data=[image(UUID)])
REFUSED_KEY = reply(401, errors=[{"code": "invalidApiKey", "message": "no"}])


def after(*script: object) -> tuple[RunwareExchange, Run]:
    """An exchange after one attempt for each entry of a script, and the run those belong to."""
    run = Run(UUID, KEY, 1, 4096, 1000.0, encode([TASK.to_wire()]))
    exchange = RunwareExchange(ScriptedTransport(*script), clock=lambda: 0.0)

    async def work() -> None:
        for _ in script:
            try:
                await exchange.send(run, "submit", run.body, 5.0)
            except (NotSentError, LostError, LateError, OversizedError):
                continue
        await exchange.close()

    asyncio.run(work())
    return exchange, run


@pytest.mark.parametrize(
    ("script", "unreachable"),
    [
        pytest.param([NotSentError()] * 9, False, id="nine are not enough"),
        pytest.param([NotSentError()] * 10, True, id="ten without a connection"),
        pytest.param([LostError()] * 10, True, id="ten lost connections"),
        pytest.param([raw(502, "<html>")] * 10, True, id="ten pages of a proxy"),
        pytest.param([LateError()] * 12, False, id="late answers: slow models say nothing about others"),
        pytest.param([raw(400, "<html>")] * 12, False, id="a refusal comes from somebody who is there"),
        pytest.param([NotTriedError()] * 10, False, id="ten that were not tried"),
        pytest.param([*[NotSentError()] * 9, GOOD, *[NotSentError()] * 9], False, id="one answer forgives the past"),
    ],
)
def test_runware_is_unreachable_after_ten_exchanges_without_an_answer(script, unreachable):
    exchange, _ = after(*script)
    assert exchange.unreachable is unreachable


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        pytest.param([REFUSED_KEY], True, id="refused"),
        pytest.param([REFUSED_KEY, GOOD], False, id="accepted since"),
        pytest.param([REFUSED_KEY, NotSentError()], True, id="no answer says nothing of it"),
        pytest.param([REFUSED_KEY, reply(429, errors=[{"code": "rateLimitExceeded"}])], False, id="another refusal"),
    ],
)
def test_the_last_word_about_our_key_counts(script, refused):
    exchange, _ = after(*script)
    assert exchange.key_refused is refused


@pytest.mark.parametrize(
    ("entry", "outcome", "status"),
    [
        pytest.param(GOOD, "ok", 200, id="ok"),
        pytest.param(NotSentError(), "not_sent", None, id="never sent"),
        pytest.param(LostError(), "lost", None, id="lost"),
        pytest.param(LateError(), "late", None, id="late"),
        pytest.param(HTTPReply(200, b"", None, is_cut=True), "oversized", 200, id="too large"),
        pytest.param(REFUSED_KEY, "authentication", 401, id="refused"),
    ],
)
def test_every_attempt_is_on_record_by_its_outcome(entry, outcome, status):
    _, run = after(entry)
    assert [(one.kind, one.outcome, one.status) for one in run.exchanges] == [("submit", outcome, status)]


def test_only_what_buys_asks_for_permission():
    asked: list[str] = []

    async def permit() -> None:
        asked.append("asked")

    async def work() -> None:
        run = Run(UUID, KEY, 1, 4096, 1000.0, encode([TASK.to_wire()]), permit)
        exchange = RunwareExchange(ScriptedTransport(GOOD), clock=lambda: 0.0)
        await exchange.send(run, "collect", run.question, 5.0)
        assert asked == []
        await exchange.send(run, "submit", run.body, 5.0)

    asyncio.run(work())
    assert asked == ["asked"]


def test_an_answer_that_was_not_read_is_neither_an_image_nor_free():
    run = Run(UUID, KEY, 1, 4096, 1000.0, b"")
    result = run.end_unread()
    assert (result.images, result.is_billed) == ((), False)
    assert [(failure.kind, failure.code) for failure in result.failures] == [(Kind.PROVIDER, OVERSIZED)]
    assert run.end(Reply()).is_billed
    assert not run.end(Reply(), unresolved=True).is_billed
