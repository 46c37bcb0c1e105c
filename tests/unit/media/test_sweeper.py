"""Expired images are deleted after their margin and nothing else is, whatever fails in between; in a real folder."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from app.media.errors import MediaUnavailableError
from app.media.sweeper import SPARED_SECONDS, Expired, ImageSweeper, Places
from tests.support.journals import Clock
from tests.support.log_lines import log_lines
from tests.support.media import open_folder
from tests.support.waiting import seen_meanwhile

PLACES = Places({"media": 60.0, "results": 600.0, "probes": 0.0}, outliving=900.0)


class Duty:
    """Whose sweeping is."""

    mine = True
    asked = 0
    lost_after: int | None = None

    async def is_mine(self):
        self.asked += 1
        return self.mine and (self.lost_after is None or self.asked <= self.lost_after)


class Hanging:
    """A store with nothing to list, whose deletions end without success after ten seconds."""

    def __init__(self, watch: Clock) -> None:
        self.watch, self.asked = watch, list[str]()

    async def delete(self, path):
        self.asked.append(path)
        self.watch.now += 10
        raise MediaUnavailableError

    async def walk(self, _):
        for nothing in ():
            yield nothing


class Shelf:
    """A book in memory beside a folder, and whose duty sweeping is; its clock is the wall's and can be moved."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, dict[str, float]()
        self.ahead, self.duty, self.broken = 0.0, Duty(), False
        self.looked, self.adopted, self.restated, self.watch = 0, 0, 0, Clock()
        # So long each part of a listing takes, by both clocks.
        self.part_seconds = 0.0
        store = open_folder(folder)
        self.sweeper = ImageSweeper(store, self, self.duty, PLACES, clock=self.now, monotonic=self.watch)

    def now(self) -> float:
        return time.time() + self.ahead

    def put(self, path: str, seconds: float | None, *, age: float = 0.0) -> str:
        """A file, with a row that ends so far ahead, or without one."""
        place = self.folder / path
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"image")
        os.utime(place, (time.time() - age, time.time() - age))
        if seconds is not None:
            self.rows[path] = self.now() + seconds
        return path

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    async def expired(self, after, limit, *, spared):
        self.looked += 1
        over = sorted(Expired(at, path) for path, at in self.rows.items() if at <= self.now() - spared)
        return [one for one in over if one > after][:limit]

    async def used(self):
        return len(self.rows)

    async def forget(self, paths):
        if self.broken:
            raise ConnectionError
        for path in paths:
            self.rows.pop(path, None)

    async def adopt(self, found):
        unknown = [one for one in found if one.path not in self.rows]
        self.rows |= {one.path: one.expires_at for one in unknown}
        self.adopted += 1
        self.watch.now += self.part_seconds
        self.ahead += self.part_seconds
        return len(unknown)

    async def restate(self):
        self.restated += 1


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def test_an_image_goes_once_its_time_and_the_margin_are_over_and_no_other_does(shelf):
    gone, young = shelf.put("media/a.png", -SPARED_SECONDS - 1), shelf.put("media/b.png", 5)
    spared = shelf.put("results/c.png", -SPARED_SECONDS + 30)
    asyncio.run(shelf.sweeper.sweep())
    assert (shelf.files(), set(shelf.rows)) == ({young, spared}, {young, spared})
    assert gone not in shelf.rows
    shelf.ahead = 31
    asyncio.run(shelf.sweeper.sweep())
    assert shelf.files() == {young}


def test_more_than_one_part_goes_in_one_sweep_and_the_log_says_how_many(shelf):
    for number in range(250):
        shelf.put(f"media/{number}.png", -SPARED_SECONDS - 1)
    with log_lines() as lines:
        asyncio.run(shelf.sweeper.sweep())
    assert (shelf.files(), shelf.rows) == (set(), {})
    assert [line.get("count") for line in lines if "deleted" in line["event"]] == [250]


def test_a_row_whose_file_is_gone_already_is_forgotten(shelf):
    shelf.put("media/a.png", -SPARED_SECONDS - 1)
    (shelf.folder / "media/a.png").unlink()
    asyncio.run(shelf.sweeper.sweep())
    assert shelf.rows == {}


def test_a_sweep_that_is_broken_off_between_file_and_row_is_completed_by_the_next(shelf):
    shelf.put("media/a.png", -SPARED_SECONDS - 1)
    shelf.broken = True
    with pytest.raises(ConnectionError):
        asyncio.run(shelf.sweeper.sweep())
    assert (shelf.files(), set(shelf.rows)) == (set(), {"media/a.png"})
    shelf.broken = False
    asyncio.run(shelf.sweeper.sweep())
    assert shelf.rows == {}


def test_who_has_not_the_duty_deletes_nothing(shelf):
    shelf.duty.mine = False
    kept = shelf.put("media/a.png", -SPARED_SECONDS - 1)
    asyncio.run(shelf.sweeper.sweep())
    assert shelf.files() == {kept}


def test_one_that_cannot_be_deleted_keeps_no_other(shelf):
    # A folder with something in it stands where a file should: no store deletes it.
    stuck = shelf.put("media/0.png", -SPARED_SECONDS - 9)
    (shelf.folder / stuck).unlink()
    (shelf.folder / stuck / "inside").mkdir(parents=True)
    shelf.put("media/1.png", -SPARED_SECONDS - 1)
    asyncio.run(shelf.sweeper.sweep())
    assert set(shelf.rows) == {stuck}
    with pytest.raises(MediaUnavailableError):
        asyncio.run(shelf.sweeper.sweep())


def test_younger_ones_go_though_none_of_a_whole_part_can_be_deleted_and_the_trouble_is_told(shelf):
    for number in range(100):
        stuck = shelf.put(f"media/{number}.png", -SPARED_SECONDS - 9)
        (shelf.folder / stuck).unlink()
        (shelf.folder / stuck / "inside").mkdir(parents=True)
    young = {shelf.put(f"media/young{number}.png", -SPARED_SECONDS - 1) for number in range(3)}
    with pytest.raises(MediaUnavailableError):
        asyncio.run(shelf.sweeper.sweep())
    assert (len(shelf.rows), shelf.files() & young) == (100, set())


def test_a_store_that_hangs_is_asked_for_few_and_the_next_sweep_goes_on_behind_them(tmp_path):
    shelf = Shelf(tmp_path)
    hanging = Hanging(shelf.watch)
    shelf.sweeper = ImageSweeper(hanging, shelf, shelf.duty, PLACES, clock=shelf.now, monotonic=shelf.watch)
    shelf.rows = {f"media/{number:03}.png": shelf.now() - SPARED_SECONDS - 1 for number in range(150)}
    for first in (0, 100):
        hanging.asked = []
        with pytest.raises(MediaUnavailableError):
            asyncio.run(shelf.sweeper.sweep())
        assert hanging.asked == [f"media/{number:03}.png" for number in range(first, first + 8)]


def test_those_who_need_room_at_once_share_one_deletion(shelf):
    shelf.put("media/a.png", -1)

    async def course():
        makers = [asyncio.create_task(shelf.sweeper.make_room()) for _ in range(20)]
        await asyncio.sleep(0)
        makers[0].cancel()  # it goes on when one of them leaves
        ends = await asyncio.gather(*makers, return_exceptions=True)
        return [type(end) for end in ends[1:]]

    assert asyncio.run(course()) == [type(None)] * 19
    assert (shelf.files(), shelf.looked) == (set(), 2)


def test_a_long_listing_ends_where_the_duty_is_lost_and_begins_anew_when_it_is_back(shelf):
    for number in range(450):
        shelf.put(f"media/{number}.png", 600, age=700)
    shelf.duty.lost_after = 3
    asyncio.run(shelf.sweeper.sweep())
    assert (shelf.adopted, shelf.restated) == (2, 0)
    shelf.duty.lost_after = None
    asyncio.run(shelf.sweeper.sweep())
    assert (shelf.adopted, shelf.restated) == (2 + 5, 1)


def test_what_expires_during_a_long_listing_goes_meanwhile(shelf):
    for number in range(450):
        shelf.put(f"media/{number}.png", 600, age=700)
    expiring = shelf.put("media/expiring.png", -SPARED_SECONDS + 30)
    shelf.part_seconds = 20.0
    asyncio.run(shelf.sweeper.sweep())
    assert expiring not in shelf.files()


def test_room_is_made_of_what_is_over_without_any_margin_and_of_nothing_else(shelf):
    shelf.put("media/a.png", -0.001)
    young = shelf.put("media/b.png", 60)
    asyncio.run(shelf.sweeper.make_room())
    assert shelf.files() == {young}


def test_files_that_nobody_knows_of_get_the_longest_life_of_their_place(shelf):
    old, young = shelf.put("media/old.png", None, age=700), shelf.put("media/young.png", None)
    longer, kept = shelf.put("media/kold.png", None, age=700), shelf.put("results/old.png", None, age=601)
    probe, known = shelf.put("probes/x", None, age=601), shelf.put("media/known.png", 600, age=700)
    before = time.time()
    asyncio.run(shelf.sweeper.sweep())
    # `young` may be on its way to have a row; of the others those go whose time and margin are over.
    assert shelf.files() == {young, longer, kept, known}
    assert {path: round(at - before) for path, at in shelf.rows.items()} == {longer: 200, kept: -1, known: 600}
    assert not {old, probe} & set(shelf.rows)


def test_the_store_is_looked_through_whenever_the_duty_begins_and_not_each_time(shelf):
    asyncio.run(shelf.sweeper.sweep())
    shelf.put("media/old.png", None, age=700)
    asyncio.run(shelf.sweeper.sweep())
    assert shelf.files() == {"media/old.png"}
    shelf.duty.mine = False
    asyncio.run(shelf.sweeper.sweep())
    shelf.duty.mine = True
    asyncio.run(shelf.sweeper.sweep())
    assert shelf.files() == set()


def test_it_sweeps_in_the_background_from_its_start_on(shelf):
    async def course():
        shelf.put("media/a.png", -SPARED_SECONDS - 1)
        shelf.sweeper.loop.start()
        files = await seen_meanwhile(shelf.files, lambda files: not files)
        shelf.sweeper.loop.stop()
        return files

    assert asyncio.run(course()) == set()
