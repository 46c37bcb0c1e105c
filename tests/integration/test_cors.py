"""Web pages of other origins: those the operator names may call every route and read what they need, no other may."""

import httpx2
import pytest

from app.settings.load import InvalidSettingsError, load_settings
from tests.support import loopback

PAGE, OTHER = "https://app.example.com", "https://evil.example"
AUTH = {"Authorization": "Bearer test-key"}
PATHS = [
    "/healthz",
    "/images/generations",
    "/images/edits",
    "/models",
    "/models/riverflow-1",
    "/media/name",
    "/requests",
    "/requests/request_id",
    "/requests/request_id/result",
    "/requests/request_id/payloads",
    "/webhooks/secret",
]


@pytest.fixture(scope="module")
def open_gateway(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_CORS_ORIGINS=f"{PAGE}, HTTP://localhost:3000/,https://b.example:443")


def preflight(gateway, path: str, origin: str, method: str = "POST", **headers: str) -> httpx2.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method} | headers
    return loopback.options(f"{gateway.origin}{path}", headers=asked)


@pytest.mark.parametrize("path", [*[f"/v1{path}" for path in PATHS], "/openai/deployments/a/images/edits", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_every_route_answers_preflights(open_gateway, path, method):
    asked = "authorization, content-type, idempotency-key, x-stainless-lang, x-api-key"
    answer = preflight(open_gateway, path, PAGE, method, **{"Access-Control-Request-Headers": asked})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert method in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == asked
    assert "Origin" in answer.headers["vary"]
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000", "https://b.example"])
def test_a_named_page_may_read_answers_and_their_headers(open_gateway, origin):
    headers = AUTH | {"Origin": origin}
    answer = loopback.post(
        f"{open_gateway.base_url}/images/generations",
        json={"prompt": "a pier", "model": "riverflow-1", "size": "1024x1000"},
        headers=headers,
    )
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
    shown = set(answer.headers["access-control-expose-headers"].split(", "))
    ours = {
        name
        for name in answer.headers
        if name.startswith(("x-spillway-", "x-request-id", "x-ratelimit-", "retry-after"))
    }
    assert {"x-spillway-model", "x-spillway-adjustments", "x-spillway-cost", "x-request-id"} <= ours <= shown


def test_errors_streams_and_requests_of_later_are_readable_too(open_gateway):
    headers = AUTH | {"Origin": PAGE}
    url = f"{open_gateway.base_url}/images/generations"
    body = {"prompt": "a pier", "size": "256x256"}
    for answer in (
        loopback.post(url, json={}, headers=headers),
        loopback.post(url, json=body, headers={"Origin": PAGE}),
        loopback.post(url, json=body | {"stream": True}, headers=headers),
        loopback.get(f"{open_gateway.origin}/nowhere", headers=headers),
    ):
        assert answer.headers["access-control-allow-origin"] == PAGE, answer.text
    later = loopback.post(url, json=body, headers=headers | {"Prefer": "respond-async"})
    assert {"location", "retry-after", "preference-applied"} <= set(
        later.headers["access-control-expose-headers"].split(", ")
    )


def test_hosted_images_can_be_read_by_a_page(open_gateway):
    url = open_gateway.generate(output_format="gif").json()["data"][0]["url"]
    answer = loopback.get(url, headers={"Origin": PAGE})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    part = loopback.get(url, headers={"Origin": PAGE, "Range": "bytes=0-9"})
    shown = set(part.headers["access-control-expose-headers"].split(", "))
    assert (part.status_code, {"etag", "content-range", "accept-ranges", "content-disposition"} <= shown) == (206, True)
    assert "access-control-allow-origin" not in loopback.get(url, headers={"Origin": OTHER}).headers


@pytest.mark.parametrize("origin", [OTHER, "null", f"{PAGE}.evil.example", "http://app.example.com", f"{PAGE}:444"])
def test_no_other_page_may(open_gateway, origin):
    answer = preflight(open_gateway, "/v1/images/generations", origin)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "SPILLWAY_CORS_ORIGINS" in answer.json()["error"]["message"]
    assert "access-control-allow-origin" not in answer.headers
    got = loopback.get(f"{open_gateway.base_url}/models", headers=AUTH | {"Origin": origin})
    assert not {"access-control-allow-origin", "access-control-expose-headers"} & set(got.headers)


def test_without_the_setting_no_page_may(gateway):
    answer = preflight(gateway, "/v1/images/generations", PAGE)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_page_on_the_internet_may_be_let_into_an_intranet(open_gateway):
    asked = {"Access-Control-Request-Private-Network": "true"}
    assert (
        preflight(open_gateway, "/v1/models", PAGE, **asked).headers["access-control-allow-private-network"] == "true"
    )
    assert "access-control-allow-private-network" not in preflight(open_gateway, "/v1/models", OTHER, **asked).headers


def test_every_page_may_where_keys_are_needed(start_gateway):
    wide = start_gateway(SPILLWAY_CORS_ORIGINS="*")
    answer = loopback.get(f"{wide.base_url}/models", headers=AUTH | {"Origin": OTHER})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert preflight(wide, "/v1/images/edits", OTHER).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "value",
    [
        "app.example.com",
        "https://",
        "https://a.example/path",
        "https://u@a.example",
        "https://a.example:x",
        "null",
        "https://a.example?b",
    ],
)
def test_what_is_no_origin_is_told_at_start(value):
    with pytest.raises(InvalidSettingsError, match="SPILLWAY_CORS_ORIGINS: expected origins like"):
        load_settings({"SPILLWAY_CORS_ORIGINS": f"{PAGE},{value}"})


def test_every_page_without_keys_is_refused_at_start():
    with pytest.raises(InvalidSettingsError, match="any web page"):
        load_settings({"SPILLWAY_CORS_ORIGINS": "*"})
    assert load_settings({"SPILLWAY_CORS_ORIGINS": "*", "SPILLWAY_API_KEYS": "a"}).server.cors_origins == ("*",)
