"""The only place where an error becomes an answer: OpenAI's envelope for our errors and the framework's alike."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.database.errors import DatabaseUnavailableError
from app.domain.outcome import Failed, Unresolved
from app.errors import (
    ForbiddenError,
    GatewayError,
    InternalError,
    InvalidRequestError,
    JournalError,
    MethodNotAllowedError,
    NotFoundError,
    StillProcessingError,
    TooManyConnectionsError,
    UnavailableError,
)
from app.observability.access_log import RequestFacts
from app.observability.logs import get_logger
from app.openai_api.render import error_headers, failure_headers, render_error, unresolved_headers
from app.server.delivery import state_of
from app.settings.groups import UpstreamSettings

ErrorHandlers = dict[int | type[Exception], Callable[[Request, Exception], Coroutine[Any, Any, Response]]]
_logger = get_logger("http")
_NOT_FOUND, _NOT_ALLOWED, _SERVER_ERROR = 404, 405, 500
_CLIENT_GONE = 499


async def answer_gateway_error(request: Request, error: Exception) -> Response:
    """A GatewayError as it says itself."""
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for this type only
    # Errors of callers are theirs to see; only what the operator may have to act on is logged.
    if error.status >= _SERVER_ERROR:
        _log(state_of(request.scope).request_id, error)
    return _respond(error, facts=state_of(request.scope).facts)


def answer_failure(request: Request, failed: Failed) -> Response:
    """How an accepted request failed, with what it cost."""
    facts = state_of(request.scope).facts
    facts.error = failed.error.code
    if failed.spent is not None:
        facts.cost = failed.spent.cost
    if failed.error.status >= _SERVER_ERROR:
        _log(failed.request_id, failed.error)
    body = render_error(failed.error, failed.spent)
    return Response(body, failed.error.status, failure_headers(failed), media_type="application/json")


def answer_unresolved(request: Request, outcome: Unresolved) -> Response:
    """That the image of an accepted request is still being made."""
    error = StillProcessingError()
    state_of(request.scope).facts.error = error.code
    _log(outcome.request_id, error)
    return Response(render_error(error), error.status, unresolved_headers(outcome), media_type="application/json")


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """What the framework rejects: no such route, wrong method, malformed request."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    path, facts = request.scope["path"], state_of(request.scope).facts
    if error.status_code == _NOT_FOUND:
        # The path is the caller's text: cut, so that an answer is never as long as what was sent.
        message = f"There is no {path[:200]} here. The image endpoints are /v1/images/generations and /v1/images/edits."
        return _respond(NotFoundError(message, code="unknown_url"), facts=facts)
    if error.status_code == _NOT_ALLOWED:
        # In one order: it comes out of a set, whose order is another one in each process.
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").replace(" ", "").split(",")))
        message = f"{request.method} is not allowed for {path[:200]}; use {allowed or 'another method'}."
        return _respond(MethodNotAllowedError(message), {"Allow": allowed} if allowed else {}, facts=facts)
    return _respond(InvalidRequestError("The request is malformed.", param="body"), facts=facts)


async def answer_database_error(request: Request, error: Exception) -> Response:
    """The journal could not be asked."""
    # The fault itself stands in the log only: it may name hosts and users of the database.
    _logger.error("the journal does not answer", id=state_of(request.scope).request_id, exc_info=error)
    return _respond(JournalError("past requests cannot be looked up"), facts=state_of(request.scope).facts)


async def answer_disconnect(upstream: str, request: Request, error: Exception) -> Response:
    """The caller went away while sending; nobody reads this."""
    del error
    state_of(request.scope).facts.error = "disconnected"
    _logger.info("caller disconnected while sending", id=state_of(request.scope).request_id, upstream=upstream)
    # Nothing was claimed yet, so there is nothing that a retry would have to find.
    return Response(status_code=_CLIENT_GONE)


def refuse_origin(origin: str) -> Response:
    """The answer to a web page that may not call."""
    message = f"Pages of {origin[:200]!r} may not call here: the operator names origins in SPILLWAY_CORS_ORIGINS."
    return render_refusal(ForbiddenError(message, param="Origin", code="origin_not_allowed"))


def answer_fault() -> Response:
    """The answer to a fault of the gateway itself."""
    message = "The gateway failed unexpectedly. The request id leads its operator to the cause."
    # What was bought before the fault is not known here, so SDKs must not send it again by themselves.
    return _respond(InternalError(message, should_retry=False))


def answer_shutdown() -> Response:
    """The answer to a request that has not ended when the process must."""
    message = "This gateway is being restarted. What was begun goes on: send the same request again."
    return _respond(UnavailableError(message, code="restarting", retry_after=1, should_retry=True))


def answer_exhaustion() -> Response:
    """The answer where the process can open nothing more, whatever a request had come to by then."""
    message = "This gateway has no file descriptor left. Try again shortly."
    return _respond(UnavailableError(message, code=TooManyConnectionsError.default_code, should_retry=False))


def render_refusal(error: GatewayError) -> Response:
    """The answer to a request that no route is given."""
    return _respond(error)


def error_handlers(upstream: UpstreamSettings) -> ErrorHandlers:
    """What the framework calls for each kind of error."""
    return {
        GatewayError: answer_gateway_error,
        HTTPException: answer_http_exception,
        ClientDisconnect: partial(answer_disconnect, upstream.upstream_name),
        DatabaseUnavailableError: answer_database_error,
    }


def _respond(
    error: GatewayError, more_headers: dict[str, str] | None = None, facts: RequestFacts | None = None
) -> Response:
    if facts is not None:
        facts.error = error.code
    headers = {**error_headers(error), **(more_headers or {})}
    return Response(render_error(error), error.status, headers, media_type="application/json")


def _log(request_id: str, error: GatewayError) -> None:
    _logger.warning("failed", id=request_id, status=error.status, code=error.code, provider_code=error.provider_code)
