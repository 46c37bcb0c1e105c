"""What is written of an end is read as it was written. On both databases."""

import asyncio
import uuid
from decimal import Decimal

import pytest

from app.journal.records import Intent, Lease, Settlement, Status
from tests.support.journals import ByHand, open_journal


@pytest.fixture
def opened(database):
    made = open_journal(database.fresh())
    yield made
    made.close()


@pytest.mark.parametrize("images_kept", [True, False, None])
def test_whether_all_images_are_kept_is_read_of_the_row_and_changes_with_the_answer(opened, images_kept):
    async def course():
        journal = ByHand(opened)
        new = Intent("r", "t", None, "f", "generations", "m", "runware:100@1", 1, (str(uuid.uuid4()),), None, "{}")
        claim = await journal.claim(new)
        assert claim.record.images_kept is None
        settlement = Settlement(Status.COMPLETED, "{}", None, Decimal("0.1"), images_kept=images_kept)
        await journal.settle(Lease("r", claim.record.fence), settlement, [])
        assert (await journal.find_request("r")).images_kept is images_kept
        await opened.writer.post(opened.outcomes.store_answer, "r", '{"a":1}', images_kept=True)
        stored = await journal.find_request("r")
        assert (stored.answer, stored.images_kept) == ('{"a":1}', True)

    asyncio.run(course())
