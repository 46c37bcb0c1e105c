"""Whatever runs out or stands still for a while: every paid image is delivered or can be collected, every request ends,
and the books are exact.
"""

import base64
import concurrent.futures
import contextlib
import time
import uuid
from decimal import Decimal

import httpx2
import pytest

from app.domain.money import from_nanos
from tests.support import loopback, ordeals
from tests.support.ordeals import Subject
from tests.support.processes import free_port, unique

FORMS = [
    {"response_format": "url"},
    {"response_format": "b64_json", "key": True},
    {"output_format": "gif"},
    {"output_format": "gif", "response_format": "b64_json", "key": True},
    {"response_format": "url", "n": 2, "model": "runware/bfl:5@1", "size": "512x512"},
    {"response_format": "b64_json", "background": True},
]
"""A link of Runware's, its bytes under a key, an image of ours behind a link and as bytes, two tasks, and later."""
PATIENCE_SECONDS = 75


def ask(one: Subject, form: dict, prompt: str) -> httpx2.Response | None:
    """What a patient caller gets in the end: it asks again while it is told to, or told nothing; None if nothing."""
    body = {"model": "flux.1-schnell", "size": "256x256", "prompt": prompt} | form
    headers = {"Idempotency-Key": uuid.uuid4().hex} if body.pop("key", None) else {}
    if body.pop("background", None):
        headers["Prefer"] = "respond-async"
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.HTTPError):
            answer = one.client.post("/images/generations", json=body, headers=headers)
            told = answer.headers.get("x-should-retry")
            if told == "false" or (told is None and answer.status_code < 500):  # as OpenAI's SDKs decide
                return answer
        headers["x-stainless-retry-count"] = "1"
        time.sleep(0.5)
    return None


def ended(one: Subject) -> list[dict]:
    """All requests, once each has ended."""
    for _ in range(300):
        found = one.rows()
        if all(row["status"] not in {"queued", "processing"} for row in found):
            return found
        time.sleep(0.2)
    raise AssertionError(found)


def has_images(answer: httpx2.Response, count: int) -> bool:
    """Whether so many images are there, and really there where they are ours."""
    items = answer.json()["data"]
    for item in items:
        if item.get("b64_json") is not None:
            base64.b64decode(item["b64_json"], validate=True)
        elif "/media/" in item["url"] and loopback.get(item["url"], timeout=20).status_code != 200:
            return False  # as when the clock was wrong that dated the link
    return len(items) == count


def collect(one: Subject, request_id: str) -> httpx2.Response:
    """The result of a request, once its images are here."""
    for _ in range(200):
        answer = one.client.get(f"/requests/{request_id}/result")
        if answer.status_code != 202:
            break
        time.sleep(0.2)
    return answer


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("ordeal", "journal_on_disk"),
    [
        pytest.param(ordeals.full_disk, False, id="the disk for images is full", marks=pytest.mark.slow),
        pytest.param(ordeals.full_disk, True, id="the disk is full, the journal's too"),
        pytest.param(ordeals.read_only, False, id="the folder is read-only", marks=pytest.mark.slow),
        pytest.param(ordeals.locked_journal, False, id="the journal is locked", marks=pytest.mark.slow),
        pytest.param(ordeals.no_descriptors, True, id="no descriptors are left", marks=pytest.mark.slow),
        pytest.param(ordeals.clock_set(3600), True, id="the clock is an hour ahead", marks=pytest.mark.slow),
        pytest.param(ordeals.clock_set(-3600), True, id="the clock is an hour back", marks=pytest.mark.slow),
        pytest.param(ordeals.stopped, True, id="the process is stopped for longer than its leases"),
    ],
)
def test_an_ordeal_costs_nothing_twice_and_loses_nothing(simulator, tmp_path, ordeal, journal_on_disk):
    with (
        ordeals.subject(simulator.url, tmp_path, free_port(), journal_on_disk=journal_on_disk) as one,
        concurrent.futures.ThreadPoolExecutor(24) as pool,
    ):
        early = [f"{unique()} [sim:slow={1 + index / 4}]" for index in range(len(FORMS))]
        late = [unique() for _ in FORMS]
        asked = [pool.submit(ask, one, form, prompt) for form, prompt in zip(FORMS, early, strict=True)]
        time.sleep(0.8)
        with ordeal(one):
            asked += [pool.submit(ask, one, form, prompt) for form, prompt in zip(FORMS, late, strict=True)]
            time.sleep(3)
        told = [one_asked.result() for one_asked in asked]
        found = ended(one)
        bought = dict.fromkeys(early + late, 0)
        billed = Decimal(0)
        for task in simulator.tasks():
            prompt = task["request"].get("positivePrompt")
            if prompt in bought:
                bought[prompt] += task["images"]
                billed += Decimal(task["billed"])
        for form, prompt, answer in zip(FORMS * 2, early + late, told, strict=True):
            count = form.get("n", 1)
            assert answer is not None, (form, prompt, "nobody ever answered")
            if answer.status_code == 200 and answer.json()["metadata"].get("errors"):
                count = len(answer.json()["data"])  # one of two tasks could not be sent, and says so
            assert bought[prompt] == count, (form, answer.status_code, answer.text[:300])
            if answer.status_code == 200 and has_images(answer, count):
                continue
            kept = [row["id"] for row in found if row["prompt"] == prompt and row["status"] in {"completed", "partial"}]
            assert len(kept) == 1, (form, answer.text[:300], [row for row in found if row["prompt"] == prompt])
            collected = collect(one, kept[0])
            assert collected.status_code == 200, collected.text
            assert has_images(collected, count)
        assert from_nanos(sum(row["cost"] or 0 for row in found)) == billed
