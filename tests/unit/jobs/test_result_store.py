"""Results are stored without bytes, and given back with them; what is only at Runware is known."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pybase64
import pytest

from app.catalog.registry import Registry
from app.domain.answer import DeliveredImage, Result
from app.domain.outcome import Answered, Failed
from app.domain.request import ImageFormat
from app.errors import NotFoundError
from app.jobs.codec import encode_result
from app.jobs.result_store import ResultStore, has_all_images, is_embedded, needs_refetch
from app.journal.records import Intent, Record, Status
from app.journal.rows import new_record, to_row
from tests.support.media import folder_store

BYTES = b"the bytes of an image"
EMBEDDED = DeliveredImage((8, 8), ImageFormat.PNG, 7, base64=memoryview(pybase64.b64encode(BYTES)))
LINKED = DeliveredImage((8, 8), ImageFormat.PNG, 8, url="https://im.runware.ai/a.png")
LOST = DeliveredImage((8, 8), ImageFormat.PNG, 9)
KEPT = replace(LOST, name="k.png")
INTENT = Intent("r", "t", None, "f", "generations", "m", "runware:100@1", 1, ("a",), None, "{}")
NEW = new_record(to_row(INTENT, owner="o", now=1.0, key_until=9.0), INTENT)


def result_of(*images: DeliveredImage) -> Result:
    return Result(1, images, failures=(), task_ids=("a",), attempts=(), adjustments=())


def record_of(*images: DeliveredImage, images_kept: bool | None = None, delivered_at: float | None = None) -> Record:
    answer = encode_result(result_of(*images))
    return replace(NEW, status=Status.COMPLETED, answer=answer, images_kept=images_kept, delivered_at=delivered_at)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    results, media = (folder_store(tmp_path, name) for name in ("results", "media"))
    return ResultStore(results, media, Registry([]))


@pytest.mark.parametrize(
    ("record", "lost"),
    [
        pytest.param(NEW, False, id="it has not ended"),
        pytest.param(record_of(LINKED, KEPT, images_kept=True), False, id="all are kept"),
        pytest.param(record_of(LINKED, LOST, images_kept=False), True, id="one is not kept"),
        pytest.param(record_of(LOST, images_kept=False, delivered_at=2.0), False, id="not kept, but delivered"),
        pytest.param(record_of(LINKED, KEPT), False, id="an old row with all of them"),
        pytest.param(record_of(LINKED, LOST), True, id="an old row without one"),
        pytest.param(replace(NEW, answer="no JSON"), False, id="an old row that cannot be read"),
    ],
)
def test_images_are_fetched_again_only_where_nobody_has_them(record, lost):
    assert needs_refetch(record) is lost


def test_the_row_says_it_so_that_nobody_reads_the_answer():
    assert needs_refetch(replace(NEW, answer="no JSON", images_kept=False))


@pytest.mark.parametrize("images", [True, False])
def test_embedded_images_are_stored_by_name_where_they_may_be_asked_for_again(store, images):
    async def course():
        stored = await store.store(result_of(EMBEDDED, LINKED), images=images)
        assert not is_embedded(stored)
        assert stored.images[1] == LINKED
        assert has_all_images(stored) is images
        record = replace(NEW, answer=encode_result(stored))
        if not images:
            with pytest.raises(NotFoundError, match="were delivered and not kept"):
                await store.replay(record)
            return
        replayed = await store.replay(record)
        assert isinstance(replayed, Answered)
        assert replayed.answer.result == result_of(EMBEDDED, LINKED)
        await store.delete_images(record)
        with pytest.raises(NotFoundError, match="are gone"):
            await store.replay(record)

    asyncio.run(course())


def test_a_result_of_links_is_stored_as_it_is(store):
    linked = result_of(LINKED)
    assert asyncio.run(store.store(linked, images=True)) is linked


def test_a_result_that_cannot_be_read_is_a_failure_that_says_so(store):
    failed = asyncio.run(store.replay(replace(NEW, answer="no JSON")))
    assert isinstance(failed, Failed)
    assert failed.error.code == "unreadable_record"
