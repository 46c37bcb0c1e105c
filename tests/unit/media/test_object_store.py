"""Every store does the same: a folder, S3, Google Cloud Storage, and Azure where a server for it is named.

For Azure: `az://container/prefix` in TEST_AZURE_URL, with the variables that Azure's own tools read beside it.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.media.backend import open_store
from app.media.errors import InvalidStorageError, MediaNotFoundError, MediaUnavailableError
from app.media.object_store import ObjectStore
from app.observability.metrics import Metrics
from tests.support.object_stores import BUCKET, ObjectServer

AZURE = os.environ.get("TEST_AZURE_URL")
PLACES = ["folder", "s3", "gs", *(["az"] if AZURE else [])]
MIB = 1024 * 1024


def open_at(place: str, folder: Path, server: ObjectServer, environment: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in server.variables().items():
        environment.setenv(name, value)
    prefix = uuid.uuid4().hex
    urls = {"folder": f"file://{folder}/store", "s3": f"s3://{BUCKET}/{prefix}", "gs": f"gs://{BUCKET}/{prefix}/deeper"}
    return open_store(urls.get(place) or f"{AZURE}/{prefix}", folder, Metrics.off())


@pytest.fixture(params=PLACES)
def store(request, tmp_path, object_server, monkeypatch) -> ObjectStore:
    return open_at(request.param, tmp_path, object_server, monkeypatch)


@pytest.fixture
def s3(tmp_path, object_server, monkeypatch) -> ObjectStore:
    return open_at("s3", tmp_path, object_server, monkeypatch)


async def pieces(*given: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in given:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def everything(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def names(store: ObjectStore, prefix: str) -> set[str]:
    return {stored.name async for stored in store.walk(prefix)}


def test_what_was_stored_is_read_looked_at_listed_and_deleted(store):
    async def course() -> None:
        await store.put("media/a.png", b"an image", "image/png")
        await store.put("results/b.png", b"another", "image/png")
        assert await store.read("media/a.png") == b"an image"
        head = await store.head("media/a.png")
        assert (head.name, head.size, head.modified_at > 1_700_000_000) == ("media/a.png", 8, True)
        opened = await store.get("media/a.png")
        assert (opened.stored, opened.start, opened.end) == (head, 0, 8)
        assert await everything(opened.chunks) == b"an image"
        assert await names(store, "media") == {"media/a.png"}
        await store.delete("media/a.png")
        await store.delete("media/a.png")
        assert await names(store, "media") == set()
        assert await names(store, "results") == {"results/b.png"}

    asyncio.run(course())


@pytest.mark.parametrize(("start", "end", "part"), [(0, 2, b"an"), (3, 8, b"image"), (3, 100, b"image"), (7, 8, b"e")])
def test_a_part_is_read_alone(store, start, end, part):
    async def course() -> None:
        await store.put("media/a.png", b"an image")
        opened = await store.get("media/a.png", start, end)
        assert (opened.stored.size, opened.start, opened.end) == (8, start, start + len(part))
        assert await everything(opened.chunks) == part

    asyncio.run(course())


@pytest.mark.parametrize("ask", ["head", "read", "get"])
def test_what_is_not_there_is_said_to_be_missing(store, ask):
    with pytest.raises(MediaNotFoundError):
        asyncio.run(getattr(store, ask)("media/none.png"))


@pytest.mark.parametrize("size", [0, 100, 8 * MIB, 20 * MIB + 1], ids=["nothing", "little", "a part", "several parts"])
def test_bytes_are_stored_as_they_come(store, size):
    data = os.urandom(size)
    cut = [data[at : at + MIB] for at in range(0, size, MIB)]

    async def course() -> None:
        await store.put_stream("media/a.png", pieces(*cut), "image/png")
        assert (await store.head("media/a.png")).size == size
        assert await everything((await store.get("media/a.png")).chunks) == data

    asyncio.run(course())


@pytest.mark.parametrize("before", [1, 20], ids=["in the first part", "in a later one"])
def test_a_source_that_breaks_leaves_nothing_behind(store, object_server, before):
    async def course() -> None:
        with pytest.raises(ZeroDivisionError):
            await store.put_stream("media/a.png", pieces(*[bytes(MIB)] * before, ZeroDivisionError()))
        with pytest.raises(MediaNotFoundError):
            await store.head("media/a.png")
        assert await names(store, "media") == set()
        assert object_server.unfinished() == 0

    asyncio.run(course())


def test_more_is_listed_than_a_store_says_at_once(store):
    wanted = {f"media/{number}.png" for number in range(130)}

    async def course() -> None:
        await asyncio.gather(*[store.put(name, b"image") for name in wanted])
        assert await names(store, "media") == wanted

    asyncio.run(course())


def test_a_store_is_checked_without_leaving_anything(store):
    async def course() -> None:
        await store.check("media/check")
        assert await names(store, "media") == set()

    asyncio.run(course())


def test_a_bucket_that_does_not_exist_cannot_be_used(object_server, monkeypatch, tmp_path):
    for name, value in object_server.variables().items():
        monkeypatch.setenv(name, value)
    missing = open_store("s3://not-there/prefix", tmp_path, Metrics.off())
    with pytest.raises(InvalidStorageError, match="does not exist"):
        asyncio.run(missing.check("media/check"))
    with pytest.raises(MediaUnavailableError):
        asyncio.run(missing.put("media/a.png", b"image"))


def test_a_store_that_refuses_for_good_cannot_be_used(s3, object_server):
    with object_server.answering(403), pytest.raises(InvalidStorageError, match="refuses"):
        asyncio.run(s3.check("media/check"))


CALLS = {
    "put": lambda store: store.put("media/a.png", b"image"),
    "a large put": lambda store: store.put("media/a.png", bytes(20 * MIB)),
    "stream": lambda store: store.put_stream("media/a.png", pieces(*[bytes(MIB)] * 20)),
    "get": lambda store: store.get("media/a.png"),
    "read": lambda store: store.read("media/a.png"),
    "head": lambda store: store.head("media/a.png"),
    "delete": lambda store: store.delete("media/a.png"),
    "list": lambda store: names(store, "media"),
    "check": lambda store: store.check("media/check"),
}


@pytest.mark.parametrize("call", [name for name in CALLS if name != "a large put"])
def test_a_store_that_stands_still_keeps_nobody_waiting(tmp_path, object_server, monkeypatch, call):
    open_at("s3", tmp_path, object_server, monkeypatch)
    store = open_store(f"s3://{BUCKET}", tmp_path, Metrics.off(), patience=0.2)

    async def course() -> None:
        async with asyncio.timeout(30):
            with pytest.raises(MediaUnavailableError):
                await CALLS[call](store)

    with object_server.standing_still():
        asyncio.run(course())


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_fails_is_unavailable(s3, object_server, call):
    with object_server.answering(500), pytest.raises(MediaUnavailableError):
        asyncio.run(CALLS[call](s3))


def test_a_read_that_stands_still_in_the_middle_ends(tmp_path, object_server, monkeypatch):
    """A folder whose disk hangs: what is opened there waits for as long as it likes."""
    store = open_store("", tmp_path, Metrics.off(), patience=0.2)
    (tmp_path / "media").mkdir()
    os.mkfifo(tmp_path / "media" / "a.png")  # opening it waits until somebody writes

    async def course() -> None:
        async with asyncio.timeout(30):
            with pytest.raises(MediaUnavailableError):
                await store.get("media/a.png")

    asyncio.run(course())
    os.close(os.open(tmp_path / "media" / "a.png", os.O_WRONLY | os.O_NONBLOCK))
