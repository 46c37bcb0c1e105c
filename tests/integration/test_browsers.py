"""A gateway without keys on its owner's machine: no web page that the owner opens may use it, programs may."""

import json

import httpx2
import pytest

from app.settings.load import InvalidSettingsError, load_settings
from tests.support import loopback
from tests.support.processes import unique
from tests.support.raw import RawConnection

PAGE, EVIL = "https://app.example.com", "https://evil.example"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def keyless(start_shared_gateway):
    return start_shared_gateway(
        SPILLWAY_API_KEYS="",
        SPILLWAY_CORS_ORIGINS=PAGE,
        SPILLWAY_PUBLIC_URL="https://images.example.com",
        SPILLWAY_ALLOWED_HOSTS="spillway,*.lan",
    )


def post(gateway, prompt: str, headers: dict[str, str], path: str = "/v1/images/generations") -> httpx2.Response:
    body = json.dumps({"prompt": prompt, "size": "256x256"})
    return loopback.post(f"{gateway.origin}{path}", content=body, headers=headers, timeout=30)


FOREIGN = {
    "a page, as text": {"Origin": EVIL, "Content-Type": "text/plain"},
    "a page, without preflight": {"Origin": EVIL} | JSON,
    "a page, without a type": {"Origin": EVIL},
    "a page with an opaque origin": {"Origin": "null"} | JSON,
    "a page of another port": {"Origin": "http://127.0.0.1:3000"} | JSON,
    "a page that looks like one let in": {"Origin": f"{PAGE}.evil.example"} | JSON,
    "a browser that only says the site": {"Sec-Fetch-Site": "cross-site"} | JSON,
    "a page of the same site": {"Sec-Fetch-Site": "same-site"} | JSON,
    "a link that is followed": {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    | JSON,
    "a name that was made to point here": {"Host": "evil.example:8000", "Origin": "http://evil.example:8000"} | JSON,
    "a made-up name, without more": {"Host": "evil.example"} | JSON,
    "an odd name": {"Host": "localhost:8000@evil.example"} | JSON,
    "text, from no page": {"Content-Type": "text/plain"},
    "text that says JSON further on": {"Content-Type": "text/plain; application/json"},
    "bytes": {"Content-Type": "application/octet-stream"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(
    "path", ["/v1/images/generations", "//images//generations", "/openai/deployments/flux.1-schnell/images/generations"]
)
def test_what_a_foreign_page_could_send_buys_nothing_and_is_told_why(keyless, headers, path):
    prompt = unique()
    answer = post(keyless, prompt, headers, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (403, "permission_error")
    assert error["code"] in {"host_not_allowed", "origin_not_allowed", "content_type_not_allowed"}
    assert any(
        setting in error["message"]
        for setting in ("SPILLWAY_CORS_ORIGINS", "SPILLWAY_ALLOWED_HOSTS", "Content-Type: application/json")
    )
    assert "SPILLWAY_API_KEYS" in error["message"]
    assert keyless.simulator.made(prompt) == 0


def test_a_form_of_a_foreign_page_buys_nothing(keyless):
    prompt = unique()
    for headers in ({"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        files = {"image": ("a.png", b"x"), "prompt": (None, prompt)}
        answer = loopback.post(f"{keyless.origin}/v1/images/edits", files=files, headers=headers)
        assert answer.status_code == 403
    assert keyless.simulator.made(prompt) == 0


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:8000"}, {"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/requests"),
        ("GET", "/v1/requests/req_0/result"),
        ("DELETE", "/v1/requests/req_0/payloads"),
        ("GET", "/v1/models"),
        ("GET", "/v1/webhooks/secret"),
        ("GET", "/nowhere"),
    ],
)
def test_nothing_is_read_or_deleted_either(keyless, method, path, headers):
    answer = loopback.request(method, f"{keyless.origin}{path}", headers=headers)
    assert answer.status_code == 403


OWN = {
    "a program": JSON,
    "a program that says no type": {},
    "a program with a charset": {"Content-Type": "application/json; charset=utf-8"},
    "a type of the family": {"Content-Type": "application/vnd.api+json"},
    "a page let in": {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"} | JSON,
    "by name": {"Host": "localhost:8000"} | JSON,
    "by the public name": {"Host": "images.example.com"} | JSON,
    "by a name that was set": {"Host": "spillway:8000"} | JSON,
    "by a pattern": {"Host": "studio.lan"} | JSON,
    "its own page": {"Host": "localhost:8000", "Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    | JSON,
    "its own page behind TLS": {
        "Host": "images.example.com",
        "Origin": "https://images.example.com",
        "Sec-Fetch-Site": "same-origin",
    }
    | JSON,
    "typed by a person": {"Sec-Fetch-Site": "none"} | JSON,
}


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_programs_and_pages_that_are_let_in_are_served(keyless, headers):
    assert post(keyless, unique(), headers).status_code == 200


def test_a_caller_of_http_1_0_without_a_host_is_no_browser(keyless):
    with RawConnection(keyless.origin) as connection:
        connection.send(b"GET /v1/models HTTP/1.0\r\n\r\n")
        assert connection.answer().status == 200


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: localhost\r\nHost: evil.example",
        b"Host: localhost\r\nOrigin: http://localhost\r\nOrigin: https://evil.example",
    ],
    ids=["Host", "Origin"],
)
def test_a_second_line_hides_nothing(keyless, lines):
    with RawConnection(keyless.origin) as connection:
        connection.send(b"GET /v1/models HTTP/1.1\r\n" + lines + b"\r\n\r\n")
        assert connection.answer().status in {400, 403}


def test_hosted_images_and_health_are_open(keyless):
    url = (
        keyless.generate(output_format="gif")
        .json()["data"][0]["url"]
        .replace("https://images.example.com", keyless.origin)
    )
    shown = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Referer": EVIL}
    assert loopback.get(url, headers=shown).status_code == 200
    for path in ("/healthz", "/readyz"):
        assert loopback.get(f"{keyless.origin}{path}", headers={"Host": "10.0.0.9:8000"}).status_code == 200


def test_a_link_to_a_page_for_people_may_be_followed_but_not_framed(keyless):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert loopback.get(f"{keyless.origin}/docs", headers=followed).status_code == 200
    assert loopback.get(f"{keyless.origin}/docs", headers=followed | {"Sec-Fetch-Dest": "iframe"}).status_code == 403


def test_with_keys_a_page_is_only_asked_for_its_key(gateway):
    headers = {
        "Authorization": "Bearer test-key",
        "Host": "evil.example",
        "Origin": EVIL,
        "Sec-Fetch-Site": "cross-site",
        "Content-Type": "text/plain",
    }
    assert post(gateway, unique(), headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),
        ("127.0.0.1.evil.example:80", None),
        ("localhost:9999", "http://localhost:9999"),
        ("studio.lan:8000", "http://studio.lan:8000"),
        ("STUDIO.lan", "http://STUDIO.lan"),
        ("evil.example/x?localhost", None),
    ],
)
def test_a_link_leads_only_to_names_the_gateway_goes_by(start_shared_gateway, host, origin):
    named = start_shared_gateway(SPILLWAY_ALLOWED_HOSTS="*.lan")
    headers = {"Host": host, "Authorization": "Bearer test-key"}
    body = {"prompt": unique(), "size": "256x256", "output_format": "gif"}
    url = loopback.post(f"{named.base_url}/images/generations", json=body, headers=headers).json()["data"][0]["url"]
    assert url.startswith(f"{origin or named.origin}/v1/media/")


@pytest.mark.parametrize("value", ["a b", "https://a.example", "a.example/x", "*x", "a:b", "a.*"])
def test_what_is_no_name_is_told_at_start(value):
    with pytest.raises(InvalidSettingsError, match="SPILLWAY_ALLOWED_HOSTS: expected names"):
        load_settings({"SPILLWAY_ALLOWED_HOSTS": f"spillway,{value}"})
