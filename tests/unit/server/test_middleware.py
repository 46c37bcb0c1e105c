"""What every request passes: its id, its path, and the rules for web pages, which forget nothing and mix up nothing."""

import asyncio

import pytest
from starlette.responses import Response

from app.observability.access_log import AccessLog
from app.observability.hidden import HiddenValues
from app.server.browsers import BrowserRules
from app.server.delivery import state_of
from app.server.hosts import KnownHosts
from app.server.middleware import BrowserMiddleware, RequestMiddleware
from app.server.paths import path_reader

RULES = BrowserRules(
    KnownHosts(["gateway"]), ("https://app.example.com",), lambda path: path == "/open", {"/"}.__contains__
)


async def served(scope, receive, send) -> None:
    await Response("served")(scope, receive, send)


def scope_of(path: str = "/images", method: str = "POST", **headers: str) -> dict:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": raw, "server": ("10.0.0.5", 80)}


def status_of(app, scope: dict) -> int:
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(app(scope, None, send))
    return sent[0]["status"]


JSON = {"content_type": "application/json"}
ASKED = [
    (scope_of(host="gateway", **JSON), 200),
    (scope_of(host="evil.example", **JSON), 403),
    (scope_of(path="/open", host="evil.example", **JSON), 200),
    (scope_of(host="gateway", origin="https://app.example.com", **JSON), 200),
    (scope_of(host="gateway", origin="https://evil.example", **JSON), 403),
    (scope_of(host="gateway", origin="http://gateway", **JSON), 200),
    (scope_of(host="gateway", sec_fetch_site="cross-site", **JSON), 403),
    (scope_of(host="gateway", sec_fetch_site="same-origin", **JSON), 200),
    (scope_of(host="gateway", content_type="text/plain"), 403),
    (scope_of(host="gateway", content_type="text/plain", method="GET"), 200),
    (scope_of(host="gateway", content_type="multipart/form-data; boundary=a"), 200),
    (scope_of(host="10.0.0.5", **JSON), 200),
    (scope_of(host="10.0.0.6", **JSON), 403),
]


def test_the_same_question_has_the_same_answer_among_all_others():
    app = BrowserMiddleware(served, RULES, lambda error: Response(str(error), 403))
    for _ in range(3):
        assert [status_of(app, dict(scope)) for scope, _ in ASKED] == [status for _, status in ASKED]


def test_more_questions_than_are_remembered_are_answered_all_the_same():
    app = BrowserMiddleware(served, RULES, lambda error: Response(str(error), 403))
    for number in range(200):
        assert status_of(app, scope_of(host=f"evil-{number}.example", **JSON)) == 403
    assert status_of(app, scope_of(host="gateway", **JSON)) == 200


def test_what_is_sent_beside_the_judged_headers_makes_no_other_question():
    asked = []

    class Counted(BrowserRules):
        def problem(self, *question):
            asked.append(question)

    app = BrowserMiddleware(served, Counted(RULES.hosts, (), RULES.is_open, RULES.is_page), lambda error: Response())
    for number in range(5):
        status_of(app, scope_of(host="gateway", idempotency_key=f"key-{number}", **JSON))
    assert len(asked) == 1


@pytest.mark.parametrize("joins", [None, "req_earlier"])
def test_an_answer_bears_the_id_it_has_when_it_begins(joins):
    sent: list[dict] = []

    async def app(scope, receive, send) -> None:
        assert (state_of(scope).request_id, scope["path"], scope["root_path"]) == ("req_own", "/v1/models", "/v1")
        state_of(scope).request_id = joins or state_of(scope).request_id
        await Response("served")(scope, receive, send)

    async def send(message) -> None:
        sent.append(message)

    middleware = RequestMiddleware(
        app, {}, AccessLog("console", "error", HiddenValues()), path_reader(("v1",)), lambda: "req_own"
    )
    asyncio.run(middleware(scope_of("//v1/models/", "GET"), None, send))
    headers = dict(sent[0]["headers"])
    assert headers[b"x-request-id"] == headers[b"x-spillway-request-id"] == (joins or "req_own").encode()
    assert headers[b"openai-processing-ms"].isdigit()
