"""Images behind links that end, and links that are renewed."""

import asyncio
import time

import pytest

from app.media.backend import open_store
from app.media.errors import LinkEndedError, MediaNotFoundError
from app.media.links import LinkSigner, parse_link
from app.media.store import MediaStore, new_name, outlives_link
from app.observability.metrics import Metrics
from tests.support.media import SECRET, folder_store
from tests.support.object_stores import BUCKET

ORIGIN = "https://images.example.com"


def test_a_link_leads_to_its_image_until_it_ends(tmp_path):
    now = [1_000_000.0]

    async def course() -> None:
        store, name = folder_store(tmp_path, clock=lambda: now[0]), new_name("gif")
        await store.put(name, b"image")
        hosted = await store.link_to(name, 90)
        assert hosted.expires_at == 1_000_090
        link = parse_link(hosted.url_at(ORIGIN))
        stored = await store.open_hosted(link)
        assert (stored.found.media_type, stored.found.size) == ("image/gif", 5)
        assert b"".join([chunk async for chunk in stored.chunks]) == b"image"
        now[0] += 90
        with pytest.raises(LinkEndedError):
            await store.open_hosted(link)

    asyncio.run(course())


def test_a_link_is_renewed_while_its_image_is_there(tmp_path):
    now = [time.time()]

    async def course() -> None:
        store, name = folder_store(tmp_path, clock=lambda: now[0]), new_name("svg", longer=True)
        await store.put(name, b"image")
        url = (await store.link_to(name, 60)).url_at(ORIGIN)
        now[0] += 4000
        again = await store.renew_link(name, url, 70)
        assert (again.expires_at, again.name) == (int(now[0]) + 70, name)
        found = (await store.open_hosted(parse_link(again.url_at(ORIGIN)))).found
        assert (found.size, found.media_type) == (5, "image/svg+xml")
        (tmp_path / store.path_of(name)).unlink()
        with pytest.raises(MediaNotFoundError):
            await store.renew_link(name, url, 70)

    asyncio.run(course())


def test_the_name_says_whether_an_image_outlives_its_link():
    assert [outlives_link(f"media/{new_name('png', longer=longer)}") for longer in (True, False)] == [True, False]


@pytest.fixture
def store_with(tmp_path, object_server, monkeypatch):
    def make(*, signs: bool = True) -> MediaStore:
        for name, value in object_server.variables().items():
            monkeypatch.setenv(name, value)
        if not signs:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.delenv(name)
            monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
            # Where it then looks for keys: nobody is there.
            monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
        store = open_store(f"s3://{BUCKET}/pre", tmp_path, Metrics.off())
        return MediaStore(store, "media", LinkSigner([SECRET]), presigned=True)

    return make


def test_an_address_the_store_signed_leads_to_it_and_one_without_a_signature_does_not(store_with):
    async def course() -> None:
        store = store_with()
        url = (await store.link_to(new_name("png"), 60)).address
        changed = [url.partition("?")[0], url.replace("127.0.0.1", "127.0.0.2"), url.replace("/pre/", "/other/")]
        assert [await store.leads_to_store(one) for one in (url, *changed)] == [True, False, False, False]

    asyncio.run(course())


def test_nothing_leads_to_a_store_that_cannot_sign(store_with):
    async def course() -> None:
        url = (await store_with().link_to(new_name("png"), 60)).address
        assert not await store_with(signs=False).leads_to_store(url)

    asyncio.run(course())
