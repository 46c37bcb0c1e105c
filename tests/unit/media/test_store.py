"""Images behind links that end, and links that are renewed."""

import asyncio
import time

import pytest

from app.media.errors import LinkEndedError, MediaNotFoundError
from app.media.links import parse_link
from app.media.store import new_name, outlives_link
from tests.support.media import folder_store

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
