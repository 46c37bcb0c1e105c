"""Pure ASGI middleware: the request id, the path as meant, the time taken, the access log, web pages, and faults.

Nothing is buffered, and nothing is answered twice: once an answer has begun, a fault only closes it.
"""

import asyncio
import errno
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ForbiddenError
from app.observability.access_log import AccessLog, RequestFacts
from app.observability.logs import get_logger
from app.observability.metrics import OTHER, Metrics
from app.observability.tracing import NoTraces, Span, Tracer, running
from app.server.browsers import JUDGED_HEADERS, BrowserRules
from app.server.delivery import RequestState, state_of
from app.server.process import is_ending

_logger = get_logger("http")
_REMEMBERED = 64
_CLOSE = (b"connection", b"close")
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_FAILED, _SERVER_ERROR = 400, 500
_RESTARTING, _FAULT = "restarting", "internal_error"
"""What the log calls these ends; where an answer can be given, it says the same."""
_WATCHED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Monitoring asks them every few seconds: only their failures are worth a line."""


def new_request_id() -> str:
    """`req_` and 32 hexadecimal digits: the time in milliseconds, then what nobody can guess.

    So new rows lie beside each other in every index that begins with an id (0152).
    """
    return f"req_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


class RequestMiddleware:
    """Gives every HTTP request its id and every answer its headers.

    `read_path` gives the path as meant and the prefix of its route.
    """

    def __init__(
        self,
        app: ASGIApp,
        extra_headers: dict[str, str],
        access_log: AccessLog,
        read_path: Callable[[str], tuple[str, str]],
        new_id: Callable[[], str] = new_request_id,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._app = app
        self._access_log = access_log
        self._read_path = read_path
        self._extra = [(name.lower().encode(), value.encode("latin-1")) for name, value in extra_headers.items()]
        self._new_id = new_id
        self._metrics = metrics or Metrics.off()
        self._tracer = tracer or NoTraces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        state = state_of(scope)
        state.request_id = self._new_id()
        # Set for everything inside: routes, rules and the log must not read one path in two ways.
        scope["path"], scope["root_path"] = self._read_path(scope["path"])
        status, facts = 0, state.facts
        traced = self._begin_span(scope, facts)

        async def receive_and_count() -> Message:
            message = await receive()
            facts.bytes_in += len(message.get("body", b""))
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # Read when the answer begins: a request that joined an earlier one carries that one's id by then.
                more = () if state.head is None else state.head.lines()
                message["headers"] = [*message["headers"], *more, *self._headers(state.request_id, started)]
                if is_ending(scope.get("state", {})):
                    message["headers"].append(_CLOSE)
            else:
                facts.bytes_out += len(message.get("body", b""))
            await send(message)

        try:
            with running(traced):
                await self._app(scope, receive_and_count, send_with_headers)
        finally:
            self._count(state, status, started)
            if traced is not None:
                _end_span(traced, state, scope["method"], status)
            # In `finally`: a request that was cut off is worth a line as well.
            if scope["path"] not in _WATCHED_PATHS or not 0 < status < _FAILED:
                elapsed_ms = round((time.perf_counter() - started) * 1000)
                self._access_log.log_request(
                    state.request_id, scope["method"], scope["path"], status, elapsed_ms, facts
                )

    def _begin_span(self, scope: Scope, facts: RequestFacts) -> Span | None:
        if scope["path"] in _WATCHED_PATHS:
            return None
        method = scope["method"]
        traced = self._tracer.begin(method, scope["headers"], {"http.request.method": method})
        facts.trace_id = None if traced is None else traced.trace_id
        return traced

    def _count(self, state: RequestState, status: int, started: float) -> None:
        # The path of the route, never of the request: whatever callers make up is one label.
        self._metrics.request_ended(state.endpoint or OTHER, state.model, status)
        if state.model:
            self._metrics.image_request_ended(time.perf_counter() - started)

    def _headers(self, request_id: str, started: float) -> list[tuple[bytes, bytes]]:
        own, elapsed = request_id.encode(), round((time.perf_counter() - started) * 1000)
        return [
            (b"x-request-id", own),
            (b"x-spillway-request-id", own),
            (b"openai-processing-ms", str(elapsed).encode()),
            *self._extra,
        ]


def _end_span(traced: Span, state: RequestState, method: str, status: int) -> None:
    """By the path of the route, never of the request: whatever callers make up is one name."""
    facts, route = state.facts, state.endpoint
    if route:
        traced.rename(f"{method} {route}")
    known: dict[str, str | int | float | None] = {
        "http.route": route or None,
        "http.response.status_code": status or None,
        "http.request.body.size": facts.bytes_in,
        "http.response.body.size": facts.bytes_out,
        "gen_ai.response.model": facts.executed_model,
        "spillway.request.id": state.request_id,
        "spillway.key": facts.key,
        "spillway.images": facts.images,
        "spillway.cost_usd": None if facts.cost is None else float(facts.cost),
        "spillway.error": facts.error,
    }
    traced.note({name: value for name, value in known.items() if value is not None})
    # Errors of callers are none of the server's (semantic conventions of HTTP).
    traced.end(facts.error or str(status) if status >= _SERVER_ERROR or not status else None)


class BrowserMiddleware:
    """Answers 403 to what the rules refuse."""

    def __init__(self, app: ASGIApp, rules: BrowserRules, answer: Callable[[ForbiddenError], ASGIApp]) -> None:
        self._app = app
        self._answer = answer
        # The same question has the same answer, and programs ask the same one for every request. Bounded, because what
        # is asked comes from callers.
        self._problem = lru_cache(_REMEMBERED)(rules.problem)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            judged = tuple((name, value) for name, value in scope["headers"] if name in JUDGED_HEADERS)
            local = scope["server"][0] if scope["server"] else None
            problem = self._problem(scope["method"], scope["path"].removeprefix(scope["root_path"]), judged, local)
            if problem is not None:
                state_of(scope).facts.error = problem.code
                await self._answer(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class FaultAnswers:
    """Finished answers: to faults, to those of files that cannot be opened, and where the process ends."""

    internal_error: ASGIApp
    exhausted: ASGIApp
    shutdown: ASGIApp


class FaultMiddleware:
    """The last resort for faults, and for requests that have not ended when the process must.

    It stands inside whatever adds headers, so that the answer to a fault has them too.
    """

    def __init__(self, app: ASGIApp, answers: FaultAnswers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except asyncio.CancelledError:
            # Only the server cancels a whole request, when the grace period is over. The task ends here all the same;
            # an answer that says so leads the retry to the image, a cut connection only maybe.
            state_of(scope).facts.error = _RESTARTING
            if not begun:
                await self._answers.shutdown(scope, receive, send)
        except Exception as fault:
            state_of(scope).facts.error = _FAULT
            _logger.exception("unexpected fault", id=state_of(scope).request_id)
            if begun:
                return
            has_descriptors = not isinstance(fault, OSError) or fault.errno not in _NO_DESCRIPTORS
            answer = self._answers.internal_error if has_descriptors else self._answers.exhausted
            await answer(scope, receive, send)
