"""Damaged images, bombs and oddities over HTTP: each is an image or a 400, and nobody else feels it."""

import pytest

from tests.support.corpus import cases
from tests.support.processes import gateways
from tests.support.siege import MAX_PROCESSES, lay_siege

COUNT = 300
MIB = 1024 * 1024


@pytest.mark.timeout(300)
def test_three_hundred_damaged_images_are_answered_and_felt_by_nobody(simulator, tmp_path):
    with gateways(simulator, tmp_path, 2) as (besieged, calm):
        report = lay_siege(*besieged, cases(COUNT), control=calm)
    assert report.odd == []
    assert report.statuses.total() == COUNT
    assert report.statuses[200] > COUNT // 10
    assert set(report.watch.innocent_statuses) == {200}
    assert report.watch.longest_wait < report.elsewhere + 2
    assert report.watch.longest_stall < 0.1
    assert report.grown_main < 200 * MIB
    assert report.grown_peak < 1600 * MIB  # two workers with as many pixels as one image may have
    assert report.grown_after < 500 * MIB
    assert report.processes <= MAX_PROCESSES
