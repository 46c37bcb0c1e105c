"""The balance of the account: asked for at most once a minute, by one question for all, and watched where asked to be."""

import asyncio
from decimal import Decimal

import pytest

from app.runware.account import Balance, RunwareAccount
from app.runware.failures import Kind, ProviderFailure
from app.runware.transport import LateError, NotSentError
from tests.support.upstreams import KEY, ScriptedTransport, raw, reply


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def details(balance: object) -> object:
    return reply(
        data=[{"taskType": "accountManagement", "taskUUID": "u", "balance": balance, "team": [], "apiKeys": []}]
    )


def account(*script: object, low: str | None = None) -> tuple[RunwareAccount, ScriptedTransport, Clock]:
    transport, clock = ScriptedTransport(*script), Clock()
    asked = RunwareAccount(
        transport, KEY, None if low is None else Decimal(low), clock=clock, now=clock, new_id=lambda: "u"
    )
    return asked, transport, clock


def test_many_who_ask_at_once_are_one_question_and_its_answer_serves_for_a_minute():
    asked, transport, clock = account(details(12.5), details(11))

    async def course() -> None:
        found = await asyncio.gather(*(asked.find_balance() for _ in range(20)))
        assert set(found) == {Balance(Decimal("12.5"), 1000.0)}
        clock.now += 59.9
        assert await asked.find_balance() == Balance(Decimal("12.5"), 1000.0)
        assert len(transport.sent) == 1
        clock.now += 0.1
        assert await asked.find_balance() == Balance(Decimal(11), 1060.0)

    asyncio.run(course())
    assert [(sent["taskType"], sent["operation"]) for sent in transport.sent] == [
        ("accountManagement", "getDetails")
    ] * 2


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        pytest.param(NotSentError(), Kind.CAPACITY, id="unreachable"),
        pytest.param(LateError(), Kind.TIMEOUT, id="late"),
        pytest.param(raw(500, "oops"), Kind.PROVIDER, id="a fault"),
        pytest.param(raw(200, "nonsense"), Kind.PROVIDER, id="no JSON"),
        pytest.param(details(None), Kind.PROVIDER, id="no balance"),
        pytest.param(details("much"), Kind.PROVIDER, id="no number"),
        pytest.param(details([1]), Kind.PROVIDER, id="a list"),
        pytest.param(raw(429, "slow down"), Kind.RATE_LIMIT, id="too many questions"),
    ],
)
def test_a_failure_is_told_and_the_next_caller_asks_again(entry, kind):
    asked, _, _ = account(entry, details("-0.50"))

    async def course() -> None:
        failure = await asked.find_balance()
        assert isinstance(failure, ProviderFailure)
        assert failure.kind is kind
        found = await asked.find_balance()
        assert isinstance(found, Balance)
        assert found.dollars == Decimal("-0.5")

    asyncio.run(course())


@pytest.mark.parametrize(
    ("low", "balances", "is_low"),
    [
        pytest.param(None, [1], [False], id="nothing is called low"),
        pytest.param("5", [5, 4.99, 5], [False, True, False], id="below, and above again"),
        pytest.param("0", [0, -1], [False, True], id="below nothing"),
    ],
)
def test_a_balance_is_low_below_what_the_operator_names(low, balances, is_low):
    asked, _, clock = account(*map(details, balances), low=low)

    async def course() -> None:
        for expected in is_low:
            await asked.find_balance()
            assert asked.is_low is expected
            clock.now += 60

    asyncio.run(course())


@pytest.mark.parametrize(("low", "questions"), [("5", 1), (None, 0)], ids=["watched", "not watched"])
def test_it_is_watched_where_a_low_balance_is_named(low, questions):
    asked, transport, _ = account(details(1), low=low)

    async def course() -> None:
        asked.start()
        for _ in range(100):
            await asyncio.sleep(0)
        await asked.close()

    asyncio.run(course())
    assert (len(transport.sent), asked.is_low) == (questions, bool(questions))


def test_a_caller_who_leaves_takes_the_answer_from_nobody():
    asked, transport, _ = account(details(3))

    async def course() -> None:
        leaver = asyncio.create_task(asked.find_balance())
        await asyncio.sleep(0)
        stayer = asyncio.create_task(asked.find_balance())
        await asyncio.sleep(0)
        leaver.cancel()
        found = await stayer
        assert isinstance(found, Balance)

    asyncio.run(course())
    assert len(transport.sent) == 1
