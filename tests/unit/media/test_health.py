"""The store is closed by a failure and opened by a write that succeeds; a real folder that can be blocked."""

import asyncio

import pytest

from app.media.health import StoreHealth
from tests.support.journals import Clock
from tests.support.media import open_folder
from tests.support.waiting import seen_meanwhile


class Disk:
    """A folder in which nothing can be written while a file stands where folders should be."""

    def __init__(self, folder):
        self.folder, self.clock = folder, Clock()
        self.health = StoreHealth(open_folder(folder), self.clock)
        self.blocker = folder / "probes"

    def block(self):
        self.blocker.touch()

    def free(self):
        self.blocker.unlink()


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def test_a_store_of_which_nothing_is_known_is_open_and_not_tried(disk):
    disk.block()
    assert asyncio.run(disk.health.takes_writes())


def test_a_failure_closes_it_until_a_write_as_large_succeeds_and_leaves_nothing(disk):
    async def course():
        disk.block()
        disk.health.failed(1000)
        assert not await disk.health.takes_writes()
        disk.free()
        assert not await disk.health.takes_writes(), "it was tried a moment ago"
        disk.clock.now += 2
        assert await disk.health.takes_writes()
        assert list(disk.folder.rglob("*.*")) == []

    asyncio.run(course())


def test_what_is_stored_meanwhile_opens_it_without_a_try(disk):
    async def course():
        disk.block()
        disk.health.failed(1)
        disk.health.worked()
        assert await disk.health.takes_writes()

    asyncio.run(course())


def test_many_that_ask_at_once_wait_for_one_try_also_when_one_of_them_leaves(disk):
    async def course():
        disk.health.failed(1)
        asking = [asyncio.create_task(disk.health.takes_writes()) for _ in range(10)]
        await asyncio.sleep(0)
        asking[0].cancel()
        assert await asyncio.gather(*asking[1:]) == [True] * 9

    asyncio.run(course())


def test_who_cannot_wait_gets_what_is_known_and_the_next_what_a_try_brought(disk):
    async def course():
        disk.health.failed(1)
        disk.clock.now += 2
        assert not disk.health.seems_open(), "nobody waited for the try"
        assert await seen_meanwhile(disk.health.seems_open, bool)

    asyncio.run(course())
