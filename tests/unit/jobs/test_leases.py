"""What a process may do on the strength of its leases: nothing on a guess, whatever its clocks or the database do."""

import asyncio
import contextlib
import sqlite3
import threading
import uuid
from decimal import Decimal

import pytest

from app.jobs.leases import LeaseKeeper, LeaseLostError
from app.journal.records import Intent, Lease, Receipt, Settlement, Sighting, Status
from tests.support.journals import ByHand, open_journal
from tests.support.upstreams import permitted

SECONDS = 10.0
DONE = Settlement(Status.COMPLETED, "{}", None, Decimal("0.1"))


class Clocks:
    """Both clocks of a machine."""

    steady, wall = 1000.0, 1_000_000.0

    def pass_by(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


class Parts:
    """A keeper on a file, and another process beside it."""

    def __init__(self, path) -> None:
        self.path = path
        self.clocks = Clocks()
        url = f"sqlite:///{path}?timeout=0.05"
        self.journal = open_journal(url, lambda: self.clocks.wall, "here")
        self.hand = ByHand(self.journal)
        self.keeper = LeaseKeeper(self.journal, SECONDS, lambda: self.clocks.steady, lambda: self.clocks.wall)
        self.lease = self.claim()
        self.keeper.hold(self.lease, self.keeper.now())

    def claim(self) -> Lease:
        wanted = Intent(
            f"req_{uuid.uuid4().hex}", "t", None, uuid.uuid4().hex, "g", "m", "m", 1, (str(uuid.uuid4()),), None, "{}"
        )
        record = asyncio.run(self.hand.claim(wanted)).record
        return Lease(record.id, record.fence)

    @property
    def beat(self) -> int:
        """How often the lease was moved on."""
        return asyncio.run(self.hand.find_request(self.lease.request_id)).beat

    def be_taken(self) -> None:
        """Another process takes over what stands still."""

        async def take() -> None:
            assert await self.hand.take_over(await self.hand.list_watched())

        asyncio.run(take())

    def confirm(self) -> None:
        """Wait for what is not known at once."""

        async def ask() -> None:
            await permitted(lambda: self.keeper.confirm(self.lease))

        asyncio.run(ask())


@pytest.fixture
def parts(tmp_path):
    made = Parts(tmp_path / "journal.db")
    yield made
    made.journal.close()


def test_well_within_a_lease_nobody_is_asked(parts):
    parts.clocks.pass_by(SECONDS / 2 - 0.1)
    assert parts.keeper.confirm(parts.lease) is None
    assert parts.beat == 0


@pytest.mark.parametrize("is_taken", [False, True], ids=["still the holder", "taken meanwhile"])
@pytest.mark.parametrize(
    ("steady", "wall"),
    [(6.0, 6.0), (3600.0, 3600.0), (0.0, 3600.0), (0.0, -3600.0), (3600.0, 0.0)],
    ids=["half a lease", "an hour asleep", "paused, only the wall clock knows", "the wall clock went back", "suspended, only the steady clock knows"],
)  # fmt: skip
def test_after_any_of_its_clocks_jumped_a_process_asks_before_it_sends(parts, steady, wall, is_taken):
    clocks = parts.clocks
    clocks.steady, clocks.wall = clocks.steady + steady, clocks.wall + wall
    if is_taken:
        parts.be_taken()
        for _ in range(2):
            with pytest.raises(LeaseLostError):
                parts.confirm()
        return
    parts.confirm()
    parts.confirm()
    assert parts.beat == 1, "then it is good for a while again"


def test_a_process_that_slept_while_it_asked_asks_again(parts):
    naps = [0.0, SECONDS, SECONDS, SECONDS]

    class Sleepy(LeaseKeeper):
        def now(self):
            moment = super().now()
            parts.clocks.pass_by(naps.pop() if naps else 0.0)
            return moment

    parts.keeper = Sleepy(parts.journal, SECONDS, lambda: parts.clocks.steady, lambda: parts.clocks.wall)
    parts.keeper.hold(parts.lease, parts.keeper.now())
    parts.confirm()
    assert parts.beat == 3, "twice it slept after it had asked"


def test_a_database_that_is_away_is_waited_for_rather_than_guessed_around(parts):
    parts.clocks.pass_by(SECONDS)
    holder = sqlite3.connect(parts.path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    with contextlib.closing(holder):
        release = threading.Timer(0.5, holder.execute, ["ROLLBACK"])
        release.start()
        parts.confirm()
        release.join()
    assert parts.beat == 1


def test_an_older_lease_of_the_same_request_is_no_lease(parts):
    parts.keeper.hold(Lease(parts.lease.request_id, 2), parts.keeper.now())
    with pytest.raises(LeaseLostError):
        parts.confirm()


def test_a_renewal_counts_from_the_moment_it_was_asked_for(parts):
    parts.clocks.pass_by(SECONDS)
    asyncio.run(parts.keeper.renew())
    parts.confirm()
    assert parts.beat == 1, "by the renewal; the question after it needed no answer"


def test_a_renewal_that_finds_the_lease_gone_is_none(parts):
    parts.be_taken()
    parts.clocks.pass_by(SECONDS)
    asyncio.run(parts.keeper.renew())
    with pytest.raises(LeaseLostError):
        parts.confirm()


def test_what_runs_here_is_here_and_whoever_waits_for_an_end_keeps_only_ends(parts):
    keeper, hand, ended = parts.keeper, parts.hand, parts.claim()
    asyncio.run(hand.settle(ended, DONE, []))
    (running,) = (one for one in asyncio.run(keeper.list_watched()) if one.is_open)
    delivered = Sighting(ended.request_id, "b", 1, 0, 0, is_open=False)
    elsewhere = Sighting(ended.request_id, "b", 1, 0, 0, is_open=True)
    assert (keeper.has(running), keeper.has(delivered)) == (True, False)
    keeper.add_caller(ended.request_id)
    assert (keeper.has(delivered), keeper.has(elsewhere)) == (True, False)
    asyncio.run(keeper.renew())
    assert keeper.has(delivered), "its caller is yet to get it"
    asyncio.run(hand.acknowledge(ended.request_id, Receipt.DELIVERED))
    asyncio.run(keeper.renew())
    assert not keeper.has(delivered), "everybody has it: it is not kept any more"
    asyncio.run(keeper.release(parts.lease))
    assert not keeper.has(running)
