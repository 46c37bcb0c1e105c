"""The largest images a gateway takes and makes, within the bounds of their jobs."""

import asyncio
import io
import random

import pytest
from PIL import Image

from app.images.compose import compose_image
from app.images.geometry import ImageLimits
from app.images.inputs import fit_image
from app.images.types import CompositeBase
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from tests.support.images import encode

pytestmark = pytest.mark.slow
MOST = 64_000_000
SIDE = 8000


def run(job: Job, work, *arguments):
    """The result of one job in a pool of its own."""

    async def told():
        workers = Workers(1)
        workers.start()
        try:
            return await workers.run_in_worker(job, work, *arguments)
        finally:
            await workers.close()

    return asyncio.run(told())


def noise(side: int) -> Image.Image:
    """What is dearer to decode and encode than any photograph."""
    return Image.merge("RGB", [Image.effect_noise((1000, 1000), 80) for _ in range(3)]).resize((side, side))


def palette_noise(side: int) -> Image.Image:
    """The same for a format with a palette: finding the best one for noise takes an encoder minutes."""
    chance = random.Random(1)
    image = Image.frombytes("P", (side, side), chance.randbytes(side * side))
    image.putpalette(chance.randbytes(768))
    return image


@pytest.mark.timeout(900)
@pytest.mark.parametrize("format_", ["png", "jpeg", "webp", "gif", "avif"])
def test_the_largest_image_is_made_in_every_format(format_):
    job = Job("a", 1_000_000, MOST, encoder=format_, urgent=True)
    arguments = ("exact", "transparent", None, format_, None, MOST)
    made = run(job, compose_image, encode(noise(1000)), (SIDE, SIDE), *arguments)
    Image.MAX_IMAGE_PIXELS = None
    assert Image.open(io.BytesIO(made.data)).size == (SIDE, SIDE)


@pytest.mark.timeout(900)
def test_a_result_is_pasted_into_the_largest_image():
    base = CompositeBase(encode(noise(SIDE)), encode(Image.new("L", (SIDE, SIDE), 255)))
    job = Job("a", 1_000_000 + 2 * MOST, MOST, encoder="png", urgent=True)
    made = run(job, compose_image, encode(noise(1000)), (SIDE, SIDE), "exact", "white", base, "png", None, MOST)
    assert (made.width, made.height) == (SIDE, SIDE)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_the_largest_image_is_fitted_from_every_format(format_):
    job = Job("a", MOST, 2048 * 2048, format_.lower())
    image = palette_noise(SIDE) if format_ == "GIF" else noise(SIDE)
    fitted = run(job, fit_image, encode(image, format_), ImageLimits(MOST, 300, 2048))
    assert (fitted.width, fitted.height) == (2048, 2048)
