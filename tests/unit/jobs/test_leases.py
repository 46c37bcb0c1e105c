"""What a process may do on the strength of its leases: nothing on a guess, whatever its clocks or the database do."""

import asyncio

import pytest

from app.database.errors import DatabaseUnavailableError
from app.jobs.leases import LeaseKeeper, LeaseLostError
from app.journal.records import Lease, Sighting

SECONDS = 10.0
LEASE = Lease("r", 1)


class Clocks:
    """Both clocks of a machine."""

    steady, wall = 1000.0, 1_000_000.0

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


class Table:
    """The journal's side: whether the lease is still the last one, and how often it was asked."""

    def __init__(self) -> None:
        self.is_mine, self.asked, self.away, self.while_asked = True, 0, 0, lambda: None

    async def confirm(self, lease: Lease) -> bool:
        self.asked += 1
        self.while_asked()
        if self.away:
            self.away -= 1
            raise DatabaseUnavailableError
        return self.is_mine

    async def renew(self, request_ids):
        return {one: LEASE if self.is_mine else None for one in request_ids if one != "delivered"}

    async def release(self, leases):
        self.is_mine = False


@pytest.fixture
def parts():
    clocks, table = Clocks(), Table()
    keeper = LeaseKeeper(table, SECONDS, lambda: clocks.steady, lambda: clocks.wall)
    keeper.hold(LEASE, keeper.now())
    return clocks, table, keeper


def confirm(keeper) -> None:
    asyncio.run(keeper.confirm(LEASE))


def test_well_within_a_lease_nobody_is_asked(parts):
    clocks, table, keeper = parts
    clocks.pass_by(SECONDS / 2 - 0.1)
    confirm(keeper)
    assert table.asked == 0


@pytest.mark.parametrize("is_mine", [True, False], ids=["still the holder", "taken meanwhile"])
@pytest.mark.parametrize(
    ("steady", "wall"),
    [(6.0, 6.0), (3600.0, 3600.0), (0.0, 3600.0), (0.0, -3600.0), (3600.0, 0.0)],
    ids=["half a lease", "an hour asleep", "paused, only the wall clock knows", "the wall clock went back", "suspended, only the steady clock knows"],
)  # fmt: skip
def test_after_any_of_its_clocks_jumped_a_process_asks_before_it_sends(parts, steady, wall, is_mine):
    clocks, table, keeper = parts
    clocks.steady, clocks.wall, table.is_mine = clocks.steady + steady, clocks.wall + wall, is_mine
    if is_mine:
        confirm(keeper)
        confirm(keeper)
        assert table.asked == 1, "then it is good for a while again"
        return
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            confirm(keeper)
    assert table.asked == 1, "what is lost stays lost"


def test_a_process_that_slept_while_it_asked_asks_again(parts):
    clocks, table, keeper = parts
    clocks.pass_by(SECONDS)
    naps = [SECONDS, SECONDS, 0.0]
    table.while_asked = lambda: clocks.pass_by(naps.pop(0))
    confirm(keeper)
    assert table.asked == 3


def test_a_database_that_is_away_is_waited_for_rather_than_guessed_around(parts):
    clocks, table, keeper = parts
    clocks.pass_by(SECONDS)
    table.away = 2
    confirm(keeper)
    assert table.asked == 3


def test_an_older_lease_of_the_same_request_is_no_lease(parts):
    _, _, keeper = parts
    keeper.hold(Lease("r", 2), keeper.now())
    with pytest.raises(LeaseLostError):
        confirm(keeper)


def test_a_renewal_counts_from_the_moment_it_was_asked_for(parts):
    clocks, table, keeper = parts
    clocks.pass_by(SECONDS)
    asyncio.run(keeper.renew())
    confirm(keeper)
    assert table.asked == 0


def test_a_renewal_that_finds_the_lease_gone_is_none(parts):
    clocks, table, keeper = parts
    table.is_mine = False
    clocks.pass_by(SECONDS)
    asyncio.run(keeper.renew())
    with pytest.raises(LeaseLostError):
        confirm(keeper)


def test_what_runs_here_is_here_and_whoever_waits_for_an_end_keeps_only_ends(parts):
    _, _, keeper = parts
    running, ended = (Sighting(one, "b", 1, 0, 0, is_open=one == "r") for one in ("r", "delivered"))
    elsewhere = Sighting("delivered", "b", 1, 0, 0, is_open=True)
    assert (keeper.has(running), keeper.has(ended)) == (True, False)
    keeper.arrive("delivered")
    assert (keeper.has(ended), keeper.has(elsewhere)) == (True, False)
    asyncio.run(keeper.renew())
    assert not keeper.has(ended), "everybody has it: it is not kept any more"
    asyncio.run(keeper.release(LEASE))
    assert not keeper.has(running)
