"""The long sets of damaged images: through the image code in workers, and over HTTP with everybody watching."""

import asyncio
from collections import Counter

import pytest

from app.images.errors import TooManyPixelsError, UnreadableImageError
from app.images.headers import read_header
from app.images.inputs import ImageLimits, fit_image
from app.images.structure import clean_image
from app.images.workers.bounds import Job
from app.images.workers.pool import Workers
from tests.support.corpus import cases
from tests.support.processes import gateways
from tests.support.siege import MAX_PROCESSES, lay_siege

pytestmark = pytest.mark.slow
MIB = 1024 * 1024
LIMITS = ImageLimits(max_pixels=64_000_000, min_side=64, max_side=2048)


@pytest.mark.timeout(1200)
def test_six_thousand_damaged_images_become_images_or_are_called_unreadable():
    """Any other exception, a worker that dies and a size that is not the header's fail here."""

    async def run() -> Counter[str]:
        workers, outcomes = Workers(), Counter()
        workers.start()
        for case in cases(6000, seed=1):
            header = read_header(case.data)
            clean_image(case.data)
            try:
                fitted = await workers.run_in_worker(
                    Job("corpus", 64_000_000, 64_000_000), fit_image, case.data, LIMITS
                )
            except (UnreadableImageError, TooManyPixelsError) as error:
                outcomes[type(error).__name__] += 1
                continue
            outcomes["read"] += 1
            assert header is not None, case.name
            assert not header.width or header.upright == fitted.original, case.name
        await workers.close()
        return outcomes

    outcomes = asyncio.run(run())
    assert outcomes.total() == 6000
    assert min(outcomes["read"], outcomes["UnreadableImageError"]) > 1000


@pytest.mark.measured
@pytest.mark.timeout(3600)
def test_twenty_thousand_damaged_images_are_answered_and_felt_by_nobody(simulator, tmp_path):
    with gateways(simulator, tmp_path, 2) as (besieged, calm):
        report = lay_siege(*besieged, cases(20_000, seed=2), control=calm)
    print(report)
    assert report.odd == []
    assert report.statuses.total() == 20_000
    assert set(report.watch.innocent_statuses) == {200}
    assert report.watch.longest_wait < report.elsewhere + 2
    assert report.watch.longest_stall < 0.1
    assert report.grown_main < 200 * MIB
    assert report.grown_peak < 1600 * MIB  # two workers with as many pixels as one image may have
    assert report.grown_after < 500 * MIB
    assert report.processes <= MAX_PROCESSES
