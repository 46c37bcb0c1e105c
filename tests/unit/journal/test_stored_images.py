"""What is stored until when, and how many bytes that takes. On both databases."""

import asyncio

import pytest
from sqlalchemy import text, update

from app.database.image_tables import storage_use
from app.journal.stored_images import UNDER_WAY_SECONDS, NewImage, Registration, StoredImages
from app.media.sweeper import BEFORE_ALL, Expired, FoundFile
from tests.support.journals import Clock, open_journal

TTL = 600.0


class Rows:
    """The rows of stored images, each call a transaction of its own."""

    def __init__(self, journal, clock):
        self.journal, self.clock = journal, clock
        self.images = StoredImages(clock)

    async def register(self, path, size=10, request_id="r", seconds=TTL, most=None):
        image = NewImage(path, request_id, size, seconds)
        return await self.journal.writer.write(self.images.register, image, most)

    async def write(self, work, *args):
        return await self.journal.writer.write(work, *args)

    async def expired(self, after=BEFORE_ALL, limit=100, spared=0.0):
        return await self.journal.reader.read(
            lambda connection: self.images.expired(connection, after, limit, spared=spared)
        )

    async def used(self):
        return await self.journal.reader.read(self.images.used)

    async def paths(self, request_id="r"):
        return sorted(await self.journal.reader.read(lambda connection: self.images.of_request(connection, request_id)))


@pytest.fixture
def rows(database):
    clock = Clock()
    journal = open_journal(database.fresh(), clock)
    yield Rows(journal, clock)
    journal.close()


def test_an_image_is_counted_from_before_it_is_stored_until_it_is_removed(rows):
    async def course():
        assert await rows.used() == 0
        assert await rows.register("media/a.png", 10) is Registration.DONE
        assert await rows.register("results/b.png", 7) is Registration.DONE
        assert (await rows.used(), await rows.paths()) == (17, ["media/a.png", "results/b.png"])
        await rows.write(rows.images.remove, ["media/a.png", "media/never.png"])
        assert (await rows.used(), await rows.paths()) == (7, ["results/b.png"])

    asyncio.run(course())


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        pytest.param((60, 40), 100, ["done", "done"], id="to the last byte"),
        pytest.param((60, 41), 100, ["done", "full"], id="one byte more"),
        pytest.param((101, 100), 100, ["full", "done"], id="what is too large leaves room for what is not"),
        pytest.param((10**12,), None, ["done"], id="no bound"),
    ],
)
def test_all_images_together_take_no_more_than_they_may(rows, sizes, most, expected):
    async def course():
        said = [await rows.register(f"media/{place}", size, most=most) for place, size in enumerate(sizes)]
        assert [one.value for one in said] == expected
        assert await rows.used() == sum(s for s, word in zip(sizes, expected, strict=True) if word == "done")

    asyncio.run(course())


def test_of_images_that_come_at_once_on_several_replicas_none_exceeds_the_bound(database):
    url = database.fresh()
    journals = [open_journal(url, owner=f"process-{number}") for number in range(3)]

    async def course():
        replicas = [Rows(journal, Clock()) for journal in journals]
        work = [
            replica.register(f"media/{number}-{place}", 10, most=100)
            for number, replica in enumerate(replicas)
            for place in range(10)
        ]
        said = await asyncio.gather(*work)
        assert said.count(Registration.DONE) == 10
        assert await replicas[0].used() == 100

    asyncio.run(course())
    for journal in journals:
        journal.close()


def test_what_is_over_is_found_oldest_first_after_the_margin_and_page_by_page(rows):
    async def course():
        for path, seconds in (("media/c", 30), ("media/a", 10), ("media/b", 10), ("media/d", 1000)):
            await rows.register(path, seconds=seconds)
        rows.clock.now += 9.9
        assert await rows.expired() == []
        rows.clock.now += 0.1
        assert [one.path for one in await rows.expired()] == ["media/a", "media/b"]
        assert await rows.expired(spared=0.1) == []
        rows.clock.now += 20
        first = await rows.expired(limit=2)
        assert [one.path for one in first] == ["media/a", "media/b"]
        assert [one.path for one in await rows.expired(after=first[-1])] == ["media/c"]

    asyncio.run(course())


def test_a_process_whose_clock_is_ahead_deletes_nothing_early_on_a_shared_database(postgres):
    from time import time

    clock = Clock()
    clock.now = time()
    journal = open_journal(postgres.fresh(), clock)

    async def course():
        rows = Rows(journal, clock)
        await rows.register("media/young", seconds=TTL)
        await rows.register("media/old", seconds=-1)
        clock.now += 10 * TTL
        assert [one.path for one in await rows.expired()] == ["media/old"]

    asyncio.run(course())
    journal.close()


def test_the_time_of_a_requests_images_can_be_ended_and_those_under_way_are_deleted_once_more(rows):
    async def course():
        await rows.register("media/other", request_id="other")
        await rows.register("media/old")
        rows.clock.now += UNDER_WAY_SECONDS - 1
        await rows.register("results/young")
        assert sorted(await rows.write(rows.images.end, "r")) == ["media/old", "results/young"]
        rows.clock.now += 1
        assert [one.path for one in await rows.expired()] == ["media/old"]
        rows.clock.now += UNDER_WAY_SECONDS - 1
        assert sorted(one.path for one in await rows.expired()) == ["media/old", "results/young"]

    asyncio.run(course())


def test_nothing_is_registered_for_a_request_whose_payloads_were_deleted(rows):
    async def course():
        insert = text(
            "INSERT INTO requests (id, tenant, fingerprint, endpoint, model, executed_model, n, status, created_at,"
            " key_until, connected, owner, plan, purged_at)"
            " VALUES ('r', 't', 'f', 'generations', 'm', 'm', 1, 'completed', 1.0, 2.0, 0, 'o', '{}', 3.0)"
        )
        await rows.write(lambda transaction: transaction.connection.execute(insert) and None)
        assert await rows.register("results/late") is Registration.DELETED
        assert await rows.register("results/of-another", request_id="s") is Registration.DONE
        assert (await rows.used(), await rows.paths()) == (10, [])

    asyncio.run(course())


def test_an_image_whose_size_was_not_known_is_counted_as_large_as_it_is(rows):
    async def course():
        await rows.register("media/a", 1000)
        assert await rows.write(rows.images.resize, "media/a", 300, 300)
        assert not await rows.write(rows.images.resize, "media/a", 300, 299)
        await rows.write(rows.images.resize, "media/gone", 300)
        assert await rows.used() == 300
        await rows.write(rows.images.remove, ["media/a"])
        assert await rows.used() == 0

    asyncio.run(course())


def test_images_without_rows_get_them_and_the_sum_is_stated_anew(rows):
    async def course():
        await rows.register("media/known", 5)
        now = rows.clock.now
        found = [FoundFile(path, 100, now - 50, now + 20) for path in ("media/known", "media/orphan")]
        assert await rows.write(rows.images.adopt, found) == 1
        assert await rows.write(rows.images.adopt, found) == 0
        assert await rows.used() == 105
        await rows.write(_spoil_sum)
        await rows.write(rows.images.restate)
        assert await rows.used() == 105
        rows.clock.now += 20
        assert await rows.expired() == [Expired(now + 20, "media/orphan")]

    asyncio.run(course())


def _spoil_sum(transaction):
    transaction.execute(update(storage_use).values(bytes=7), {})
