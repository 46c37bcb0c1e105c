"""Answers that are not waited for: 202 and a record, and webhooks that tell the end."""

import json
import sqlite3
import time
import uuid

import pytest

from app.webhooks.dispatcher import DeliverySchedule
from tests.support.holding import holding
from tests.support.processes import unique
from tests.support.receivers import QUICK, receiving, signature
from tests.support.waiting import seen

ASYNC = {"Prefer": "respond-async"}


def submit(gateway, headers=None, **fields):
    body = {"model": "flux.1-schnell", "size": "256x256"} | fields
    return gateway.client.post("/images/generations", json=body, headers=ASYNC | (headers or {}))


def ended(gateway, location: str) -> dict:
    """The record once it has ended."""
    record = seen(
        lambda: gateway.client.get(f"{gateway.origin}{location}").json(),
        lambda record: record["status"] not in {"queued", "processing"},
        60,
    )
    assert record["status"] not in {"queued", "processing"}, record
    return record


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_a_request_that_is_not_waited_for_is_accepted_at_once_and_collected_later(start_gateway, simulator, form):
    prompt = unique()
    with holding(simulator.url, prompt) as runware:
        gateway = start_gateway(upstream=f"{runware.url}/v1")
        accepted = submit(gateway, prompt=prompt, n=2, response_format=form)
        record = accepted.json()
        assert accepted.status_code == 202
        assert accepted.headers["preference-applied"] == "respond-async"
        assert accepted.headers["location"] == f"/v1/requests/{record['id']}"
        assert (record["object"], record["status"], record["cost"]) == ("request", "processing", None)
        waiting = gateway.client.get(f"/requests/{record['id']}/result")
        assert (waiting.status_code, waiting.json()["id"]) == (202, record["id"])
        assert simulator.made(prompt) == 0, "before its images could be there"
        runware.released.set()
        record = ended(gateway, accepted.headers["location"])
    assert (record["status"], record["delivered"], record["result_url"]) == (
        "completed",
        False,
        f"/v1/requests/{record['id']}/result",
    )
    result = gateway.client.get(f"/requests/{record['id']}/result")
    assert (result.status_code, len(result.json()["data"]), simulator.made(prompt)) == (200, 2, 2)
    assert all(item.keys() >= {form} for item in result.json()["data"])
    assert seen(lambda: gateway.client.get(f"/requests/{record['id']}").json()["delivered"], bool)


def test_two_accepted_requests_are_two_though_nobody_waits_for_them(gateway):
    prompt = unique()
    first, second = submit(gateway, prompt=prompt).json(), submit(gateway, prompt=prompt).json()
    for record in (first, second):
        ended(gateway, f"/v1/requests/{record['id']}")
    third = gateway.generate(prompt=prompt, model="flux.1-schnell")
    assert len({first["id"], second["id"], third.json()["id"]}) == 3
    assert gateway.simulator.made(prompt) == 3


def test_the_same_key_is_accepted_once(gateway):
    headers, prompt = {"Idempotency-Key": uuid.uuid4().hex}, unique()
    first, second = submit(gateway, headers, prompt=prompt), submit(gateway, headers, prompt=prompt)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"
    ended(gateway, first.headers["location"])
    waited_for = gateway.client.post(
        "/images/generations", json={"model": "flux.1-schnell", "size": "256x256", "prompt": prompt}, headers=headers
    )
    assert (waited_for.status_code, waited_for.json()["id"]) == (200, first.json()["id"])
    assert gateway.simulator.made(prompt) == 1


def test_the_expected_cost_is_known_before_anything_is_sent(gateway):
    body = {"model": "riverflow-1-mini", "prompt": unique(), "n": 2}
    estimated = gateway.client.post("/images/generations?dryRun=true", json=body).json()["total_cost_micros"]
    accepted = gateway.client.post("/images/generations", json=body, headers=ASYNC)
    record = accepted.json()
    assert (record["cost"], round(record["estimated_cost"] * 1_000_000)) == (None, estimated)
    assert ended(gateway, accepted.headers["location"])["cost"] > 0


def test_what_is_wrong_is_refused_before_anything_is_accepted(gateway):
    refused = submit(gateway, prompt=unique(), n=99)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "n")


def test_an_accepted_request_that_fails_tells_why(gateway):
    accepted = submit(gateway, prompt=f"{unique()} [sim:moderation]")
    record = ended(gateway, accepted.headers["location"])
    assert (record["status"], record["error"]["code"]) == ("failed", "content_policy_violation")
    result = gateway.client.get(f"/requests/{record['id']}/result")
    assert (result.status_code, result.json()["error"]["code"]) == (400, "content_policy_violation")


@pytest.fixture(scope="module")
def calling(start_shared_gateway):
    """A gateway that may call this machine."""
    return start_shared_gateway(SPILLWAY_ALLOW_PRIVATE_WEBHOOKS="true", parts={"webhooks": QUICK})


def state_of(gateway, request_id: str, wanted: str) -> dict:
    webhook = seen(
        lambda: gateway.client.get(f"/requests/{request_id}").json()["webhook"],
        lambda webhook: webhook["state"] == wanted,
    )
    assert webhook["state"] == wanted, webhook
    return webhook


@pytest.mark.parametrize("headers", [{}, ASYNC], ids=["waited for", "accepted"])
def test_a_webhook_tells_the_end_with_a_signature_of_the_callers_own_secret(calling, headers):
    with receiving(200) as receiver:
        body = {"model": "flux.1-schnell", "size": "256x256", "prompt": unique(), "webhook_url": receiver.url}
        answer = calling.client.post("/images/generations", json=body, headers=headers)
        ((sent, content),) = receiver.wait_for(1)
        request_id = answer.json()["id"]
        state = state_of(calling, request_id, "delivered")
    told = json.loads(content)
    assert (told["type"], told["data"]["id"], told["data"]["status"]) == ("image.completed", request_id, "completed")
    assert told["data"]["cost"] > 0
    assert sent["webhook-id"] == f"msg_{request_id.removeprefix('req_')}"
    assert abs(int(sent["webhook-timestamp"]) - time.time()) < 60
    secret = calling.client.get("/webhooks/secret").json()["secret"]
    assert sent["webhook-signature"] == signature(secret, sent, content)
    other = calling.client.get("/webhooks/secret", headers={"Authorization": "Bearer other-key"}).json()["secret"]
    assert other != secret
    assert receiver.paths == ["/hook?who=me"]
    known = receiver.url.removesuffix("?who=me")
    assert (state["attempts"], state["last_status"], state["url"]) == (1, 200, known), "a query may be a secret"


def test_a_webhook_tells_failures_too(calling):
    with receiving(204) as receiver:
        submit(calling, prompt=f"{unique()} [sim:moderation]", webhook_url=receiver.url)
        ((_, content),) = receiver.wait_for(1)
    told = json.loads(content)
    assert (told["type"], told["data"]["error"]["code"]) == ("image.failed", "content_policy_violation")


def test_a_webhook_that_is_not_taken_is_sent_again_under_the_same_id(calling):
    with receiving(500, 302, 200) as receiver:
        record = submit(calling, prompt=unique(), webhook_url=receiver.url).json()
        calls = receiver.wait_for(3)
        state = state_of(calling, record["id"], "delivered")
    assert len({headers["webhook-id"] for headers, _ in calls}) == 1
    assert (state["attempts"], len(calls)) == (3, 3)


def test_after_the_last_attempt_a_webhook_is_given_up_and_the_record_says_so(calling):
    with receiving(410) as receiver:
        record = submit(calling, prompt=unique(), webhook_url=receiver.url).json()
        state = state_of(calling, record["id"], "failed")
    assert (state["attempts"], state["last_status"]) == (len(QUICK.waits) + 1, 410)


def test_a_webhook_outlives_the_gateway_that_should_have_sent_it(start_gateway, tmp_path):
    slow = DeliverySchedule(waits=(1000.0,), looks_every=1000.0)
    variables = {"SPILLWAY_ALLOW_PRIVATE_WEBHOOKS": "true", "SPILLWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'j.db'}"}
    with receiving(500, 200) as receiver:
        first = start_gateway(parts={"webhooks": slow}, **variables)
        record = submit(first, prompt=unique(), webhook_url=receiver.url).json()
        receiver.wait_for(1)
        refused = seen(
            lambda: first.client.get(f"/requests/{record['id']}").json()["webhook"],
            lambda webhook: webhook["last_status"],
        )
        assert (refused["attempts"], refused["last_status"]) == (1, 500)
        with sqlite3.connect(tmp_path / "j.db") as journal:
            journal.execute("update requests set webhook_next = 0")
        start_gateway(parts={"webhooks": QUICK}, **variables)
        assert len(receiver.wait_for(2)) == 2


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://example.com/hook", id="not https"),
        pytest.param("https://127.0.0.1/hook", id="loopback"),
        pytest.param("https://localhost/hook", id="a name that leads to loopback"),
        pytest.param("https://10.0.0.1/hook", id="private"),
        pytest.param("https://169.254.169.254/latest", id="metadata"),
        pytest.param("https://[::1]/hook", id="loopback in IPv6"),
        pytest.param("https://[::ffff:10.0.0.1]/hook", id="private, hidden in IPv6"),
        pytest.param("https://user:secret@example.com/hook", id="with a password"),
        pytest.param("https://example.com:port/hook", id="a port that is none"),
        pytest.param("ftp://example.com/hook", id="another protocol"),
        pytest.param("hook", id="no address"),
        pytest.param("https://exa mple.com/", id="a space"),
        pytest.param("https://example.com/\r\nX: y", id="a line end"),
        pytest.param("https://no-such-host.invalid/", id="a host that does not exist"),
        pytest.param("https://example.com/" + "x" * 3000, id="too long"),
        pytest.param(7, id="a number"),
    ],
)
def test_webhooks_go_to_the_open_internet_only(gateway, url):
    before = gateway.simulator.accepted()
    response = submit(gateway, prompt=unique(), webhook_url=url)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "webhook_url"), response.text
    assert gateway.simulator.accepted() == before
