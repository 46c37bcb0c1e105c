"""How long a key is believed, how often it is looked up, and what holds while the database is away."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Engine, event, text

from app.access.key_cache import KeyCache
from app.database.reader import Reader
from app.database.writer import Writer
from app.errors import JournalError
from tests.support.databases import open_migrated
from tests.support.journals import Clock
from tests.support.keys import change_key, numbered_key, put_key

ID = numbered_key(1)[0]


class Watched:
    """A cache on a clock of the test, over a database whose questions are counted."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_migrated(url)
        self.clock = Clock()
        self.questions = 0
        self._writer = Writer(self.engine)
        self._reader = Reader(self.engine, self._writer)
        self.cache = KeyCache(self._reader, self.clock)
        event.listen(self.engine, "before_cursor_execute", self._count)

    def _count(self, connection, cursor, statement, *_: object) -> None:
        self.questions += "api_keys" in statement and statement.startswith("SELECT")

    async def pass_time(self, seconds: float) -> None:
        """Let a look that is under way end, then move the clock."""
        await self.cache.close()
        self.clock.now += seconds

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


@pytest.fixture
def during(database) -> Callable[[Callable[[Watched], Awaitable[None]]], None]:
    def run(story: Callable[[Watched], Awaitable[None]]) -> None:
        async def tell() -> None:
            watched = Watched(database.fresh())
            try:
                await story(watched)
            finally:
                await watched.cache.close()
                watched.close()

        asyncio.run(tell())

    return run


def test_a_key_in_use_is_read_once_in_a_while_and_never_waited_for(during):
    async def story(watched: Watched) -> None:
        put_key(watched.engine)
        for _ in range(100):
            assert await watched.cache.find(ID) is not None
        assert watched.questions == 1
        for _ in range(10):
            await watched.pass_time(1.5)
            first = await watched.cache.find(ID)
            assert watched.clock.now - first.read_at == 1.5  # not waited for, and looked up beside
        await watched.cache.close()
        assert watched.questions == 11

    during(story)


def test_a_change_of_another_process_is_seen_before_five_seconds_are_over(during):
    async def story(watched: Watched) -> None:
        put_key(watched.engine)
        await watched.cache.find(ID)
        change_key(watched.engine, 1, revoked_at=5.0)
        assert (await watched.cache.find(ID)).stored.key.revoked_at is None
        await watched.pass_time(2.5)
        assert (await watched.cache.find(ID)).stored.key.revoked_at == 5.0

    during(story)


def test_a_change_of_this_process_is_seen_at_once(during):
    async def story(watched: Watched) -> None:
        put_key(watched.engine)
        await watched.cache.find(ID)
        change_key(watched.engine, 1, revoked_at=5.0)
        watched.cache.forget(ID)
        assert (await watched.cache.find(ID)).stored.key.revoked_at == 5.0

    during(story)


def test_a_key_that_is_not_there_is_not_remembered(during):
    async def story(watched: Watched) -> None:
        assert await watched.cache.find(ID) is None
        put_key(watched.engine)
        assert await watched.cache.find(ID) is not None

    during(story)


def test_however_many_ask_there_is_one_question_at_a_time(during):
    async def story(watched: Watched) -> None:
        for number in range(1, 31):
            put_key(watched.engine, number)
        ids = [numbered_key(number)[0] for number in range(1, 51)]
        found = await asyncio.gather(*(watched.cache.find(key_id) for key_id in ids))
        assert [one is not None for one in found] == [True] * 30 + [False] * 20
        assert watched.questions <= 2

    during(story)


def test_the_first_key_closes_an_open_gateway_and_nothing_opens_it_again(during):
    async def story(watched: Watched) -> None:
        assert not await watched.cache.has_keys()
        put_key(watched.engine)
        await watched.pass_time(2.5)
        assert await watched.cache.has_keys()
        change_key(watched.engine, 1, revoked_at=1.0)
        await watched.pass_time(1000)
        assert await watched.cache.has_keys()

    during(story)


def test_without_its_database_a_known_key_opens_for_a_while_and_an_unknown_one_never(during):
    async def story(watched: Watched) -> None:
        put_key(watched.engine)
        put_key(watched.engine, 2)
        await watched.cache.find(ID)
        with watched.engine.begin() as connection:
            connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
        await watched.pass_time(60)
        assert await watched.cache.find(ID) is not None
        with pytest.raises(JournalError):
            await watched.cache.find(numbered_key(2)[0])
        await watched.pass_time(600)
        with pytest.raises(JournalError):
            await watched.cache.find(ID)

    during(story)


def test_who_does_not_know_whether_there_are_keys_lets_nobody_in(during):
    async def story(watched: Watched) -> None:
        with watched.engine.begin() as connection:
            connection.execute(text("ALTER TABLE api_keys RENAME TO away"))
        with pytest.raises(JournalError):
            await watched.cache.has_keys()

    during(story)


def test_a_row_that_cannot_be_read_opens_nothing_and_spoils_no_other_key(during):
    async def story(watched: Watched) -> None:
        put_key(watched.engine)
        put_key(watched.engine, 2)
        change_key(watched.engine, 1, models="[broken")
        found = await asyncio.gather(*(watched.cache.find(numbered_key(number)[0]) for number in (1, 2)))
        assert [one is not None for one in found] == [False, True]

    during(story)
