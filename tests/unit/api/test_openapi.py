"""The OpenAPI document of the table of routes: valid, and true of what the code reads and sends."""

import asyncio
import re
from decimal import Decimal
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.access.account import Account
from app.api.context import TIMEOUT_HEADERS
from app.api.documented import ERRORS
from app.api.parameters import IMAGE_HEADERS, KEY_HEADERS, MEDIA_HEADERS
from app.domain.caller import Limits
from app.main import create_app
from app.openai_api.key_fields import FIELDS
from app.openai_api.key_schemas import KeyChanges, KeyRequest
from app.openai_api.limit_headers import limit_headers
from app.settings.load import load_settings
from tests.support.routes import served_routes

APP = Path(__file__).resolve().parents[3] / "app"
METHODS = {"get", "post", "patch", "delete", "head", "put"}
NOT_DOCUMENTED = {
    "content-type", "content-length", "content-encoding", "accept", "host", "origin", "user-agent",  # HTTP's own
    "authorization", "api-key", "x-api-key",  # the security schemes
    "x-stainless-retry-count", "x-stainless-read-timeout", "x-stainless-timeout",  # what SDKs send by themselves
}  # fmt: skip


def document_of(folder: Path, **variables: str) -> dict:
    async def start() -> dict:
        settings = {"RUNWARE_API_KEY": "a-key", "SPILLWAY_LOG_LEVEL": "error", "SPILLWAY_DATA_DIR": str(folder)}
        app = create_app(load_settings(settings | variables))
        async with app.router.lifespan_context(app):
            return app.openapi()

    return asyncio.run(start())


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> dict:
    return document_of(tmp_path_factory.mktemp("data"))


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_the_document_is_valid(document):
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_operation_has_a_name_a_group_and_a_description(document):
    groups = [tag["name"] for tag in document["tags"]]
    for method, path, operation in operations(document):
        assert operation["tags"][0] in groups, path
        assert re.fullmatch(r"[A-Z][\w: ]+", operation["summary"]), path
        assert operation["description"].strip(), path
        assert re.fullmatch(r"[a-z_]+", operation["operationId"]), method
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert {operation["tags"][0] for _, _, operation in operations(document)} == set(groups)


def test_every_answer_and_every_parameter_is_described(document):
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            assert parameter["description"].endswith((".", "`")), (path, parameter["name"])
        successes = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert successes, path
        assert all(answer["description"] for answer in successes)
        assert all(
            "content" in answer or status in {"204", "304"} or method == "head"
            for status, answer in operation["responses"].items()
            if "$ref" not in answer
        )


def test_keys_are_sent_in_any_of_three_headers_and_public_routes_need_none(document):
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert (schemes["api-key"]["name"], schemes["x-api-key"]["name"]) == ("api-key", "x-api-key")
    assert [*({name: []} for name in schemes), {}] == document["security"]
    public = {path for _, path, operation in operations(document) if operation.get("security") == []}
    assert public == {path for _, path, one in operations(document) if one["x-spillway-access"] == "public"}
    assert {"/healthz", "/readyz", "/v1/media/{name}"} <= public


def test_what_needs_an_administrator_says_so(document):
    admins = {path for _, path, one in operations(document) if one["x-spillway-access"] == "admin"}
    assert {"/v1/keys", "/v1/audit", "/v1/ledger/verify", "/v1/balance"} <= admins
    for _, _, one in operations(document):
        assert ("Needs the key of an administrator." in one["description"]) == (one["x-spillway-access"] == "admin")


NOT_IN_THE_DOCUMENT = {
    "/images/variations", "/deployments/{deployment:path}/images/generations", "/deployments/{deployment:path}/images/edits",
    "/", "/llms.txt", "/robots.txt", "/favicon.ico", "/playground", "/web/{name:path}", "/docs", "/redoc", "/docs/{name}", "/openapi.json",
}  # fmt: skip


def test_every_route_of_the_api_is_in_the_document(document, tmp_path):
    served = {
        (method.lower(), re.sub(r":\w+}", "}", path))
        for method, path in served_routes(SPILLWAY_DATA_DIR=str(tmp_path))
        if path not in NOT_IN_THE_DOCUMENT
    }
    documented = {(method, path.removeprefix("/v1")) for method, path, _ in operations(document) if method != "head"}
    assert documented == served


def test_addresses_are_those_of_the_document_unless_a_public_url_is_set(document, tmp_path):
    assert [server["url"] for server in document["servers"]] == ["."]
    public = document_of(tmp_path, SPILLWAY_PUBLIC_URL="https://images.example.com")
    assert [server["url"] for server in public["servers"]] == ["https://images.example.com", "."]


def test_every_header_of_a_request_that_the_code_reads_is_documented():
    sources = [*(APP / "api").glob("*.py"), *(APP / "access").glob("*.py")]
    asked = re.compile(r'headers(?:\.get(?:list)?\(|\[)b?"([a-z-]+)"')
    read = {name for path in sources for name in asked.findall(path.read_text())}
    read |= {name.decode() for name in TIMEOUT_HEADERS}
    documented = {header["name"].lower() for header in (*IMAGE_HEADERS, *MEDIA_HEADERS)}
    assert len(documented) >= 5
    assert documented == read - NOT_DOCUMENTED


def test_what_answers_say_of_the_limits_of_a_key_is_documented():
    limits = Limits(budget=Decimal(1), rpm=60, images_per_minute=60)
    sent = {name.decode() for name, _ in limit_headers(Account("key_a", "team", limits, 10**9, 0, 0, 0))}
    assert len(sent) == 7
    assert sent <= {name.lower() for name in KEY_HEADERS}


def test_the_documented_fields_of_a_key_are_those_that_are_read():
    assert list(KeyChanges.model_fields) == list(KeyRequest.model_fields) == list(FIELDS)


def test_every_error_has_an_answer_that_says_when_to_send_again(document):
    answers = document["components"]["responses"]
    assert set(answers) == {f"Error{status}" for status in ERRORS}
    assert {status for status in ERRORS if "Retry-After" in answers[f"Error{status}"]["headers"]} == {
        408, 429, 500, 502, 503, 504, 507,
    }  # fmt: skip
