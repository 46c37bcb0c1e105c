"""Budgets and limits over real sockets: exact at two hundred requests at once, told in every answer, nothing sent beyond."""

import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx2
import openai
import pytest

from app.domain.caller import Limits
from tests.support import loopback
from tests.support.databases import open_migrated
from tests.support.keys import put_paying_key
from tests.support.processes import unique

PRICE = Decimal("0.0006")
"""Of an image of flux.1-schnell at 512x512."""
BODY = {"model": "flux.1-schnell", "size": "512x512"}
AT_ONCE = 200
_TRIES = 10


@pytest.fixture
def url(database):
    made = database.fresh()
    open_migrated(made).dispose()
    return made


@pytest.fixture
def started(url, start_gateway):
    """Gateways on one database, by number, and a way to put keys there."""
    engine = open_migrated(url)

    def start(count: int = 1, **variables: str):
        shared = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_MAX_QUEUED_PER_KEY": "1000", "SPILLWAY_SECRET": "s" * 20}
        return [start_gateway(**(shared | variables)) for _ in range(count)]

    yield start, lambda number=1, **known: put_paying_key(engine, number, **known)
    engine.dispose()


def client_of(gateway, key: str) -> httpx2.Client:
    return loopback.client(base_url=gateway.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=120)


def flood(gateways, key: str, prompt: str, *, keyed: bool) -> Counter[tuple[int, str]]:
    """How many requests at once ended how, spread over the gateways: status and code."""
    clients = [client_of(gateway, key) for gateway in gateways]

    def ask(place: int) -> tuple[int, str]:
        headers = {"Idempotency-Key": uuid.uuid4().hex} if keyed else {}
        client = clients[place % len(clients)]
        for _ in range(_TRIES):
            answer = client.post("/images/generations", json=BODY | {"prompt": prompt}, headers=headers)
            # A database that cannot keep up is said before anything is sent, and SDKs try again by themselves.
            if answer.status_code != 503:
                break
            time.sleep(float(answer.headers["retry-after"]))
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    with ThreadPoolExecutor(40) as threads:
        ends = Counter(threads.map(ask, range(AT_ONCE)))
    for client in clients:
        client.close()
    return ends


@pytest.mark.parametrize("keyed", [False, True], ids=["without keys", "with Idempotency-Keys"])
def test_a_budget_for_fifty_pays_for_exactly_fifty_of_two_hundred_on_two_gateways(started, simulator, keyed):
    start, put = started
    gateways, key, prompt = start(2), put(limits=Limits(budget=50 * PRICE)), unique()
    assert flood(gateways, key, prompt, keyed=keyed) == {(200, ""): 50, (402, "budget_exceeded"): 150}
    assert simulator.asked(prompt) == 50
    with client_of(gateways[0], key) as client:
        refused = client.post("/images/generations", json=BODY | {"prompt": prompt})
        error = refused.json()["error"]
        assert (refused.status_code, error["type"], error["code"]) == (402, "insufficient_quota", "budget_exceeded")
        assert refused.headers["x-spillway-budget-remaining"] == "0"
        assert refused.headers["x-should-retry"] == "false"


def test_a_rate_of_fifty_lets_fifty_through_and_says_when_to_come_back(started, simulator):
    start, put = started
    gateways, key, prompt = start(2), put(limits=Limits(rpm=1, images_per_minute=50)), unique()
    with client_of(gateways[0], key) as client:
        first = client.post("/images/generations", json=BODY | {"prompt": prompt, "n": 2})
        assert first.status_code == 200
        assert first.headers["x-ratelimit-limit-requests"] == "1"
        assert first.headers["x-ratelimit-remaining-requests"] == "0"
        assert (first.headers["x-ratelimit-limit-images"], first.headers["x-ratelimit-remaining-images"]) == (
            "50",
            "48",
        )
        refused = client.post("/images/generations", json=BODY | {"prompt": prompt})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert simulator.made(prompt) == 2


def test_every_kind_of_answer_tells_how_its_key_stands_and_only_purchases_count(started):
    start, put = started
    (gateway,), key, prompt = start(), put(limits=Limits(budget=Decimal(1), rpm=10, images_per_minute=10)), unique()
    left = "x-ratelimit-remaining-requests"
    with client_of(gateway, key) as client:
        listed = client.get("/models")
        assert (listed.headers[left], listed.headers["x-spillway-budget-remaining"]) == ("10", "1")
        body = BODY | {"prompt": prompt}
        bought = client.post("/images/generations", json=body, headers={"Idempotency-Key": prompt})
        assert (bought.headers[left], bought.headers["x-spillway-budget-remaining"]) == ("9", "0.9994")
        replayed = client.post("/images/generations", json=body, headers={"Idempotency-Key": prompt})
        assert (replayed.headers["idempotent-replayed"], replayed.headers[left]) == ("true", "9")
        dry = client.post("/images/generations?dryRun=true", json=body)
        assert (dry.status_code, dry.headers[left]) == (200, "9")
        wrong = client.post("/images/generations", json=body | {"n": 99})
        assert (wrong.status_code, wrong.headers[left]) == (400, "9")
        later = client.post("/images/generations", json=body, headers={"Prefer": "respond-async"})
        assert (later.status_code, later.headers[left]) == (202, "8")
        with client.stream("POST", "/images/generations", json=body | {"stream": True}) as streamed:
            assert (streamed.status_code, streamed.headers[left]) == (200, "7")
            streamed.read()
        found = client.get(f"/requests/{bought.json()['id']}")
        assert (found.status_code, found.headers[left]) == (200, "7")
        assert client.get("/requests/req_none").headers[left] == "7"
    assert left not in gateway.generate().headers  # a key of the environment has no limits


def test_a_key_uses_and_sees_its_own_models_only(started, simulator):
    start, put = started
    (gateway,), key, prompt = start(), put(limits=Limits(models=("riverflow-*", "runware:100@*"))), unique()
    with client_of(gateway, key) as client:
        shown = {model["id"] for model in client.get("/models").json()["data"]}
        assert "flux.1-schnell" in shown
        assert all(name.startswith("riverflow-") or name == "flux.1-schnell" for name in shown)
        assert client.get("/models/flux.1-schnell").status_code == 200
        hidden = client.get("/models/flux.1-dev")
        assert (hidden.status_code, hidden.json()["error"]["code"]) == (404, "model_not_found")
        for query in ("", "?dryRun=true"):
            refused = client.post(f"/images/generations{query}", json={"model": "flux.1-dev", "prompt": prompt})
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["param"]) == (403, "model_not_allowed", "model")
        assert client.post("/images/generations", json=BODY | {"prompt": prompt}).status_code == 200
    assert simulator.asked(prompt) == 1


@pytest.mark.parametrize(
    ("limits", "kind", "status", "code"),
    [
        pytest.param(Limits(budget=Decimal(0)), openai.APIStatusError, 402, "budget_exceeded", id="budget"),
        pytest.param(Limits(models=("none",)), openai.PermissionDeniedError, 403, "model_not_allowed", id="model"),
        pytest.param(Limits(images_per_minute=1), openai.RateLimitError, 429, "rate_limit_exceeded", id="rate"),
    ],
)
def test_the_sdk_raises_its_own_class_and_asks_once_where_waiting_does_not_help(started, limits, kind, status, code):
    start, put = started
    (gateway,), key = start(), put(limits=limits)
    # With the SDK's own retries: an answer that it repeats would come a second later, and be seen below.
    with openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=2) as sdk, pytest.raises(kind) as raised:
        sdk.images.generate(model="flux.1-schnell", prompt=unique(), size="512x512", n=2)
    assert raised.value.response.request.headers["x-stainless-retry-count"] == "0"
    assert (raised.value.status_code, raised.value.code) == (status, code)


def test_defaults_apply_where_the_request_is_silent_and_are_never_reported(started):
    start, put = started
    defaults = {"model": "flux.1-schnell", "response_format": "b64_json", "size": "512x512", "quality": "high"}
    (gateway,), key = start(), put(defaults=defaults)
    with client_of(gateway, key) as client:
        silent = client.post("/images/generations", json={"prompt": unique()}, headers={"X-Spillway-Strict": "true"})
        assert silent.status_code == 200, silent.text
        answer = silent.json()
        assert (answer["metadata"]["model"], answer["size"]) == ("flux.1-schnell", "512x512")
        assert "b64_json" in answer["data"][0]
        assert answer["metadata"]["adjustments"] == []
        own = {"prompt": unique(), "size": "256x256", "response_format": "url", "quality": "low"}
        spoken = client.post("/images/generations", json=own).json()
        assert (spoken["size"], "url" in spoken["data"][0]) == ("256x256", True)
        assert [one["param"] for one in spoken["metadata"]["adjustments"]] == ["quality"]
