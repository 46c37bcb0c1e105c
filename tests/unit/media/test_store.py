"""Hosted images end, and are swept away."""

import asyncio
import time

import pytest

from app.media.store import MediaNotFoundError, MediaStore


def test_hosted_images_end_and_are_swept_away(tmp_path):
    now = [1_000_000.0]

    async def course() -> None:
        store = MediaStore(tmp_path, b"secret", 3600, clock=lambda: now[0])
        hosted = await store.host_image(b"image", "gif")
        name, query = hosted.path.removeprefix("/v1/media/").split("?")
        given = dict(part.split("=", 1) for part in query.split("&"))
        stored = await store.get_hosted(name, int(given["expires"]), given["signature"])
        assert (stored.media_type, stored.size, b"".join([chunk async for chunk in stored.chunks])) == (
            "image/gif",
            5,
            b"image",
        )
        now[0] += 3600
        with pytest.raises(MediaNotFoundError):
            await store.get_hosted(name, int(given["expires"]), given["signature"])
        now[0] = (tmp_path / name).stat().st_mtime + 4 * 3600  # two hours longer than its link
        await store.host_image(b"another", "png")
        assert not (tmp_path / name).exists()
        assert len(list(tmp_path.iterdir())) == 1

    asyncio.run(course())


def test_an_image_that_may_be_asked_for_again_outlives_its_link(tmp_path):
    now = [time.time()]

    async def course() -> None:
        store = MediaStore(tmp_path, b"secret", 60, 5000, clock=lambda: now[0])
        hosted = await store.host_image(b"image", "gif", longer=True)
        now[0] += 4000
        await store.host_image(b"another", "png")
        again = await store.renew_link(hosted.name)
        given = dict(part.split("=", 1) for part in again.path.split("?")[1].split("&"))
        assert (again.expires_at, again.name) == (int(now[0]) + 60, hosted.name)
        assert (await store.get_hosted(again.name, again.expires_at, given["signature"])).size == 5
        now[0] += 9000
        await store.host_image(b"another", "png")
        with pytest.raises(MediaNotFoundError):
            await store.renew_link(hosted.name)

    asyncio.run(course())
