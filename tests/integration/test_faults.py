"""What Runware's faults become for the caller: retried with the same task, collected, or reported in its words."""

from decimal import Decimal

import pytest

from tests.support import loopback
from tests.support.images import open_base64, open_bytes
from tests.support.processes import unique


def attempts(response) -> list[tuple[str, str]]:
    return [(one["kind"], one["outcome"]) for one in response.json()["metadata"]["attempts"]]


@pytest.mark.parametrize(
    ("marker", "status", "code", "provider_code", "retry"),
    [
        ("rate-limit", 429, "rate_limit_exceeded", "rateLimitExceeded", {"retry-after": "5"}),
        ("outage", 503, "provider_unavailable", "noAvailableServer", {"retry-after": "5"}),
        ("server-error", 502, "provider_error", "internalServerError", {"x-should-retry": "false"}),
        ("html", 502, "provider_error", "http502", {"x-should-retry": "false"}),
        ("gateway-timeout", 504, "provider_timeout", "providerGatewayTimeout", {"x-should-retry": "false"}),
        ("no-credits", 402, "insufficient_quota", "insufficientCredits", {}),
        ("no-third-party-credits", 402, "insufficient_quota", "thirdPartyInsufficientCredits", {}),
        ("bad-key", 502, "provider_authentication_error", "invalidApiKey", {"x-should-retry": "false"}),
        ("moderation", 400, "content_policy_violation", "invalidProviderContent", {}),
        ("provider-refusal", 400, "content_policy_violation", "providerError", {}),
        ("unknown-code", 400, "invalid_value", "quantumFluctuation", {}),
        ("provider-error", 502, "provider_error", "providerError", {"x-should-retry": "false"}),
        ("timeout-provider", 504, "provider_timeout", "timeoutProvider", {"x-should-retry": "false"}),
        ("unreachable", 502, "provider_error", "connectionLost", {"x-should-retry": "false"}),
    ],
)
def test_a_lasting_fault_is_told(gateway, marker, status, code, provider_code, retry):
    prompt = f"{unique()} [sim:{marker}]"
    response = gateway.generate(prompt=prompt)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["provider_code"]) == (status, code, provider_code)
    for name in ("retry-after", "x-should-retry"):
        assert response.headers.get(name) == retry.get(name)
    assert "positivePrompt" not in error["message"]
    assert gateway.simulator.made(prompt) == 0
    assert all(Decimal(task["billed"]) == 0 for task in gateway.simulator.tasks(prompt))


@pytest.mark.parametrize("marker", ["rate-limit=2", "outage=2", "server-error=2", "html=2", "unreachable=2"])
def test_a_passing_fault_is_retried_with_the_same_task_and_paid_once(gateway, marker):
    prompt = f"{unique()} [sim:{marker}]"
    response = gateway.generate(prompt=prompt)
    assert response.status_code == 200
    submits = [kind for kind, _ in attempts(response) if kind == "submit"]
    assert len(submits) == 3
    assert len(response.json()["metadata"]["task_uuids"]) == 1
    assert gateway.simulator.made(prompt) == 1


@pytest.mark.parametrize("marker", ["drop", "empty", "nonsense"])
def test_an_image_made_behind_a_lost_answer_is_collected_not_bought_again(gateway, marker):
    prompt = f"{unique()} [sim:{marker}]"
    response = gateway.generate(prompt=prompt)
    assert response.status_code == 200
    assert attempts(response)[-1] == ("collect", "ok")
    assert gateway.simulator.made(prompt) == 1


def test_a_synchronous_answer_that_does_not_come_is_collected(start_gateway):
    impatient = start_gateway(SPILLWAY_SYNC_WAIT="0.3")
    prompt = f"{unique()} [sim:hang=0.6]"
    response = impatient.generate(prompt=prompt, n=2)
    assert response.status_code == 200
    assert len(response.json()["data"]) == 2
    assert attempts(response)[0] == ("submit", "late")
    assert impatient.simulator.made(prompt) == 2


def test_a_task_that_outlasts_the_callers_patience_may_be_asked_for_again(start_gateway):
    hasty = start_gateway(SPILLWAY_SYNC_WAIT="0.2", SPILLWAY_REQUEST_TIMEOUT="0.8")
    response = hasty.generate(prompt="an apple [sim:hang=30]")
    assert response.status_code == 504
    assert response.json()["error"]["code"] == "still_processing"
    assert response.headers["x-should-retry"] == "true"
    assert response.headers["location"] == f"/v1/requests/{response.headers['x-request-id']}"


def test_partial_failure_of_one_task_delivers_what_was_paid_for(gateway):
    response = gateway.generate(prompt="an apple [sim:partial=2]", n=4)
    body = response.json()
    assert response.status_code == 200
    assert len(body["data"]) == 2
    assert [(one["index"], one["code"]) for one in body["metadata"]["errors"]] == [
        (2, "provider_error"),
        (3, "provider_error"),
    ]
    assert body["metadata"]["cost"] == 0.0012


def test_partial_failure_of_parallel_tasks_keeps_the_order(gateway):
    response = gateway.generate(model="flux.2-pro", prompt="an apple [sim:fail-odd]", n=4, seed=10)
    body = response.json()
    assert [item["seed"] for item in body["data"]] == [10, 12]
    assert [one["index"] for one in body["metadata"]["errors"]] == [1, 3]


def test_another_size_than_asked_is_told(gateway):
    response = gateway.generate(prompt="an apple [sim:wrong-size]", response_format="b64_json")
    body = response.json()
    assert body["size"] == "192x256"
    assert open_base64(body["data"][0]["b64_json"]).size == (192, 256)
    assert [(a["param"], a["applied"], a["mode"]) for a in body["metadata"]["adjustments"]] == [
        ("size", "192x256", "changed")
    ]


@pytest.mark.parametrize("response_format", ["b64_json", "url"])
def test_another_format_than_asked_is_converted(gateway, response_format):
    fields = {"output_format": "gif"} if response_format == "url" else {}
    response = gateway.generate(prompt="an apple [sim:wrong-format]", response_format=response_format, **fields)
    item = response.json()["data"][0]
    found = open_base64(item["b64_json"]) if "b64_json" in item else open_bytes(loopback.get(item["url"]).content)
    assert found.format.lower() == response.json()["output_format"]


@pytest.mark.parametrize(
    "fields", [{}, {"output_format": "gif"}, {"output_format": "jpeg"}, {"output_format": "webp"}], ids=str
)
def test_a_broken_image_is_a_failure_not_a_delivery(gateway, fields):
    response = gateway.generate(prompt="an apple [sim:broken]", response_format="b64_json", **fields)
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "broken_image"
    assert response.headers["x-should-retry"] == "false"


def test_an_address_instead_of_base64_is_fetched(gateway):
    response = gateway.generate(prompt="an apple [sim:url-only]", response_format="b64_json")
    assert open_base64(response.json()["data"][0]["b64_json"]).size == (256, 256)


@pytest.mark.parametrize("fault", ["dead-url", "cut-url"])
def test_a_dead_address_is_a_failure(gateway, fault):
    response = gateway.generate(prompt=f"an apple [sim:{fault}]", response_format="b64_json")
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "image_unavailable"


@pytest.mark.parametrize("fault", ["dead-url=3", "cut-url=3"])
@pytest.mark.parametrize(
    "fields", [{"response_format": "b64_json"}, {"output_format": "gif"}], ids=["embedded", "hosted"]
)
def test_an_image_that_cannot_be_brought_at_first_is_not_lost(gateway, fault, fields):
    prompt = f"{unique()} [sim:{fault}]"
    response = gateway.generate(prompt=prompt, **fields)
    item = response.json()["data"][0]
    found = open_base64(item["b64_json"]) if "b64_json" in item else open_bytes(loopback.get(item["url"]).content)
    assert (found.size, gateway.simulator.made(prompt)) == ((256, 256), 1)


def test_runwares_refusal_of_a_field_comes_back_in_the_callers_words(gateway):
    response = gateway.generate(prompt="an apple", scheduler="Euler", model="flux.2-pro")
    error = response.json()["error"]
    told = (response.status_code, error["param"], error["code"], error["provider_code"])
    assert told == (400, "scheduler", "unknown_parameter", "unsupportedParameter")


def test_an_unlisted_model_that_runware_does_not_have_is_not_found(gateway):
    response = gateway.generate(model="nobody:1@1")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


def test_a_reference_runware_cannot_read_is_named_as_the_callers_image(gateway):
    image_id = "00000000-0000-4000-8000-000000000000"
    body = {"prompt": "a hat", "model": "flux.2-pro", "image": image_id, "size": "256x256"}
    response = gateway.client.post("/images/edits", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_image", "image")
    assert "referenceImages" not in error["message"]


def test_a_refused_key_makes_the_gateway_not_ready_until_it_works_again(start_gateway):
    own = start_gateway()
    assert loopback.get(f"{own.origin}/readyz").status_code == 200
    own.generate(prompt="an apple [sim:bad-key]")
    answer = loopback.get(f"{own.origin}/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert own.generate().status_code == 200
    assert loopback.get(f"{own.origin}/readyz").status_code == 200


def test_an_upstream_that_is_not_there_is_unavailable(start_gateway):
    alone = start_gateway(upstream="http://127.0.0.1:9/v1")
    response = alone.generate()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "provider_unavailable")
    assert 1 <= int(response.headers["retry-after"]) <= 60
