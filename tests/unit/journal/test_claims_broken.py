"""Which connections broke a short while ago, whatever happens to the wall clock meanwhile."""

from types import SimpleNamespace

import pytest

from app.journal.claims import BrokenConnections

WINDOW = 60.0


class Clocks:
    steady, wall = 500.0, 1_000_000.0


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def broken(clocks):
    return BrokenConnections(WINDOW, lambda: clocks.wall, lambda: clocks.steady)


def found(broken, clocks, name: str, at: float) -> bool:
    """Whether a row that says this moment would be adopted now."""
    return at >= broken.since() and broken.is_recent(SimpleNamespace(id=name, broken_at=at))


@pytest.mark.parametrize("jump", [0.0, 3600.0, -3600.0], ids=["right", "an hour ahead", "an hour back"])
@pytest.mark.parametrize(("passed", "is_recent"), [(10.0, True), (70.0, False)])
def test_what_broke_here_counts_by_the_time_that_passed(broken, clocks, jump, passed, is_recent):
    broken.note("r")
    at = clocks.wall
    clocks.steady, clocks.wall = clocks.steady + passed, clocks.wall + passed + jump
    assert found(broken, clocks, "r", at) is is_recent


def test_what_broke_elsewhere_counts_by_the_wall_clock(broken, clocks):
    assert found(broken, clocks, "elsewhere", clocks.wall - 10)
    assert not found(broken, clocks, "elsewhere", clocks.wall - 70)


def test_a_clock_that_is_kept_right_slowly_was_not_set(broken, clocks):
    clocks.wall += 0.5
    assert broken.since() == clocks.wall - WINDOW


def test_some_time_after_the_clock_was_set_few_rows_are_looked_at_again(broken, clocks):
    clocks.wall += 3600
    assert broken.since() == 0.0
    clocks.steady, clocks.wall = clocks.steady + WINDOW + 1, clocks.wall + WINDOW + 1
    assert broken.since() == clocks.wall - WINDOW


def test_what_broke_long_ago_is_forgotten(broken, clocks):
    for number in range(1000):
        broken.note(f"r{number}")
        clocks.steady += 1
    assert len(broken._broken) <= WINDOW + 1
