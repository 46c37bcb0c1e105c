"""Who may call which route: said once, in the table, and kept for every route that is served."""

import asyncio

import httpx2
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from app.access.authentication import KeyAuthenticator
from app.api.context import Admin, Public, WithKey
from app.api.routes import Route, serve_routes
from app.errors import AuthenticationError, ForbiddenError
from app.settings.named_keys import NamedKey
from tests.support import loopback
from tests.support.raw import RawConnection
from tests.support.routes import served_routes

WITH_KEY = [
    ("POST", "/images/generations"),
    ("POST", "/images/edits"),
    ("POST", "/deployments/{deployment:path}/images/generations"),
    ("POST", "/deployments/{deployment:path}/images/edits"),
    ("GET", "/models"),
    ("GET", "/models/{model_id:path}"),
    ("GET", "/requests"),
    ("GET", "/requests/{request_id}"),
    ("GET", "/requests/{request_id}/result"),
    ("DELETE", "/requests/{request_id}/payloads"),
    ("GET", "/webhooks/secret"),
    ("GET", "/usage"),
    ("GET", "/key"),
]
ADMIN = [
    ("GET", "/balance"),
    ("GET", "/ledger/verify"),
    ("POST", "/keys"),
    ("GET", "/keys"),
    ("GET", "/keys/{key_id}"),
    ("PATCH", "/keys/{key_id}"),
    ("DELETE", "/keys/{key_id}"),
    ("POST", "/keys/{key_id}/rotate"),
    ("GET", "/audit"),
    ("GET", "/metrics"),
]
PUBLIC = [
    ("POST", "/images/variations"),
    ("GET", "/media/{name}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/"),
    ("GET", "/llms.txt"),
    ("GET", "/robots.txt"),
    ("GET", "/favicon.ico"),
    ("GET", "/playground"),
    ("GET", "/web/{name:path}"),
    ("GET", "/docs"),
    ("GET", "/redoc"),
    ("GET", "/docs/{name}"),
    ("GET", "/openapi.json"),
]


def keys_of(*keys: str, admin: str = "admin") -> KeyAuthenticator:
    return KeyAuthenticator([NamedKey(SecretStr(key)) for key in keys], [NamedKey(SecretStr(admin))])


def test_every_route_that_is_served_is_listed_here(tmp_path):
    assert sorted(served_routes(SPILLWAY_DATA_DIR=str(tmp_path))) == sorted(WITH_KEY + ADMIN + PUBLIC)


def test_the_pages_are_served_only_where_they_are_wanted(tmp_path):
    left = [path for _, path in served_routes(SPILLWAY_DATA_DIR=str(tmp_path), SPILLWAY_DOCS="false")]
    assert not {"/docs", "/redoc", "/docs/{name}", "/openapi.json"} & set(left)


def test_web_pages_are_served_only_where_they_are_wanted(tmp_path):
    left = [path for _, path in served_routes(SPILLWAY_DATA_DIR=str(tmp_path), SPILLWAY_WEB="false")]
    assert not {"/playground", "/web/{name:path}"} & set(left)
    assert {"/", "/llms.txt", "/robots.txt"} <= set(left)


def test_a_route_that_does_not_say_who_may_call_cannot_be_made():
    with pytest.raises(TypeError, match="access"):
        Route("GET", "/open")


def call(gateway, method: str, path: str, **headers: str) -> httpx2.Response:
    url = f"{gateway.origin}{path.replace('{', '').replace('}', '').replace(':path', '')}"
    return loopback.request(method, url, headers=headers, content=b"{}" if method == "POST" else None)


@pytest.mark.parametrize(("method", "path"), WITH_KEY + ADMIN, ids=str)
def test_a_route_with_a_key_is_refused_without_a_valid_one(gateway, method, path):
    for headers in ({}, {"Authorization": "Bearer of-somebody-else"}):
        answer = call(gateway, method, path, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(("method", "path"), WITH_KEY, ids=str)
def test_a_route_with_a_key_is_reached_with_one(gateway, method, path):
    assert call(gateway, method, path, Authorization="Bearer test-key").status_code not in {401, 405, 500}


@pytest.mark.parametrize(("method", "path"), ADMIN, ids=str)
def test_a_route_of_administrators_is_refused_to_every_other_key(gateway, method, path):
    answer = call(gateway, method, path, Authorization="Bearer test-key")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "admin_required")


@pytest.mark.parametrize(("method", "path"), PUBLIC, ids=str)
def test_a_public_route_asks_nobody_for_a_key(gateway, method, path):
    assert call(gateway, method, path).status_code not in {401, 405, 500}


def test_a_handler_behind_a_key_is_told_who_calls_and_never_called_by_anybody_else():
    seen = []

    async def handler(_: Request, caller) -> Response:
        seen.append(caller)
        return Response()

    def ask(**headers: str) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        asyncio.run(endpoint(Request({"type": "http", "path": "/", "query_string": b"", "headers": raw})))

    keys = keys_of("one", "two")
    (route,) = serve_routes([Route("GET", "/", WithKey(handler))], keys)
    endpoint = route.endpoint
    ask(authorization="Bearer two")
    assert seen == [asyncio.run(keys.authenticate({"authorization": "Bearer two"}))]
    with pytest.raises(AuthenticationError):
        ask(authorization="Bearer three")
    assert len(seen) == 1


def test_a_handler_for_administrators_is_called_by_nobody_else():
    async def handler(_: Request, caller) -> Response:
        return Response(caller.name or "somebody")

    (route,) = serve_routes([Route("GET", "/", Admin(handler))], keys_of("one"))

    def ask(key: str) -> Response:
        raw = [(b"api-key", key.encode())]
        return asyncio.run(route.endpoint(Request({"type": "http", "path": "/", "query_string": b"", "headers": raw})))

    assert ask("admin").body == b"somebody"
    with pytest.raises(ForbiddenError) as caught:
        ask("one")
    assert (caught.value.status, caught.value.code) == (403, "admin_required")
    with pytest.raises(AuthenticationError):
        ask("another")


def test_a_public_handler_is_called_as_it_is():
    async def handler(_: Request) -> Response:
        return Response()

    (route,) = serve_routes([Route("GET", "/", Public(handler))], keys_of("one"))
    assert route.endpoint is handler


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/models",
        "/v1/models",
        "/openai/v1/models",
        "/v1/v1/models/",
        "//v1//models//",
        "/v1/models/riverflow-1",
        "/v1/models/../models",
        "/v1/%6dodels",
        "/v1/requests?limit=1",
        "/openai/requests/req_1/result/",
    ],
)
def test_no_other_spelling_of_a_path_or_method_opens_a_route(gateway, method, path):
    with RawConnection(gateway.origin) as connection:
        connection.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert connection.socket.recv(12) == b"HTTP/1.1 401"
