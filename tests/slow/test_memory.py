"""The process tree grows by what is bounded, however much comes at once."""

import concurrent.futures
import os
import threading
import time
from typing import Self

import psutil
import pytest

from tests.integration.test_command import served
from tests.support import loopback
from tests.support.images import png_of

pytestmark = [pytest.mark.slow, pytest.mark.measured, pytest.mark.timeout(600)]

MIB = 1024 * 1024
BOUND = 256 * MIB
BESIDE = 150 * MIB
"""What the bound does not count: buffers of connections, pages not given back, workers that stretch."""


class TreeWatch:
    """The largest memory of the gateways under this process, sampled; shared pages count once for each."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def resident(self) -> int:
        """Bytes now, without the simulator."""
        total = 0
        for process in psutil.Process(os.getpid()).children(recursive=True):
            try:
                if not {"simulate"} & set(process.cmdline()):
                    total += process.memory_info().rss
            except psutil.Error:
                continue
        return total

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.peak = max(self.peak, self.resident())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def test_many_large_uploads_at_once_hold_no_more_than_the_bound(tmp_path):
    upload = png_of(30 * MIB)
    environment = {"SPILLWAY_MAX_BYTES_IN_FLIGHT": str(BOUND), "SPILLWAY_LOG_LEVEL": "error"}
    with served(tmp_path, **environment) as (origin, _), concurrent.futures.ThreadPoolExecutor(16) as pool:

        def edit(prompt: str, image: bytes) -> int:
            return loopback.post(
                f"{origin}/v1/images/edits",
                data={"model": "google:4@1", "prompt": prompt},
                files=[("image", ("a.png", image))],
                timeout=500,
            ).status_code

        assert edit("make it day", png_of(MIB)) == 200
        with TreeWatch() as watch:
            time.sleep(0.5)
            idle = watch.resident()
            statuses = list(pool.map(lambda index: edit(f"make it night {index} [sim:slow=1]", upload), range(16)))
    assert statuses == [200] * 16
    assert watch.peak - idle <= BOUND + BESIDE, f"grew by {(watch.peak - idle) / MIB:.0f} MiB"
