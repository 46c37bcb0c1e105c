"""What stands before every route: rules for web pages that forget and mix up nothing, a table of paths, and faults."""

import asyncio
import errno
import json

import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.api.error_handlers import answer_exhaustion, answer_fault, answer_shutdown, error_handlers
from app.errors import InvalidRequestError
from app.observability.access_log import AccessLog
from app.observability.hidden import HiddenValues
from app.server.browsers import BrowserRules
from app.server.delivery import state_of
from app.server.front import FaultAnswers, Front, PageRules
from app.server.hosts import KnownHosts
from app.server.middleware import RequestMiddleware
from app.server.paths import path_reader
from app.settings.groups import UpstreamSettings

RULES = BrowserRules(
    KnownHosts(["gateway"]), ("https://app.example.com",), lambda path: path == "/open", {"/"}.__contains__
)
ANSWERS = FaultAnswers(answer_fault(), answer_exhaustion(), answer_shutdown())
HANDLERS = error_handlers(UpstreamSettings())


async def served(scope, receive, send) -> None:
    await Response("served")(scope, receive, send)


def front_of(rest=served, pages: PageRules | None = None, table=None) -> Front:
    front = Front(rest, HANDLERS, ANSWERS, pages)
    front.table = table or {}
    return front


def guarded(rules: BrowserRules) -> Front:
    return front_of(pages=PageRules(rules, lambda error: Response(str(error), 403)))


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
    app = guarded(RULES)
    for _ in range(3):
        assert [status_of(app, dict(scope)) for scope, _ in ASKED] == [status for _, status in ASKED]


def test_more_questions_than_are_remembered_are_answered_all_the_same():
    app = guarded(RULES)
    for number in range(200):
        assert status_of(app, scope_of(host=f"evil-{number}.example", **JSON)) == 403
    assert status_of(app, scope_of(host="gateway", **JSON)) == 200


def test_what_is_sent_beside_the_judged_headers_makes_no_other_question():
    asked = []

    class Counted(BrowserRules):
        def problem(self, *question):
            asked.append(question)

    app = guarded(Counted(RULES.hosts, (), RULES.is_open, RULES.is_page))
    for number in range(5):
        status_of(app, scope_of(host="gateway", idempotency_key=f"key-{number}", **JSON))
    assert len(asked) == 1


class Failing:
    """A route that fails, before its answer or in it; by itself or in the framework's place."""

    def __init__(self, fault: BaseException, *, begun: bool) -> None:
        self.fault, self.begun = fault, begun

    async def endpoint(self, request: Request):
        if self.begun:
            return self
        raise self.fault

    async def __call__(self, scope, receive, send) -> None:
        if self.begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise self.fault


def run(fault: BaseException, way: str, *, begun: bool = False) -> tuple[list[dict], str]:
    """What is sent by a route that fails, and what the log will say of it."""
    sent: list[dict] = []
    failing = Failing(fault, begun=begun)
    front = front_of(failing) if way == "rest" else front_of(table={("POST", "/images"): failing.endpoint})
    scope = scope_of("/v1/images")

    async def send(message) -> None:
        sent.append(message)

    silent = AccessLog("console", "critical", HiddenValues())
    asyncio.run(RequestMiddleware(front, {}, silent, path_reader(("v1",)))(scope, None, send))
    return sent, state_of(scope).facts.error


WAYS = pytest.mark.parametrize("way", ["table", "rest"])


@WAYS
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (RuntimeError("a"), 500, "internal_error"),
        (OSError(errno.EMFILE, "Too many open files"), 503, "too_many_connections"),
        (OSError(errno.ENFILE, "Too many open files in system"), 503, "too_many_connections"),
        (OSError(errno.ENOSPC, "No space left on device"), 500, "internal_error"),
    ],
    ids=repr,
)
def test_a_fault_is_told(fault, status, code, way):
    (start, rest), _ = run(fault, way)
    assert (start["status"], json.loads(rest["body"])["error"]["code"]) == (status, code)
    assert dict(start["headers"])[b"content-length"] == str(len(rest["body"])).encode()
    assert dict(start["headers"])[b"x-should-retry"] == b"false"


@WAYS
@pytest.mark.parametrize("fault", [RuntimeError("a"), InvalidRequestError("a"), asyncio.CancelledError()], ids=repr)
def test_an_answer_that_has_begun_is_left_alone(fault, way):
    sent, error = run(fault, way, begun=True)
    assert (len(sent), error) == (1, "restarting" if isinstance(fault, asyncio.CancelledError) else "internal_error")


@WAYS
def test_a_request_that_the_end_of_the_process_cuts_off_is_asked_to_come_again(way):
    (start, rest), error = run(asyncio.CancelledError(), way)
    assert (start["status"], json.loads(rest["body"])["error"]["code"], error) == (503, "restarting", "restarting")
    assert dict(start["headers"])[b"x-should-retry"] == b"true"


def test_an_error_of_a_route_in_the_table_is_answered_by_what_answers_all_errors():
    (start, rest), error = run(InvalidRequestError("no", param="size", code="odd"), "table")
    assert (start["status"], error) == (400, "odd")
    assert json.loads(rest["body"])["error"] == {
        "message": "no", "type": "invalid_request_error", "param": "size", "code": "odd"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/images", b"table"),
        ("POST", "/images", b"table"),
        ("POST", "//v1//images/", b"table"),
        ("GET", "/v1/images", b"served"),
        ("HEAD", "/images", b"served"),
        ("POST", "/images/more", b"served"),
        ("POST", "/Images", b"served"),
        ("POST", "/v1", b"served"),
        ("POST", "/", b"served"),
        ("post", "/images", b"served"),
    ],
)
def test_only_the_very_method_and_path_are_found_in_the_table(method, path, body):
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    async def endpoint(request: Request) -> Response:
        return Response("table")

    front = front_of(table={("POST", "/images"): endpoint})
    silent = AccessLog("console", "critical", HiddenValues())
    scope = scope_of(path, method)
    asyncio.run(RequestMiddleware(front, {}, silent, path_reader(("v1",)))(scope, None, send))
    assert sent[1]["body"] == body
    assert state_of(scope).endpoint == ("/images" if body == b"table" else "")
