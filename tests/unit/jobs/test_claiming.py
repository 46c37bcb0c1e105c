"""When a claim is certain: what happened before it is known, and who is still there has shown it. On a real journal."""

import asyncio
import contextlib
import sqlite3
import time
import uuid
from collections import deque
from decimal import Decimal

import pytest

from app.access.admission import Admission
from app.access.budgets import Accounts
from app.access.gates import Gates
from app.access.meters import Meters
from app.domain.values import replace
from app.errors import ConflictingKeyError, JournalError, OverloadedError, StorageFullError
from app.jobs.claiming import Books, Claimer
from app.jobs.entry import Entry
from app.jobs.leases import LeaseKeeper
from app.jobs.receipts import DeliveryReceipts
from app.jobs.write_queue import WriteQueue
from app.journal.records import Intent, KeyExpiredError, Lease, Receipt, Settlement, Status
from tests.support.jobs import prepare
from tests.support.journals import KEY_TTL, ByHand, Clock, as_process, open_journal

DONE = Settlement(Status.COMPLETED, "{}", None, Decimal("0.1"))


def intent(fingerprint: str = "f", key: str | None = None, *, retries: bool = False) -> Intent:
    return Intent(
        f"req_{uuid.uuid4().hex}", "t", key, fingerprint, "generations", "m", "m", 1, (str(uuid.uuid4()),), None, "{}", retries
    )  # fmt: skip


class Room:
    """A store with room for some images."""

    images = 100

    async def check(self, images):
        if images > self.images:
            raise StorageFullError


class Process:
    """What makes claims in one process."""

    def __init__(self, path, journal, clock, *, places: int = 100) -> None:
        self.path = path
        self.clock = clock
        self.journal = journal
        self.hand = ByHand(journal)
        self.keeper = LeaseKeeper(journal)
        self.queue = WriteQueue(journal.writer, patience=0.3)
        # No images are kept here, so there is no store.
        self.receipts = DeliveryReceipts(journal, None, self.queue, self.keeper, {})
        self.admission, self.room = Admission(places, 0), Room()
        self.claimer = self.new_claimer()

    def new_claimer(self) -> Claimer:
        """One for the places there are now."""
        gates = Gates(self.admission, Accounts(Decimal("0.25"), self.clock), Meters(self.journal.reader))
        return Claimer(Books(self.journal, self.keeper, self.queue, self.receipts), gates, self.room)

    async def claim(self, wanted: Intent, *, has_left: bool = False):
        """The claim, with the place of a new one; what is taken for one that is refused is given back."""
        entry = Entry(prepare(), asyncio.get_running_loop().create_future(), waits=False)
        if has_left:
            entry.caller.cancel()
        try:
            claim = await asyncio.wait_for(self.claimer.claim(wanted, entry), 30)
        except BaseException:
            if entry.ticket is not None:
                entry.ticket.release()
            raise
        return claim, None if entry.lease is None else entry.ticket

    @contextlib.contextmanager
    def locked(self):
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def here(tmp_path, clock):
    path = tmp_path / "journal.db"
    journal = open_journal(f"sqlite:///{path}?timeout=0.05", clock, "here")
    yield Process(path, journal, clock)
    journal.close()


def test_a_new_claim_has_a_place_and_a_lease_and_a_joined_one_has_neither(here):
    async def course():
        claim, ticket = await here.claim(intent(key="k"))
        assert here.keeper.confirm(Lease(claim.record.id, claim.record.fence)) is None
        assert (claim.is_new, here.admission.in_flight) == (True, 1)
        again, none = await here.claim(intent(key="k"))
        assert (again.record.id, again.is_new, none) == (claim.record.id, False, None)
        assert here.admission.in_flight == 1
        ticket.release()

    asyncio.run(course())


@pytest.mark.parametrize(("key", "stands"), [(None, False), ("k", True)], ids=["without a key", "under a key"])
def test_for_a_caller_that_left_before_its_claim_only_a_key_keeps_it(here, key, stands):
    async def course():
        wanted = intent(key=key)
        _, ticket = await here.claim(wanted, has_left=True)
        assert ((ticket is not None), (await here.hand.find_request(wanted.request_id) is not None)) == (stands, stands)
        assert here.admission.in_flight == int(stands)

    asyncio.run(course())


def test_where_there_is_no_place_only_what_was_bought_is_had(here):
    async def course():
        here.admission = Admission(1, 0)
        here.claimer = here.new_claimer()
        first, _ = await here.claim(intent(key="k"))
        with pytest.raises(OverloadedError):
            await here.claim(intent("g"))
        assert (await here.claim(intent(key="k")))[0].record.id == first.record.id

    asyncio.run(course())


def test_where_images_cannot_be_hosted_only_what_was_bought_or_needs_no_room_is_had(here):
    async def course():
        here.room.images = 2
        first, _ = await here.claim(replace(intent(key="k"), hosted=2))
        with pytest.raises(StorageFullError):
            await here.claim(replace(intent("g"), hosted=3))
        assert here.admission.in_flight == 1
        here.room.images = 0
        assert (await here.claim(replace(intent(key="k"), hosted=2)))[0].record.id == first.record.id
        assert (await here.claim(intent("g")))[0].is_new

    asyncio.run(course())


def test_another_request_under_a_used_key_is_refused_and_gives_its_place_back(here):
    async def course():
        await here.claim(intent(key="k"))
        with pytest.raises(ConflictingKeyError):
            await here.claim(intent("g", "k"))
        assert here.admission.in_flight == 1

    asyncio.run(course())


def test_an_expired_key_is_said_once_and_then_free(here, clock):
    async def course():
        first, _ = await here.claim(intent(key="k"))
        await here.hand.settle(Lease(first.record.id, 1), DONE, [])
        clock.now += KEY_TTL + 1
        with pytest.raises(KeyExpiredError):
            await here.claim(intent(key="k"))
        assert (await here.claim(intent(key="k")))[0].is_new
        assert (await here.hand.find_request(first.record.id)) is not None, "the row stays, for the books"

    asyncio.run(course())


def test_a_retry_waits_for_the_departure_it_has_overtaken_and_joins(here):
    async def course():
        first, _ = await here.claim(intent())
        retry = asyncio.create_task(here.claim(intent(retries=True)))
        await asyncio.sleep(0.15)
        assert not retry.done()
        here.receipts.acknowledge(first.record.id, Receipt.LOST)
        claim, ticket = await retry
        assert (claim.record.id, claim.is_new, ticket) == (first.record.id, False, None)

    asyncio.run(course())


def test_a_retry_beside_a_caller_that_stays_is_an_order_of_its_own_after_a_second(here):
    async def course():
        first, _ = await here.claim(intent())
        began = time.monotonic()
        claim, _ = await here.claim(intent(retries=True))
        assert claim.is_new
        assert claim.record.id != first.record.id
        assert time.monotonic() - began >= 1.0

    asyncio.run(course())


def test_a_caller_of_a_process_that_gives_no_sign_of_life_is_not_believed_to_be_there(here, clock):
    there = Process(here.path, as_process(here.journal, clock, "there"), clock)

    async def course():
        first, _ = await there.claim(intent())
        retry = asyncio.create_task(here.claim(intent(retries=True)))
        await asyncio.sleep(1.3)
        assert not retry.done(), "it may be dead, and then the retry must join"
        await there.keeper.renew()
        claim, _ = await retry
        assert claim.is_new, "it lives, and so its caller is there"
        assert claim.record.id != first.record.id

    asyncio.run(course())


@pytest.mark.parametrize("retries", [False, True], ids=["without a word", "as a retry"])
def test_whoever_asks_again_after_a_process_has_ended_waits_for_the_takeover_and_joins(here, clock, retries):
    there = Process(here.path, as_process(here.journal, clock, "there"), clock)
    survivor = Process(here.path, as_process(here.journal, clock, "survivor", {"there"}.__contains__), clock)
    woken = []
    survivor.keeper.on_release(lambda: woken.append("the takeover"))

    async def course():
        first, _ = await there.claim(intent())
        again = asyncio.create_task(survivor.claim(intent(retries=retries)))
        await asyncio.sleep(1.3)
        assert not again.done(), "its first attempt may be this very request"
        assert woken == ["the takeover"], "nobody needs to wait for its next look"
        await here.hand.take_over(await here.keeper.list_watched())
        claim, ticket = await again
        assert (claim.record.id, claim.is_new, ticket) == (first.record.id, False, None)

    asyncio.run(course())


def test_whoever_asks_beside_a_process_that_only_may_have_ended_waits_for_its_sign_of_life(here, clock):
    there = Process(here.path, as_process(here.journal, clock, "there"), clock)
    survivor = Process(here.path, as_process(here.journal, clock, "survivor", lambda _: True), clock)

    async def course():
        first, _ = await there.claim(intent())
        again = asyncio.create_task(survivor.claim(intent()))
        await asyncio.sleep(1.3)
        assert not again.done()
        await there.keeper.renew()
        claim, _ = await again
        assert claim.is_new, "it lives, and so its caller is there"
        assert claim.record.id != first.record.id

    asyncio.run(course())


def test_a_claim_nobody_heard_the_end_of_is_refused_and_taken_back(here):
    async def course():
        wanted = intent()
        with here.locked(), pytest.raises(JournalError):
            await here.claim(wanted)
        assert here.admission.in_flight == 0
        await here.queue.drain(wanted.request_id)
        assert await here.hand.find_request(wanted.request_id) is None

    asyncio.run(course())


def test_a_claim_without_a_key_is_not_certain_while_a_departure_cannot_be_written(here):
    async def course():
        first, _ = await here.claim(intent())
        with here.locked():
            here.receipts.acknowledge(first.record.id, Receipt.LOST)
            for _ in range(200):
                if here.queue.lagging:
                    break
                await asyncio.sleep(0.01)
            with pytest.raises(JournalError):
                await here.claim(intent(retries=True))
        await here.queue.drain(first.record.id)
        claim, _ = await here.claim(intent(retries=True))
        assert (claim.record.id, claim.is_new) == (first.record.id, False), "it was left, and nothing is bought again"

    asyncio.run(course())


def test_equal_requests_at_once_are_each_an_order_without_a_key_and_one_under_it(here):
    async def course():
        alone = await asyncio.gather(*(here.claim(intent()) for _ in range(20)))
        assert sum(claim.is_new for claim, _ in alone) == 20
        keyed = deque(await asyncio.gather(*(here.claim(intent("g", "k")) for _ in range(20))))
        assert sum(claim.is_new for claim, _ in keyed) == 1

    asyncio.run(course())
