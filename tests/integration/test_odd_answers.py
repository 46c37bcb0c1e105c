"""What Runware may answer is bounded and judged: no answer fills the memory, holds up others, or sticks in the journal."""

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support import loopback
from tests.support.images import png
from tests.support.odd_runware import Odd, OddRunware, envelope, envelope_with, item, odd_runware
from tests.support.processes import free_port, process, unique
from tests.support.waiting import log_with

MIB = 1024 * 1024
ENDLESS = 256 * MIB
COST_FAULT = "a cost that cannot be"


@dataclass
class Felt:
    """What others felt meanwhile: bytes grown, and seconds in which the process was busy instead of answering."""

    grown: int = 0
    stall: float = 0.0


@dataclass(frozen=True)
class Gateway:
    """A gateway process over an odd Runware."""

    client: httpx2.Client
    process: psutil.Process
    runware: OddRunware
    log: Path

    def generate(self, **fields: object) -> httpx2.Response:
        """A small image."""
        body = {"prompt": unique(), "size": "256x256"} | fields
        return self.client.post("/v1/images/generations", json=body)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder, port = tmp_path_factory.mktemp("odd"), free_port()
    headers = {"Authorization": "Bearer test-key"}
    with odd_runware() as runware, (folder / "log").open("wb") as log:
        server = process(
            runware_as_simulator(runware), folder, port, log=log, SPILLWAY_LOG_FORMAT="json", RUNWARE_API_KEY="a-key"
        )
        with (
            server as running,
            loopback.client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client,
        ):
            yield Gateway(client, psutil.Process(running.pid), runware, folder / "log")


def runware_as_simulator(runware: OddRunware) -> object:
    @dataclass(frozen=True)
    class Named:
        url: str

    return Named(runware.origin)


@contextmanager
def watched(gateway: Gateway) -> Iterator[Felt]:
    felt, done = Felt(), threading.Event()
    before = gateway.process.memory_info().rss

    def busy() -> float:
        times = gateway.process.cpu_times()
        return times.user + times.system

    def watch() -> None:
        with loopback.client(base_url=gateway.client.base_url, timeout=60) as client:
            while not done.is_set():
                worked, began = busy(), time.perf_counter()
                client.get("/healthz")
                waited = time.perf_counter() - began
                felt.stall = max(felt.stall, min(waited, busy() - worked))
                felt.grown = max(felt.grown, gateway.process.memory_info().rss - before)
                time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield felt
    finally:
        done.set()
        watcher.join()


def repeated(piece: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[dict], Odd]:
    def pieces() -> Iterator[bytes]:
        yield before
        for _ in range(ENDLESS // len(piece)):
            yield piece
        yield after

    return lambda _: Odd(pieces=pieces)


def packed(encoding: str) -> Callable[[dict], Odd]:
    """A few hundred KiB that unpack to a great deal."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    zeros = b"0" * MIB
    body = b"".join(packer.compress(zeros) for _ in range(ENDLESS // MIB)) + packer.flush()
    return lambda _: Odd(body, headers={"Content-Encoding": encoding})


ENDLESS_ANSWERS = [
    pytest.param(packed("gzip"), id="a gzip bomb"),
    pytest.param(packed("deflate"), id="a deflate bomb"),
    pytest.param(lambda _: Odd(gzip.compress(gzip.compress(b"0" * MIB)), headers={"Content-Encoding": "gzip, gzip"}), id="packed twice"),
    pytest.param(repeated(b"A" * MIB, b'{"data":[{"imageBase64Data":"', b'"}]}'), id="an endless image"),
    pytest.param(repeated(b"{}," * MIB, b'{"data":[', b"{}]}"), id="endless entries"),
    pytest.param(lambda _: Odd(b'{"data":[' + b"{}," * (2 * MIB) + b"{}]}"), id="two million entries"),
    pytest.param(lambda _: Odd(b'{"data":' + b"[" * MIB + b"]" * MIB + b"}"), id="a million levels"),
    pytest.param(lambda _: Odd(headers={"Content-Length": str(10**12)}, pieces=lambda: iter([b"{"])), id="a terabyte announced"),
]  # fmt: skip


@pytest.mark.parametrize("answer", ENDLESS_ANSWERS)
@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_an_endless_answer_ends_the_request_and_nobody_feels_it(gateway, answer, response_format):
    gateway.runware.scripts.clear()
    gateway.runware.scripts["imageInference"] = answer
    with watched(gateway) as felt:
        failed = gateway.generate(response_format=response_format)
    assert failed.status_code in {502, 504}
    assert failed.json()["error"]["code"] in {"provider_error", "still_processing"}
    assert felt.grown < 100 * MIB, "before: two gigabytes"
    assert felt.stall < 0.5, "before: six to thirty seconds"


def test_what_an_endless_answer_cost_is_unknown_and_its_image_is_asked_for_once_more(gateway):
    gateway.runware.images["x.png"] = png(64, 64)
    gateway.runware.scripts.clear()
    gateway.runware.scripts["imageInference"] = repeated(b"A" * MIB)
    failed = gateway.generate()
    error = failed.json()["error"]
    assert (failed.status_code, error["provider_code"], error["cost"], error["known_cost"]) == (
        502,
        "oversizedAnswer",
        None,
        0,
    )
    record = gateway.client.get(f"/v1/requests/{failed.headers['x-request-id']}").json()
    assert (record["status"], record["cost"]) == ("failed", None)
    url = f"{gateway.runware.origin}/image/x.png"
    gateway.runware.scripts["getResponse"] = lambda task: envelope(item(task, imageURL=url, cost=0.01))
    found = gateway.generate()
    assert (found.status_code, found.json()["metadata"]["cost"]) == (200, 0.01)


@pytest.mark.parametrize(
    "cost", ["1e400", "1e9999999", "-5", "-0.0001", "1e30", '"NaN"', '"Infinity"', '{"a":1}', "true", "[]"]
)
def test_a_cost_that_cannot_be_is_unknown_loud_and_breaks_nothing(gateway, cost):
    gateway.runware.scripts["imageInference"] = lambda task: envelope_with([item(task)], cost)
    answer = gateway.generate()
    assert answer.status_code == 200
    assert (answer.json()["metadata"]["cost"], answer.json()["metadata"]["known_cost"]) == (None, 0)
    assert "x-spillway-cost" not in answer.headers
    request_id = answer.json()["id"]
    for path in (f"/v1/requests/{request_id}", "/v1/requests?summary=true", f"/v1/requests/{request_id}/result"):
        assert gateway.client.get(path).status_code == 200, path
    (task_id,) = answer.json()["metadata"]["task_uuids"]
    log = log_with(gateway.log, task_id)
    assert [json.loads(line)["level"] for line in log.splitlines() if task_id in line and COST_FAULT in line] == [
        "error"
    ]


def test_a_result_that_leads_inside_is_told_and_paid_for_and_not_handed_on(gateway):
    refused = {"imageURL": "http://169.254.169.254/latest/meta-data", "cost": 0.01}
    gateway.runware.scripts["imageInference"] = lambda task: envelope(item(task, **refused))
    failed = gateway.generate()
    error = failed.json()["error"]
    assert (failed.status_code, error["code"], error["cost"]) == (502, "image_unavailable", 0.01)
    assert "169.254" not in failed.text


@pytest.mark.parametrize("fields", [{"response_format": "b64_json"}, {"output_format": "gif"}], ids=str)
def test_an_image_far_larger_than_asked_for_is_not_brought(gateway, fields):
    gateway.runware.images["huge.png"] = png(64, 64) + bytes(120 * MIB)
    url = f"{gateway.runware.origin}/image/huge.png"
    gateway.runware.scripts["imageInference"] = lambda task: envelope(item(task, imageURL=url, cost=0.01))
    with watched(gateway) as felt:
        failed = gateway.generate(**fields)
    del gateway.runware.images["huge.png"]
    error = failed.json()["error"]
    assert (failed.status_code, error["code"], error["cost"]) == (502, "image_unavailable", 0.01)
    assert "is larger than" in error["message"]
    assert felt.grown < 100 * MIB
