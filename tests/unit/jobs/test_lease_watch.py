"""Whose requests are abandoned, by what was seen of them; no clock but the watcher's own counts."""

import pytest

from app.domain.values import replace
from app.jobs.lease_watch import LOOKS, MAX_TRIES, LeaseWatch, pause_before
from app.journal.records import Sighting

SECONDS = 15.0
STEP = SECONDS / LOOKS
HELD = Sighting("r", "b", fence=1, beat=0, tries=0, is_open=True)
FREE = replace(HELD, owner="")


class Watching:
    """A watch, and the time that passes between its looks."""

    def __init__(self, dead: str = "") -> None:
        self.now = 1000.0
        self.watch = LeaseWatch(SECONDS, lambda owner: owner == dead, lambda: self.now)

    def look(self, *seen: Sighting, after: float = STEP, here: str = "") -> list[str]:
        self.now += after
        found = self.watch.abandoned(seen, lambda one: one.request_id == here)
        return [one.request_id for one in found]

    def looks_until_found(self, seen: Sighting) -> int:
        return next(count for count in range(100) if self.look(seen))


def test_a_lease_that_stands_still_for_its_length_is_over():
    assert Watching().looks_until_found(HELD) == LOOKS


@pytest.mark.parametrize("change", ["beat", "fence"])
def test_a_lease_that_moves_never_ends(change):
    watching = Watching()
    for number in range(10 * LOOKS):
        assert watching.look(replace(HELD, **{change: number // (LOOKS - 1)})) == []


def test_while_the_watcher_itself_stood_still_no_lease_ends():
    watching = Watching()
    assert [watching.look(HELD), watching.look(HELD, after=3600), watching.look(HELD)] == [[], [], []]


def test_a_clock_that_went_back_ends_no_lease():
    watching = Watching()
    assert [watching.look(HELD), watching.look(HELD, after=-3600)] == [[], []]
    assert watching.looks_until_found(HELD) >= LOOKS - 1


def test_what_runs_here_is_not_abandoned_however_long_its_lease_stands_still():
    watching = Watching()
    assert not any(watching.look(HELD, here="r") for _ in range(3 * LOOKS))


def test_the_lease_of_a_process_that_is_dead_is_over_at_once():
    assert Watching(dead="b").look(HELD) == ["r"]


def test_what_was_released_is_free_at_once_and_later_each_time():
    assert Watching().look(FREE) == ["r"]
    waits = [Watching().looks_until_found(replace(FREE, tries=tries)) * STEP for tries in range(8)]
    assert waits == sorted(waits)
    assert all(wait >= pause_before(tries) for tries, wait in enumerate(waits))
    assert waits[-1] > 60


def test_a_request_that_kills_who_takes_it_is_taken_ever_later():
    assert Watching(dead="b").looks_until_found(replace(HELD, tries=12)) * STEP >= 30


def test_all_tries_together_outlast_an_hour_and_end():
    assert 3600 < sum(pause_before(tries) for tries in range(MAX_TRIES)) < 6 * 3600
