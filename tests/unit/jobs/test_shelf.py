"""Images are stored under their rows, within their room, and never for a request whose payloads were deleted."""

import asyncio
import time

import anyio
import pytest

from app.domain.lifetimes import Lifetimes
from app.errors import StorageError, StorageFullError
from app.jobs.image_book import NoRoomError
from app.jobs.shelf import Owner
from app.media.errors import MediaUnavailableError
from tests.support.journals import open_journal
from tests.support.media import open_folder, open_shelf
from tests.support.waiting import seen_meanwhile

OWNER = Owner("r", Lifetimes(60, 60), asked_again=False)


class Place:
    """A shelf on a folder and a journal; its clock can be moved."""

    def __init__(self, folder, most):
        self.folder, self.now = folder, time.time()
        self.journal = open_journal(f"sqlite:///{folder / 'journal.db'}", lambda: self.now)
        self.shelf, self.sweeper = open_shelf(open_folder(folder), self.journal, most=most, clock=lambda: self.now)

    async def host(self, size, owner=OWNER):
        return await self.shelf.host(bytes(size), "png", owner)

    async def stream(self, *sizes, fault=None):
        async def chunks():
            for size in sizes:
                yield bytes(size)
            if fault is not None:
                raise fault

        return await self.shelf.host_stream(chunks(), "png", OWNER)

    async def used(self):
        return await self.shelf._book.used()

    def sizes(self):
        return sorted(path.stat().st_size for path in self.folder.glob("media/*"))


@pytest.fixture
def place_of(tmp_path):
    opened = []

    def make(most=None):
        opened.append(Place(tmp_path, most))
        return opened[-1]

    yield make
    for place in opened:
        place.journal.close()


def test_an_image_that_finds_no_room_is_refused_until_others_have_expired(place_of):
    async def course():
        place = place_of(most=100)
        await place.host(60)
        with pytest.raises(NoRoomError):
            await place.host(41)
        await place.host(40)
        place.now += 60  # what has expired goes at once, without the margin
        await place.host(100)
        assert (place.sizes(), await place.used()) == ([100], 100)

    asyncio.run(course())


def test_a_request_is_refused_while_images_as_large_as_lately_do_not_fit(place_of):
    async def course():
        place = place_of(most=100)
        await place.shelf.check(10)  # nothing is known of their size yet
        await place.host(40)
        await place.shelf.check(1)
        with pytest.raises(StorageFullError) as refused:
            await place.shelf.check(2)
        assert (refused.value.status, refused.value.should_retry) == (507, False)
        place.now += 60
        await place.shelf.check(2)
        await place.shelf.check(50)  # into what is empty a first one always goes
        assert place.sizes() == []

    asyncio.run(course())


def test_a_store_that_fails_refuses_and_keeps_no_row(place_of):
    async def course():
        place = place_of()
        (place.folder / "media").touch()
        (place.folder / "probes").touch()
        with pytest.raises(MediaUnavailableError):
            await place.host(10)
        with pytest.raises(StorageError) as refused:
            await place.shelf.check(1)
        assert (refused.value.status, refused.value.retry_after, refused.value.should_retry) == (503, 2, True)
        assert await place.used() == 0
        for name in ("media", "probes"):
            (place.folder / name).unlink()
        await place.host(10)
        await place.shelf.check(1)

    asyncio.run(course())


def test_an_image_that_comes_piece_by_piece_is_counted_as_large_as_it_became(place_of):
    async def course():
        place = place_of(most=100)
        await place.stream(30, 30)
        assert (place.sizes(), await place.used()) == ([60], 60)
        with pytest.raises(NoRoomError):
            await place.stream(40, 1)
        assert (place.sizes(), await place.used()) == ([60], 60)

    asyncio.run(course())


def test_an_image_whose_source_fails_is_not_stored_and_the_store_is_not_to_blame(place_of):
    async def course():
        place = place_of()
        with pytest.raises(ValueError, match="the source"):
            await place.stream(10, fault=ValueError("the source"))
        assert (place.sizes(), await place.used(), place.shelf._health.is_open) == ([], 0, True)

    asyncio.run(course())


def test_an_image_whose_caller_leaves_in_a_scope_that_cancels_all_in_it_keeps_no_row(place_of):
    async def course():
        place, has_begun = place_of(), asyncio.Event()

        async def chunks():
            yield bytes(10)
            has_begun.set()
            await asyncio.Event().wait()

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(place.shelf.host_stream, chunks(), "png", OWNER)
                await has_begun.wait()
                assert await place.used() == 1
                scope.cancel()
        assert not await seen_meanwhile(lambda: place.shelf._forgetting, lambda left: not left)
        assert await place.used() == 0

    asyncio.run(course())


@pytest.mark.slow
def test_an_image_is_not_stored_while_it_cannot_be_written_down(place_of):
    async def course():
        place = place_of()
        place.journal.close()
        with pytest.raises(MediaUnavailableError):
            await asyncio.wait_for(place.host(10), 30)
        assert place.sizes() == []

    asyncio.run(course())
