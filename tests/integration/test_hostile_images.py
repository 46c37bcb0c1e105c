"""Images that attack their decoder: refused or read, soon over, and nobody else waits for them."""

import concurrent.futures
import threading
import time
from functools import partial

import pytest

from tests.support.children import IMAGE_WORKER, children_with, resident
from tests.support.hostile_images import chattering_tiff, lying_boxes, progressive_jpeg, thin_png
from tests.support.images import encode, photo, png

HOSTILE = {
    "a JPEG of endless scans": partial(progressive_jpeg, 2100, 1000, 3000),
    "a TIFF that fills pipes": partial(chattering_tiff, 6000, 2100),
    "a PNG of one row": partial(thin_png, 64_000_000),
    "a HEIC that says 64 and holds 8000": partial(lying_boxes, "HEIF", 8000, 64),
    "an AVIF that says 64 and holds 8000": partial(lying_boxes, "AVIF", 8000, 64),
}
"""Made when they are needed: some take seconds, on a busy machine minutes."""
LARGEST = {name for name in HOSTILE if name.endswith("8000")}


@pytest.fixture(scope="module")
def attacked(start_shared_gateway):
    gateway = start_shared_gateway(SPILLWAY_IMAGE_WORKERS="2")
    edit(gateway, png())  # connections and processes are there
    return gateway


def edit(gateway, data: bytes, key: str = "test-key"):
    files = [("image", ("a", data))]
    data = {"prompt": "make it night", "model": "riverflow-1", "size": "1024x1024"}
    headers = {"Authorization": f"Bearer {key}"}
    return gateway.client.post("/images/edits", data=data, files=files, headers=headers, timeout=120)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGEST else []) for name in HOSTILE]
)
def test_a_hostile_image_is_answered_soon_and_an_innocent_caller_hardly_waits(attacked, name):
    resized, hostile = encode(photo(2500, 500)), HOSTILE[name]()  # the innocent one needs a worker, too
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        attacks = [pool.submit(edit, attacked, hostile) for _ in range(4)]
        time.sleep(0.3)
        innocent = edit(attacked, resized, "other-key")
        innocent_took = time.monotonic() - began
        answers = [attack.result() for attack in attacks]
    took = time.monotonic() - began
    assert innocent.status_code == 200, innocent.text
    assert {answer.status_code for answer in answers} <= {200, 400}, answers[0].text
    for answer in answers:
        if answer.status_code == 400:
            assert answer.json()["error"]["param"] == "image"
            assert answer.json()["error"]["code"] in {"invalid_image", "image_too_large"}
    assert innocent_took < 15
    assert took < 50


@pytest.mark.slow
def test_the_memory_a_hostile_image_may_take_is_bounded(attacked):
    def held() -> int:
        return resident(children_with(IMAGE_WORKER))

    images = [HOSTILE[name]() for name in ("a PNG of one row", "a HEIC that says 64 and holds 8000")]
    before, peak, over = held(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], held())

    watching = threading.Thread(target=watch)
    watching.start()
    for data in images:
        edit(attacked, data)
    over.set()
    watching.join()
    assert peak[0] - before < 700 * 1024 * 1024
    assert held() - before < 60 * 1024 * 1024


def test_the_first_edit_finds_its_worker_there(start_gateway):
    fresh = start_gateway(SPILLWAY_IMAGE_WORKERS="2")
    resized = encode(photo(2500, 500))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and fresh.client.get(f"{fresh.origin}/healthz").status_code != 200:
        time.sleep(0.05)
    time.sleep(2)  # what a person takes at least to make a first request
    times = []
    for _ in range(5):
        began = time.monotonic()
        assert edit(fresh, resized).status_code == 200
        times.append(time.monotonic() - began)
    assert times[0] < 5 * max(times[1:]) + 0.5
