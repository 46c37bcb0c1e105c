"""Results are stored without bytes, and given back with them; what is only at Runware is known."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pybase64
import pytest
from sqlalchemy import select

from app.catalog.registry import Registry
from app.database.image_tables import stored_images
from app.domain.answer import DeliveredImage, Result
from app.domain.lifetimes import Lifetimes
from app.domain.outcome import Answered, Failed
from app.domain.values import replace
from app.domain.words import ImageFormat
from app.errors import NotFoundError
from app.jobs.codec import encode_result
from app.jobs.result_store import ImagesMissingError, ResultStore, has_all_images, is_embedded, needs_refetch
from app.jobs.shelf import HANDOVER_SECONDS, Keep, Owner
from app.journal.records import Intent, Record, Status
from app.journal.rows import new_record
from tests.support.journals import open_journal
from tests.support.media import LIVES, open_folder, open_shelf

BYTES = b"the bytes of an image"
EMBEDDED = DeliveredImage((8, 8), ImageFormat.PNG, 7, base64=memoryview(pybase64.b64encode(BYTES)))
LINKED = DeliveredImage((8, 8), ImageFormat.PNG, 8, url="https://im.runware.ai/a.png")
LOST = DeliveredImage((8, 8), ImageFormat.PNG, 9)
KEPT = replace(LOST, name="k.png")
INTENT = Intent("r", "t", None, "f", "generations", "m", "runware:100@1", 1, ("a",), None, "{}")
NEW = new_record(INTENT, owner="o", now=1.0)


def result_of(*images: DeliveredImage) -> Result:
    return Result(1, images, failures=(), task_ids=("a",), attempts=(), adjustments=())


def record_of(*images: DeliveredImage, images_kept: bool | None = None, delivered_at: float | None = None) -> Record:
    answer = encode_result(result_of(*images))
    return replace(NEW, status=Status.COMPLETED, answer=answer, images_kept=images_kept, delivered_at=delivered_at)


DELIVERED = record_of(LOST, images_kept=False, delivered_at=2.0)


class Stores:
    """Stores of results over one folder and one journal, each with its own rule of what is kept."""

    def __init__(self, folder: Path) -> None:
        self.journal = open_journal(f"sqlite:///{folder / 'journal.db'}", time.time)
        self.folder, self.now = folder, time.time()

    def keeping(self, keep: Keep = Keep.UNDELIVERED) -> ResultStore:
        shelf, _ = open_shelf(open_folder(self.folder), self.journal, keep=keep, clock=lambda: self.now)
        return ResultStore(shelf, Registry([]), lambda: self.now)

    def lives(self) -> list[int]:
        """How long what is stored stays."""
        with self.journal.writer._engine.begin() as connection:
            rows = connection.execute(select(stored_images.c.expires_at)).scalars()
            return [round(at - self.now) for at in rows]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    opened = Stores(tmp_path)
    yield opened
    opened.journal.close()


@pytest.fixture
def store(stores) -> ResultStore:
    return stores.keeping()


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
        pytest.param(replace(DELIVERED, has_key=True, images_until=9.0), True, id="not kept, delivered, under a key"),
        pytest.param(replace(DELIVERED, has_key=True), False, id="the same in an old row"),
        pytest.param(replace(DELIVERED, images_until=9.0), False, id="the same without a key"),
    ],
)
def test_images_are_fetched_again_only_where_nobody_has_them(record, lost):
    assert needs_refetch(record) is lost


def test_the_row_says_it_so_that_nobody_reads_the_answer():
    assert needs_refetch(replace(NEW, answer="no JSON", images_kept=False))


@pytest.mark.parametrize("images", [True, False])
def test_embedded_images_are_stored_by_name_where_they_may_be_asked_for_again(store, images):
    async def course():
        stored = await store.store(result_of(EMBEDDED, LINKED), "r", images=images)
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
            await store.replay(replace(record, delivered_at=2.0))

    asyncio.run(course())


@pytest.mark.parametrize(
    ("keep", "asked_again", "kept"),
    [
        (Keep.UNDELIVERED, True, True),
        (Keep.UNDELIVERED, False, False),
        (Keep.ALL, True, True),
        (Keep.ALL, False, True),
        (Keep.NONE, True, False),
        (Keep.NONE, False, False),
    ],
)
def test_what_is_kept_is_what_the_operator_says(stores, keep, asked_again, kept):
    assert stores.keeping(keep).keeps(asked_again=asked_again) is kept


@pytest.mark.parametrize(
    ("keep", "lives", "until", "stays"),
    [
        pytest.param(Keep.UNDELIVERED, None, None, LIVES.result, id="as the gateway does"),
        pytest.param(Keep.UNDELIVERED, Lifetimes(60, 90), None, 90, id="as the request says"),
        pytest.param(Keep.ALL, Lifetimes(60, 90), 40, 40, id="as it was said when it ended"),
        pytest.param(Keep.NONE, None, None, HANDOVER_SECONDS, id="only to be handed over"),
        pytest.param(Keep.NONE, Lifetimes(60, 90), None, 90, id="not even that long"),
    ],
)
def test_kept_images_stay_as_long_as_the_request_may_be_asked_for(stores, keep, lives, until, stays):
    result = replace(result_of(EMBEDDED), lives=lives)
    ends = None if until is None else stores.now + until
    asyncio.run(stores.keeping(keep).store(result, "r", images=True, until=ends))
    assert stores.lives() == [stays]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"images_until": 1e10}, ImagesMissingError, id="nobody got them yet"),
        pytest.param(
            {"images_until": 1e10, "delivered_at": 2.0, "has_key": True}, ImagesMissingError, id="under a key"
        ),
        pytest.param({"images_until": 1e10, "delivered_at": 2.0}, NotFoundError, id="delivered"),
        pytest.param({"images_until": 5.0}, NotFoundError, id="their time is over"),
        pytest.param({"delivered_at": 2.0, "has_key": True}, NotFoundError, id="an old row"),
    ],
)
@pytest.mark.parametrize("image", [KEPT, replace(LINKED, hosted="x.png", expires_at=5)], ids=["kept", "hosted"])
def test_images_that_are_not_in_the_store_are_fetched_again_while_they_may_be_asked_for(store, image, changes, error):
    record = replace(record_of(image, images_kept=True), **changes)
    with pytest.raises(error):
        asyncio.run(store.replay(record))


def test_a_link_of_runwares_is_given_again_whenever_it_is_asked_for(store):
    record = replace(record_of(LINKED, images_kept=True), images_until=5.0, delivered_at=2.0)
    assert asyncio.run(store.replay(record)).answer.result == result_of(LINKED)


def test_a_link_is_renewed_for_no_longer_than_its_image_stays(stores):
    async def course():
        store = stores.keeping()
        shelf = store._shelf
        hosted = await shelf.host(BYTES, "png", Owner("r", Lifetimes(60, 90), asked_again=True))
        image = replace(LINKED, url=hosted.url_at("https://here"), expires_at=hosted.expires_at, hosted=hosted.name)
        record = replace(record_of(image, images_kept=True), images_until=stores.now + 90)
        stores.now += 61
        replayed = await store.replay(record)
        assert replayed.answer.result.images[0].expires_at == int(stores.now) + 29

    asyncio.run(course())


def test_no_other_link_is_given_to_an_image_that_goes_with_the_one_that_has_ended(stores):
    async def course():
        store = stores.keeping()
        hosted = await store._shelf.host(BYTES, "png", Owner("r", Lifetimes(60, 90), asked_again=False))
        image = replace(LINKED, url=hosted.url_at("https://here"), expires_at=hosted.expires_at, hosted=hosted.name)
        stores.now += 61  # and the sweeper still spares it
        with pytest.raises(ImagesMissingError):
            await store.replay(replace(record_of(image, images_kept=True), images_until=stores.now + 29))

    asyncio.run(course())


def test_a_result_of_links_is_stored_as_it_is(store):
    linked = result_of(LINKED)
    assert asyncio.run(store.store(linked, "r", images=True)) is linked


def test_a_result_that_cannot_be_read_is_a_failure_that_says_so(store):
    failed = asyncio.run(store.replay(replace(NEW, answer="no JSON")))
    assert isinstance(failed, Failed)
    assert failed.error.code == "unreadable_record"
