"""What a running gateway logs of requests: what became of each, and nothing that its caller sent."""

import base64
import json

import httpx2
import pytest

from tests.support import loopback
from tests.support.commands import served
from tests.support.images import png
from tests.support.waiting import seen

KEY, RUNWARE_KEY, PROMPT = "caller-secret-0123456789", "runware-secret-0123456789", "a very private harbor"
IMAGE = base64.b64encode(png(64, 64)).decode()
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def gateway_and_log(simulator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lines")
    variables = {
        "RUNWARE_API_KEY": RUNWARE_KEY, "RUNWARE_BASE_URL": f"{simulator.url}/v1", "SPILLWAY_API_KEYS": f"team-a={KEY}", "SPILLWAY_LOG_FORMAT": "json",
        "SPILLWAY_LOG_LEVEL": "debug",
    }  # fmt: skip
    with served(folder, **variables) as (origin, _):
        yield origin, folder / "log"


def line_of(log, answer: httpx2.Response) -> dict:
    """The line of an answered request."""
    mark = answer.headers["x-request-id"]

    def lines() -> list[dict]:
        read = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and mark in line]
        return [line for line in read if line["event"] == "request"]

    found = seen(lines, bool)
    assert len(found) == 1
    return found[0]


def generate(origin: str, body: dict, **headers: str) -> httpx2.Response:
    url = f"{origin}/v1/images/generations"
    return loopback.post(url, json={"prompt": PROMPT, "size": "256x256"} | body, headers=HEADERS | headers, timeout=60)


def picked(line: dict, *members: str) -> dict:
    return {member: line[member] for member in members}


def test_the_line_of_images_says_what_was_made_for_whom_and_for_how_much(gateway_and_log):
    origin, log = gateway_and_log
    answer = generate(origin, {"model": "flux.1-schnell", "n": 2, "quality": "high"})
    assert answer.status_code == 200
    line, cost = line_of(log, answer), answer.json()["metadata"]["cost"]
    assert picked(line, "method", "path", "endpoint", "status", "model", "executed_model", "size", "images", "key", "adjustments", "error") == {
        "method": "POST", "path": "/v1/images/generations", "endpoint": "generations", "status": 200, "model": "flux.1-schnell", "executed_model": "flux.1-schnell", "size": "256x256",
        "images": 2, "key": "team-a", "adjustments": ["quality=dropped"], "error": None,
    }  # fmt: skip
    assert (line["cost"], line["attempts"]) == (float(cost), len(answer.json()["metadata"]["attempts"]))
    assert (line["bytes_in"], line["bytes_out"]) == (len(answer.request.content), len(answer.content))
    assert line["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param({"model": "nobody"}, {"status": 404, "error": "model_not_found", "model": "nobody", "images": None}, id="a refusal"),
        pytest.param({"prompt": f"{PROMPT} [sim:moderation]"}, {"status": 400, "error": "content_policy_violation", "images": None}, id="moderation"),
        pytest.param({"stream": True, "n": 2}, {"status": 200, "error": None, "images": 2, "size": "256x256"}, id="a stream"),
        pytest.param({"stream": True, "prompt": f"{PROMPT} [sim:moderation]"}, {"status": 200, "error": "content_policy_violation", "images": None}, id="a stream that fails"),
    ],
)  # fmt: skip
def test_the_line_says_how_it_ended(gateway_and_log, body, told):
    origin, log = gateway_and_log
    line = line_of(log, generate(origin, body))
    assert picked(line, *told) == told


PLACES = {
    "the prompt": {"json": {"prompt": f"{PROMPT} {KEY} {RUNWARE_KEY} {IMAGE}"}},
    "a model": {"json": {"prompt": PROMPT, "model": f"{PROMPT}"}},
    "a model that is an image": {"json": {"prompt": PROMPT, "model": IMAGE}},
    "a model that is a key": {"json": {"prompt": PROMPT, "model": RUNWARE_KEY}},
    "a user": {"json": {"prompt": PROMPT, "user": RUNWARE_KEY}},
    "an image": {"json": {"prompt": PROMPT, "image": f"data:image/png;base64,{IMAGE}"}},
    "an address": {"json": {"prompt": PROMPT, "image": f"https://none.invalid/{KEY}.png"}},
    "an unknown field": {"json": {"prompt": PROMPT, IMAGE: PROMPT}},
    "a size": {"json": {"prompt": PROMPT, "size": IMAGE}},
    "the query": {"json": {"prompt": PROMPT}, "params": {"key": KEY, "prompt": PROMPT, "image": IMAGE}},
    "a header": {"json": {"prompt": PROMPT}, "headers": {"X-Client-Request-Id": RUNWARE_KEY, "User-Agent": PROMPT}},
    "a fault of Runware": {"json": {"prompt": f"{PROMPT} {KEY} [sim:error-500]"}},
    "broken JSON": {"content": f'{{"prompt": "{PROMPT}", "image": "{IMAGE}'.encode()},
}


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_no_prompt_and_no_image_is_in_any_line(gateway_and_log, place):
    origin, log = gateway_and_log
    sent = dict(PLACES[place])
    headers = HEADERS | {"Content-Type": "application/json"} | sent.pop("headers", {})
    answer = loopback.post(f"{origin}/v1/images/generations", headers=headers, timeout=60, **sent)
    line_of(log, answer)
    text = log.read_text()
    for never in (KEY, RUNWARE_KEY, PROMPT, IMAGE[:100]):
        assert never not in text


def test_not_even_in_a_path(gateway_and_log):
    origin, log = gateway_and_log
    for secret in (KEY, RUNWARE_KEY, IMAGE):
        line_of(log, loopback.get(f"{origin}/v1/models/{secret}", headers=HEADERS))
    text = log.read_text()
    for never in (KEY, RUNWARE_KEY, IMAGE[:100]):
        assert never not in text
