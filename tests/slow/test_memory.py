"""The process tree grows by what is bounded, however much comes at once."""

import concurrent.futures
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Self

import psutil
import pytest

from benchmarks.programs import ALLOCATOR
from tests.support import loopback
from tests.support.commands import served
from tests.support.images import png_of
from tests.support.processes import free_port
from tests.support.raw import RawConnection, head
from tests.support.scraping import scrape
from tests.support.waiting import seen

pytestmark = [pytest.mark.slow, pytest.mark.measured, pytest.mark.timeout(1500)]

MIB = 1024 * 1024
BOUND = 256 * MIB
ANSWER_BYTES, PIECE = 5 * MIB, 256 * 1024
"""An answer is no larger than an image of its size can be: what Runware would send beyond that is not foreseen."""
WAIT_SECONDS = 900
BESIDE = 150 * MIB
"""What the bound does not count: buffers of connections, pages not given back, workers that stretch."""


class TreeWatch:
    """The largest memory of the gateways under this process, sampled; shared pages count once for each."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0

    def resident(self) -> int:
        """Bytes now, without the simulator and whatever else stands for Runware."""
        total = 0
        for process in psutil.Process(os.getpid()).children(recursive=True):
            try:
                if not {"simulate", "app.simulator", "benchmarks.upstream"} & set(process.cmdline()):
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


@contextlib.contextmanager
def upstream_with(seconds: float, size: int) -> Iterator[str]:
    """A Runware that answers every task after so long with an image of so many bytes in base64; its address."""
    command = [sys.executable, "-m", "benchmarks.upstream", str(seconds), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


def upload(origin: str, image: bytes, seconds: float) -> int:
    """An edit, whose bytes are sent within so many seconds and a moment; the status of the answer."""
    begin = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ngoogle:4@1\r\n'
        b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nmake it night %d\r\n'
        b'--b\r\ncontent-disposition: form-data; name="response_format"\r\n\r\nb64_json\r\n'
        b'--b\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n' % time.time_ns()
    )
    end = b"\r\n--b--\r\n"
    with RawConnection(origin, timeout=WAIT_SECONDS) as connection:
        connection.send(
            head(
                "/v1/images/edits",
                "Content-Type: multipart/form-data; boundary=b",
                f"Content-Length: {len(begin) + len(image) + len(end)}",
            )
            + begin
        )
        view = memoryview(image)
        for start in range(0, len(image), PIECE):
            connection.socket.sendall(view[start : start + PIECE])
            time.sleep(seconds * PIECE / len(image))
        connection.socket.sendall(end)
        return connection.answer().status


def read_answer(origin: str, seconds: float) -> tuple[int, int]:
    """A generation whose answer is read within so many seconds and a moment; its status and how long its body was."""
    body = b'{"prompt":"a large harbor %d","response_format":"b64_json","size":"1536x1024"}' % time.time_ns()
    with RawConnection(origin, timeout=WAIT_SECONDS) as connection:
        fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        connection.send(head("/v1/images/generations", *fields) + body)
        taken, first = 0, b""
        while piece := connection.socket.recv(PIECE):
            first = first or piece
            taken += len(piece)
            if b"content-length: " in first and taken >= _length_of(first):
                break
            time.sleep(seconds * len(piece) / ANSWER_BYTES)
        return int(first.split(b" ", 2)[1]), taken


def _length_of(first: bytes) -> int:
    end = first.index(b"\r\n\r\n") + 4
    return end + int(first.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


def test_uploads_and_answers_at_scale_hold_no_more_than_the_bound_beside_slow_senders_and_readers(tmp_path):
    image = png_of(30 * MIB)
    with upstream_with(0.5, ANSWER_BYTES) as upstream:
        variables = {
            "RUNWARE_API_KEY": "a-runware-key",
            "RUNWARE_BASE_URL": upstream,
            "SPILLWAY_MAX_BYTES_IN_FLIGHT": str(BOUND),
            "SPILLWAY_LOG_LEVEL": "error",
            "SPILLWAY_REQUEST_TIMEOUT": str(WAIT_SECONDS),
            "SPILLWAY_METRICS_PORT": str(free_port()),
        }
        with served(tmp_path, **variables) as (origin, _), concurrent.futures.ThreadPoolExecutor(264) as pool:
            assert upload(origin, png_of(MIB), 0) == 200
            assert read_answer(origin, 0)[0] == 200
            metrics = f"http://127.0.0.1:{variables['SPILLWAY_METRICS_PORT']}"
            with TreeWatch() as watch:
                time.sleep(0.5)
                idle = watch.resident()
                uploads = [pool.submit(upload, origin, image, 15 if place % 8 == 0 else 0) for place in range(64)]
                answers = [pool.submit(read_answer, origin, 10 if place % 10 == 0 else 0) for place in range(200)]
                held = seen(
                    lambda: scrape(metrics, None).value("spillway_bytes_in_flight"), lambda now: now > BOUND / 8
                )
                waiting = loopback.get(f"{origin}/readyz", timeout=WAIT_SECONDS).json()["memory"]
                statuses = [one.result() for one in uploads]
                read = [one.result() for one in answers]
            left = loopback.get(f"{origin}/readyz", timeout=WAIT_SECONDS).json()["memory"]
    assert statuses == [200] * 64
    assert [status for status, _ in read] == [200] * 200
    assert min(length for _, length in read) > ANSWER_BYTES
    assert held > BOUND / 8
    assert waiting["limit_bytes"] == BOUND
    assert (left["waiting"], left["refused"]) == (0, 0)
    print(f"grew by {(watch.peak - idle) / MIB:.0f} MiB over {idle / MIB:.0f}; {waiting}")
    assert watch.peak - idle <= BOUND + BESIDE, f"grew by {(watch.peak - idle) / MIB:.0f} MiB"


@pytest.mark.parametrize("at_once", [16, 64], ids=str)
def test_uploads_take_no_more_than_two_and_a_half_times_their_bytes(tmp_path, at_once):
    image = png_of(3 * MIB // 2)
    with upstream_with(1, 65_536) as upstream:
        variables = {
            "RUNWARE_API_KEY": "a-runware-key",
            "RUNWARE_BASE_URL": upstream,
            "SPILLWAY_LOG_LEVEL": "error",
            "SPILLWAY_REQUEST_TIMEOUT": str(WAIT_SECONDS),
            **ALLOCATOR,
        }
        with served(tmp_path, **variables) as (origin, _), concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for _ in range(4):
                assert upload(origin, image, 0) == 200
            with TreeWatch() as watch:
                time.sleep(0.5)
                idle = watch.resident()
                sent = [pool.submit(upload, origin, image, 0) for _ in range(at_once)]
                statuses = [one.result() for one in sent]
    assert statuses == [200] * at_once
    grown = (watch.peak - idle) / (at_once * len(image))
    print(f"{at_once} uploads at once: grew by {grown:.2f} times their bytes over {idle / MIB:.0f} MiB")
    assert grown <= 2.5
