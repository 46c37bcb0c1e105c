"""What comes late for a request whose payloads were deleted brings nothing back. On both databases."""

import asyncio
import uuid
from decimal import Decimal

import pytest

from app.journal.records import Intent, Lease, Settlement, Status
from tests.support.journals import ByHand, open_journal

DONE = Settlement(Status.COMPLETED, '{"images":[]}', None, Decimal("0.1"), images_kept=False, images_until=1e10)
FAILED = Settlement(Status.FAILED, None, '{"kind":"ProviderError"}', Decimal(0))


class Ended:
    """A request that has ended, in a journal."""

    def __init__(self, journal):
        self.journal, self.hand = journal, ByHand(journal)

    async def begin(self):
        wanted = Intent("r", "t", None, "f", "generations", "m", "m", 1, (str(uuid.uuid4()),), None, "{}", prompt="hat")
        claim = await self.hand.claim(wanted)
        return Lease("r", claim.record.fence)

    async def purge(self, record, error=None):
        return await self.journal.writer.write(self.journal.outcomes.purge_payloads, record, error)

    async def record(self):
        return await self.hand.find_request("r")


@pytest.fixture
def ended(database):
    journal = open_journal(database.fresh())
    yield Ended(journal)
    journal.close()


async def late_answer(ended, lease, record):
    await ended.hand.settle(lease, DONE, [])


async def late_names(ended, lease, record):
    await ended.journal.writer.post(ended.journal.outcomes.store_answer, "r", '{"a":1}', images_kept=True)


async def reopened(ended, lease, record):
    await ended.journal.writer.post(ended.journal.outcomes.reopen, record, callers=9)


@pytest.mark.parametrize("late", [late_answer, late_names, reopened])
def test_what_comes_late_brings_nothing_back(ended, late):
    async def course():
        lease = await ended.begin()
        await ended.hand.settle(lease, DONE, [])
        before = await ended.record()
        assert (before.answer, before.prompt) == ('{"images":[]}', "hat")
        assert await ended.purge(before)
        await late(ended, lease, before)
        after = await ended.record()
        assert (after.answer, after.prompt, after.status) == (None, None, Status.COMPLETED)
        assert after.costs == before.costs

    asyncio.run(course())


def test_what_is_open_is_not_deleted_also_where_it_was_reopened_meanwhile(ended):
    async def course():
        lease = await ended.begin()
        assert not await ended.purge(await ended.record())
        await ended.hand.settle(lease, DONE, [])
        record = await ended.record()
        await reopened(ended, lease, record)
        assert not await ended.purge(record)
        assert (await ended.record()).prompt == "hat"

    asyncio.run(course())


def test_of_an_error_stays_what_repeats_nothing(ended):
    async def course():
        await ended.hand.settle(await ended.begin(), FAILED, [])
        assert await ended.purge(await ended.record(), '{"kind":"Other"}')
        assert (await ended.record()).error == '{"kind":"Other"}'

    asyncio.run(course())
