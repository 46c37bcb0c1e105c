"""A route in the table of exact paths answers as the framework would: byte for byte, whatever is sent."""

import contextlib
import re
from collections.abc import Iterator
from itertools import product

import pytest

from app.main import create_app
from app.settings.load import load_settings
from tests.conftest import serving
from tests.support.raw import RawConnection

OWN = re.compile(
    rb'req_[0-9a-f]{32}|openai-processing-ms: \d+|"taskUUID":"[0-9a-f-]{36}"|"seed":\d+|content-length: 1\d{3}'
)
"""What differs between two answers to one question."""
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"]
PATHS = [
    "/images/generations", "/images/edits", "/images/variations", "/healthz", "/readyz", "/models",
    "/models/riverflow-1", "/models/nothing", "/requests", "/requests/req_nothing", "/requests/req_nothing/result",
    "/media/nothing.png", "/key", "/keys", "/keys/key_nothing", "/usage", "/balance", "/audit", "/ledger/verify",
    "/webhooks/secret", "/llms.txt", "/robots.txt", "/favicon.ico", "/openapi.json", "/docs/nothing.js",
    "/web/shell.js", "/nothing", "/images", "/images/generations/more", "/deployments/riverflow-1/images/generations",
]  # fmt: skip
SPELLINGS = [
    "/v1/images/generations",
    "/openai/v1/images/generations",
    "/openai/images/generations",
    "/v1/images/generations/",
    "//v1//images///generations//",
    "/v1/images/%67enerations",
    "/v1%2Fimages/generations",
    "/v1/images/generations%2F",
    "/v1/images/generations%00",
    "/v1/images/../images/generations",
    "/V1/images/generations",
    "/v1/images/generations;a=b",
    "/v1/images/generations?dryRun=true",
    "/v1/images/generations?dryRun=true&name=%00",
    "/v1/images/generations?",
    "/v1/images/generations#part",
    "http://127.0.0.1/v1/images/generations?dryRun=true",
    "http://elsewhere.example/v1/images/generations",
    "/v1/v1/images/generations",
    "/v1",
    "/",
    "//",
    "*",
]
BODIES = [
    b'{"prompt": "a quiet harbor", "size": "256x256"}',
    b"",
    b"{",
    b"[]",
    b'{"prompt": 1}',
    b'{"prompt": "a", "size": "0x0"}',
    b'{"prompt": "a", "model": "nothing-like-it"}',
    b'{"prompt": "\\ud800"}',
]
HEADS = [
    {},
    {"Authorization": "Bearer test-key"},
    {"Authorization": "Bearer wrong"},
    {"api-key": "test-key", "Content-Type": "text/plain"},
    {"api-key": "test-key", "Content-Type": "application/x-www-form-urlencoded"},
    {"api-key": "test-key", "Content-Type": "multipart/form-data"},
    {"api-key": "test-key", "Content-Encoding": "nothing"},
    {"api-key": "test-key", "Content-Encoding": "gzip"},
    {"api-key": "test-key", "X-Spillway-Strict": "perhaps"},
    {"api-key": "test-key", "Idempotency-Key": "k" * 256},
    {"Origin": "https://app.example.com", "api-key": "test-key"},
    {"Origin": "https://evil.example", "api-key": "test-key"},
    {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"},
    {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    {"Host": "evil.example", "api-key": "test-key"},
    {"Sec-Fetch-Site": "cross-site", "api-key": "test-key"},
    {"Accept": "text/html", "api-key": "test-key"},
    {"Expect": "100-continue", "api-key": "test-key"},
    {"Connection": "close", "api-key": "test-key"},
    {"Authorization": "Bearer admin-key"},
]


def start(tmp_path_factory, **variables: str):
    environment = {
        "SPILLWAY_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "SPILLWAY_LOG_LEVEL": "error",
        "SPILLWAY_IMAGE_WORKERS": "1",
        "SPILLWAY_MAX_BODY_BYTES": "100000",
        "RUNWARE_API_KEY": "a-runware-key",
        "RUNWARE_BASE_URL": "http://127.0.0.1:9/v1",
    }
    settings = load_settings(environment | variables)
    app = create_app(settings)
    return app, serving(app, settings)


@pytest.fixture(
    scope="module",
    params=[
        {"SPILLWAY_API_KEYS": "test-key", "SPILLWAY_ADMIN_KEYS": "admin-key"},
        {"SPILLWAY_CORS_ORIGINS": "https://app.example.com"},
    ],
    ids=["with keys", "without keys, for a page"],
)
def settings(request) -> dict[str, str]:
    return request.param


@contextlib.contextmanager
def pair(tmp_path_factory, settings: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Two gateways that differ in nothing but the table."""
    with_table, serving_it = start(tmp_path_factory, **settings)
    without, serving_the_other = start(tmp_path_factory, **settings)
    with serving_it as one, serving_the_other as other:
        assert {("POST", "/images/generations"), ("POST", "/images/edits"), ("GET", "/healthz")} <= set(
            with_table.front.table
        )
        without.front.table = {}
        yield one, other


@pytest.fixture(scope="module")
def both(settings, tmp_path_factory):
    with pair(tmp_path_factory, settings) as origins:
        yield origins


@pytest.fixture(scope="module")
def unused(settings, tmp_path_factory):
    """Both, of which nobody has asked for an image: what they list of requests has no times in it."""
    with pair(tmp_path_factory, settings) as origins:
        yield origins


def asked(origin: str, method: str, target: str, body: bytes, headers: dict[str, str]) -> bytes:
    """All that comes back for one request, until the connection ends."""
    given = {"Host": "127.0.0.1", "Content-Type": "application/json", "Connection": "close"} | headers
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    with RawConnection(origin) as connection:
        connection.send("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        return OWN.sub(b"(own)", connection.rest())


def agree(both: tuple[str, str], method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    one, other = (asked(origin, method, target, body, headers) for origin in both)
    assert one == other
    return one


@pytest.mark.parametrize("path", PATHS)
def test_every_method_of_every_path_is_answered_alike(unused, path):
    for method in METHODS:
        assert agree(unused, method, f"/v1{path}", BODIES[3], **HEADS[1]).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("target", SPELLINGS)
def test_every_spelling_of_a_path_is_read_alike(both, target):
    for method in ("POST", "GET", "OPTIONS"):
        agree(both, method, target, BODIES[0], **HEADS[1])


@pytest.mark.parametrize(("headers", "body"), list(product(HEADS, BODIES[:5])), ids=str)
def test_whatever_is_sent_to_generations_is_answered_alike(both, headers, body):
    for method in ("POST", "OPTIONS"):
        agree(both, method, "/v1/images/generations?dryRun=true", body, **headers)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", ["/images/generations", "/images/edits"])
def test_an_estimate_and_a_wrong_body_are_answered_alike(both, path, body):
    agree(both, "POST", f"{path}?dryRun=true", body, **HEADS[1])


def test_a_body_beyond_its_limit_is_refused_alike(both):
    answer = agree(both, "POST", "/v1/images/generations", b" " * 200_000, **HEADS[1])
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_more_than_one_answer_on_a_connection_comes_alike(both):
    ahead = b"GET /v1/key HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer test-key\r\n\r\n"
    last = ahead.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers = []
    for origin in both:
        with RawConnection(origin) as connection:
            connection.send(ahead * 5 + last)
            answers.append(OWN.sub(b"(own)", connection.rest()))
    assert answers[0] == answers[1]
    assert answers[0].count(b"HTTP/1.1 200 OK") == 6
