"""Around every request: its id, its path as meant, the time it took, its counts, its trace and its line in the log.

Nothing is buffered. What is served, and what becomes of faults, is `front`'s affair.
"""

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability.access_log import AccessLog, RequestFacts
from app.observability.metrics import OTHER, Metrics
from app.observability.tracing import NoTraces, Span, Tracer, running
from app.server.delivery import RequestState, state_of
from app.server.process import is_ending

_Lines = Sequence[tuple[bytes, bytes]]
_CLOSE = (b"connection", b"close")
_NO_STATE: Mapping[str, object] = MappingProxyType({})
_CHANCE_BYTES, _IDS_AT_ONCE = 10, 64
_FAILED, _SERVER_ERROR = 400, 500
_WATCHED_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Monitoring asks them every few seconds: only their failures are worth a line."""


class RequestIds:
    """Makes ids of requests: `req_` and 32 hexadecimal digits, the time in milliseconds and what nobody can guess.

    So new rows lie beside each other in every index that begins with an id (0152). `draw` gives so many random bytes,
    `clock` is unix nanoseconds.
    """

    def __init__(self, draw: Callable[[int], bytes] = os.urandom, clock: Callable[[], int] = time.time_ns) -> None:
        self._draw, self._clock = draw, clock
        self._drawn, self._at = b"", 0

    def __call__(self) -> str:
        """An id nobody else has."""
        # Drawn for many at once: a call of the system for each request costs more than all that follows here.
        if self._at >= len(self._drawn):
            self._drawn, self._at = self._draw(_IDS_AT_ONCE * _CHANCE_BYTES), 0
        self._at += _CHANCE_BYTES
        chance = self._drawn[self._at - _CHANCE_BYTES : self._at].hex()
        return f"req_{self._clock() // 1_000_000:012x}{chance}"


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
        new_id: Callable[[], str] | None = None,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._app = app
        self._access_log = access_log
        self._read_path = read_path
        self._extra = [(name.lower().encode(), value.encode("latin-1")) for name, value in extra_headers.items()]
        self._new_id = new_id or RequestIds()
        self._metrics = metrics or Metrics.off()
        self._tracer = None if isinstance(tracer, NoTraces) else tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        started = time.perf_counter()
        state = state_of(scope)
        state.request_id = self._new_id()
        # Set for everything inside: routes, rules and the log must not read one path in two ways.
        scope["path"], scope["root_path"] = self._read_path(scope["path"])
        traced = None if self._tracer is None else self._begin_span(self._tracer, scope, state.facts)
        passing = _Passing(scope, state, receive, send, started, self._extra)
        try:
            if traced is None:
                await self._app(scope, passing.receive, passing.send)
            else:
                with running(traced):
                    await self._app(scope, passing.receive, passing.send)
        finally:
            # A request that was cut off is worth a line as well.
            self._note_end(scope, state, traced, time.perf_counter() - started)

    def _begin_span(self, tracer: Tracer, scope: Scope, facts: RequestFacts) -> Span | None:
        if scope["path"] in _WATCHED_PATHS:
            return None
        method = scope["method"]
        traced = tracer.begin(method, scope["headers"], {"http.request.method": method})
        facts.trace_id = None if traced is None else traced.trace_id
        return traced

    def _note_end(self, scope: Scope, state: RequestState, traced: Span | None, seconds: float) -> None:
        method, path, status = scope["method"], scope["path"], state.status
        # The path of the route, never of the request: whatever callers make up is one label.
        self._metrics.request_ended(state.endpoint or OTHER, state.model, status)
        if state.model:
            self._metrics.image_request_ended(seconds)
        if traced is not None:
            _end_span(traced, state, method)
        if path not in _WATCHED_PATHS or not 0 < status < _FAILED:
            self._access_log.log_request(state.request_id, method, path, status, round(seconds * 1000), state.facts)


class _Passing:
    """What passes of one request in both directions: bytes are counted, headers added, nothing is held."""

    __slots__ = ("_extra", "_receive", "_scope", "_send", "_started", "_state")

    def __init__(
        self, scope: Scope, state: RequestState, receive: Receive, send: Send, started: float, extra: _Lines
    ) -> None:
        self._receive, self._send, self._scope, self._state = receive, send, scope, state
        self._started, self._extra = started, extra

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        self._state.facts.bytes_in += len(message.get("body", b""))
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """A part of the answer. What it gives is to be awaited: to add needs no frame of its own."""
        state = self._state
        if message["type"] == "http.response.start":
            state.status = message["status"]
            # Read when the answer begins: a request that joined an earlier one carries that one's id by then.
            more = () if state.head is None else state.head.lines()
            own, elapsed = state.request_id.encode(), round((time.perf_counter() - self._started) * 1000)
            message["headers"] = [
                *message["headers"],
                *more,
                (b"x-request-id", own),
                (b"x-spillway-request-id", own),
                (b"openai-processing-ms", b"%d" % elapsed),
                *self._extra,
            ]
            if is_ending(self._scope.get("state", _NO_STATE)):
                message["headers"].append(_CLOSE)
        if "body" in message:
            state.facts.bytes_out += len(message["body"])
        return self._send(message)


def _end_span(traced: Span, state: RequestState, method: str) -> None:
    """By the path of the route, never of the request: whatever callers make up is one name."""
    facts, route, status = state.facts, state.endpoint, state.status
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
