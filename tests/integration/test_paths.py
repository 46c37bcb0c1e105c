"""Addresses as clients put them together, and the places where they put the key."""

import pytest

from tests.support import loopback

AUTH = {"Authorization": "Bearer test-key"}
BODY = {"prompt": "a quiet harbor", "size": "256x256"}
PREFIXES = [
    "/v1",
    "/openai/v1",
    "/openai",
    "",
    "/v1/v1",
    "//v1",
    "/v1//v1",
    "/openai/v1/v1",
    "/openai/openai",
    "/v1/openai",
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_path_that_was_put_together_badly_is_read_as_meant(gateway, prefix):
    origin = gateway.origin
    for path in ("/models", "//models", "/models/", "/models/riverflow-1", "//models//riverflow-1/"):
        assert loopback.get(f"{origin}{prefix}{path}", headers=AUTH).status_code == 200, path
    for path in ("/images/generations", "//images//generations", "/images/generations/?dryRun=true"):
        assert loopback.post(f"{origin}{prefix}{path}", json=BODY, headers=AUTH).status_code == 200, path
    assert loopback.get(f"{origin}{prefix}/requests?limit=1", headers=AUTH).json()["object"] == "list"


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v2/models", "/v1/v1", "/v1", "/openai/deployments/a/models", "/v1/images/generations/x"]
)
def test_a_path_nobody_means_is_named_as_it_was_sent(gateway, path):
    answer = loopback.get(f"{gateway.origin}{path}", headers=AUTH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_url")
    assert f"no {path} here" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "key",
    [
        {"api-key": "test-key"},
        {"x-api-key": "test-key"},
        AUTH | {"x-api-key": "else"},
        {"authorization": "Bearer sdk", "x-api-key": "test-key"},
    ],
    ids=str,
)
def test_a_key_is_taken_wherever_it_stands(gateway, key):
    assert loopback.post(f"{gateway.origin}/v1/images/generations", json=BODY, headers=key).status_code == 200
    assert loopback.get(f"{gateway.origin}/v1/models", headers=dict.fromkeys(key, "wrong")).status_code == 401


@pytest.mark.parametrize(
    ("deployment", "executed"),
    [
        ("flux.2-pro", "flux.2-pro"),
        ("bfl:5@1", "flux.2-pro"),
        ("runware%2Fflux.2-pro", "flux.2-pro"),
        ("runware/flux.2-pro", "flux.2-pro"),
    ],
)
@pytest.mark.parametrize("prefix", ["/openai", "/v1", ""])
def test_the_deployment_in_the_address_is_the_model(gateway, prefix, deployment, executed):
    url = f"{gateway.origin}{prefix}/deployments/{deployment}/images/generations?api-version=2025-04-01-preview"
    answer = loopback.post(url, json=BODY | {"model": "riverflow-1"}, headers={"api-key": "test-key"})
    assert (answer.status_code, answer.headers["x-spillway-model"]) == (200, executed), answer.text
    (adjustment,) = answer.json()["metadata"]["adjustments"]
    assert (adjustment["param"], adjustment["requested"], adjustment["mode"]) == ("model", "riverflow-1", "dropped")


@pytest.mark.parametrize("body", [{}, {"model": "flux.2-pro"}, {"model": None}, {"model": ""}], ids=str)
def test_a_deployment_that_says_what_the_body_says_is_not_reported(gateway, body):
    url = f"{gateway.origin}/openai/deployments/flux.2-pro/images/generations?api-version=2025-04-01-preview"
    answer = loopback.post(url, json=BODY | body, headers={"api-key": "test-key", "X-Spillway-Strict": "true"})
    assert (answer.status_code, answer.json()["metadata"]["adjustments"]) == (200, []), answer.text


def test_an_unknown_deployment_is_an_unknown_model(gateway):
    url = f"{gateway.origin}/openai/deployments/my-flux/images/generations?api-version=2024-02-01"
    answer = loopback.post(url, json=BODY, headers={"api-key": "test-key"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["param"]) == (
        404,
        "model_not_found",
        "model",
    )
