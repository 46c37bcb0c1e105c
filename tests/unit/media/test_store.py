"""Hosted images end, and are swept away."""

import asyncio
import time

import pytest

from app.media.errors import LinkEndedError, MediaNotFoundError
from app.media.links import parse_link
from tests.support.media import folder_store

ORIGIN = "https://images.example.com"


def test_hosted_images_end_and_are_swept_away(tmp_path):
    now = [1_000_000.0]

    async def course() -> None:
        store = folder_store(tmp_path, clock=lambda: now[0])
        hosted = await store.host_image(b"image", "gif")
        link = parse_link(hosted.url_at(ORIGIN))
        stored = await store.open_hosted(link)
        assert (stored.found.media_type, stored.found.size) == ("image/gif", 5)
        assert b"".join([chunk async for chunk in stored.chunks]) == b"image"
        now[0] += 3600
        with pytest.raises(LinkEndedError):
            await store.open_hosted(link)
        path = tmp_path / "media" / hosted.name
        now[0] = path.stat().st_mtime + 4 * 3600  # two hours longer than its link
        await store.host_image(b"another", "png")
        assert not path.exists()
        assert len(list((tmp_path / "media").iterdir())) == 1

    asyncio.run(course())


def test_an_image_that_may_be_asked_for_again_outlives_its_link(tmp_path):
    now = [time.time()]

    async def course() -> None:
        store = folder_store(tmp_path, link=60, longer=5000, clock=lambda: now[0])
        hosted = await store.host_image(b"image", "gif", longer=True)
        url = hosted.url_at(ORIGIN)
        now[0] += 4000
        await store.host_image(b"another", "png")
        again = await store.renew_link(hosted.name, url)
        assert (again.expires_at, again.name) == (int(now[0]) + 60, hosted.name)
        assert (await store.open_hosted(parse_link(again.url_at(ORIGIN)))).found.size == 5
        now[0] += 9000
        await store.host_image(b"another", "png")
        with pytest.raises(MediaNotFoundError):
            await store.renew_link(hosted.name, url)

    asyncio.run(course())
