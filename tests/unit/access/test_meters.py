"""What answers tell of an account: seen once for all that ask at the same time, and never waited for long."""

import asyncio
from decimal import Decimal

import pytest

from app.access.account import Account
from app.access.meters import Meters
from app.database.errors import DatabaseUnavailableError
from app.domain.caller import ApiKey, Limits, Period
from tests.support.waiting import seen_meanwhile

LIMITS = Limits(budget=Decimal(1), period=Period.DAY)
KEY, OTHER = (ApiKey(key_id, "team", "abcd", 1.0, limits=LIMITS) for key_id in ("key_a", "key_b"))
CENT = 10_000_000


def account(spent: int, key: ApiKey = KEY) -> Account:
    return Account(key.id, key.name, LIMITS, 100 * CENT, 0, spent * CENT, 0)


class Database:
    """Reads when it is told to, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.spent = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_away = False

    async def read(self, work):
        self.asked += 1
        await self.answers.wait()
        if self.is_away:
            raise DatabaseUnavailableError("away")
        return account(self.spent, OTHER if work.keywords["key_id"] == OTHER.id else KEY)


class Clock:
    now = 100.0


def opened(patience: float = 60.0) -> tuple[Meters, Database, Clock]:
    """Meters that wait longer for their database than a busy machine may stand still, unless a test is about that."""
    clock, database = Clock(), Database()
    return Meters(database, lambda: 1.0, lambda: clock.now, patience), database, clock


def spent(meters: Meters, key: ApiKey = KEY) -> int | None:
    seen = meters.account_of(key.id)
    return None if seen is None else seen.spent // CENT


def test_all_answers_at_once_ask_once_and_then_for_seconds_nobody():
    async def course():
        meters, database, clock = opened()
        database.spent = 3
        database.answers.clear()
        telling = [asyncio.create_task(meters.freshen(key)) for key in (KEY, KEY, KEY, OTHER)]
        assert await seen_meanwhile(lambda: database.asked, lambda asked: asked == 2) == 2
        database.answers.set()
        await asyncio.gather(*telling)
        assert (spent(meters), spent(meters, OTHER)) == (3, 3)
        clock.now += 2.9
        await meters.freshen(KEY)
        assert database.asked == 2
        clock.now += 0.2
        await meters.freshen(KEY)
        assert database.asked == 3

    asyncio.run(course())


def test_what_was_settled_is_looked_at_anew():
    async def course():
        meters, database, _ = opened()
        await meters.freshen(KEY)
        database.spent = 5
        meters.mark_stale(KEY.id)
        assert spent(meters) == 0
        await meters.freshen(KEY)
        assert spent(meters) == 5

    asyncio.run(course())


def test_what_a_claim_saw_meanwhile_counts_more_than_an_older_question():
    async def course():
        meters, database, clock = opened()
        database.answers.clear()
        telling = asyncio.create_task(meters.freshen(KEY))
        assert await seen_meanwhile(lambda: database.asked, bool)
        clock.now += 0.1
        meters.note(account(7))
        database.answers.set()
        await telling
        assert spent(meters) == 7

    asyncio.run(course())


@pytest.mark.parametrize("ends", ["late", "away"])
def test_a_database_that_does_not_answer_keeps_no_answer_from_being_read(ends):
    async def course():
        meters, database, clock = opened(patience=0.2)
        database.spent = 2
        await meters.freshen(KEY)
        meters.mark_stale(KEY.id)
        database.answers.clear()
        await asyncio.wait_for(asyncio.gather(*[meters.freshen(KEY) for _ in range(3)]), 10)
        assert (spent(meters), database.asked) == (2, 2), "it shows what was seen before"
        await meters.freshen(KEY)
        assert database.asked == 2, "what follows does not wait for it once more"
        clock.now += 10
        await asyncio.wait_for(meters.freshen(KEY), 10)
        assert database.asked == 2, "the same question is still under way"
        clock.now += 10
        waiting = asyncio.create_task(meters.freshen(KEY))
        await asyncio.sleep(0)
        database.is_away = ends == "away"
        database.spent = 9
        database.answers.set()
        await asyncio.wait_for(waiting, 10)
        assert spent(meters) == 2, "an answer to a question of before says nothing of now"

    asyncio.run(course())


def test_a_caller_that_leaves_keeps_nobody_else_from_hearing():
    async def course():
        meters, database, _ = opened()
        database.answers.clear()
        first, second = [asyncio.create_task(meters.freshen(KEY)) for _ in range(2)]
        assert await seen_meanwhile(lambda: database.asked, bool)
        first.cancel()
        database.spent = 4
        database.answers.set()
        await asyncio.wait_for(second, 10)
        assert (first.cancelled(), spent(meters)) == (True, 4)

    asyncio.run(course())
