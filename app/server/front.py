"""What stands before every route: the rules for web pages, the last resort for faults, and a table of exact paths.

A route whose path holds no parameter is found by one look into the table, and served without the framework: of what a
small answer costs, its layers and its search for a route would be a good part (0147). All else is `rest`'s.
"""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ForbiddenError
from app.observability.logs import get_logger
from app.server.browsers import JUDGED_HEADERS, BrowserRules
from app.server.delivery import state_of
from app.server.request import GatewayRequest

_REMEMBERED = 64
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_RESTARTING, _FAULT = "restarting", "internal_error"
"""What the log calls these ends; where an answer can be given, it says the same."""
_logger = get_logger("http")

Endpoint = Callable[[Request], Awaitable[ASGIApp]]
ErrorHandler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]
ErrorHandlers = Mapping[Any, ErrorHandler]
Table = Mapping[tuple[str, str], Endpoint]
"""Endpoints by method, and by the path of the route, which is also the one it is counted by."""


@dataclass(frozen=True, slots=True)
class FaultAnswers:
    """Finished answers: to faults, to those of files that cannot be opened, and where the process ends."""

    internal_error: ASGIApp
    exhausted: ASGIApp
    shutdown: ASGIApp


@dataclass(frozen=True, slots=True)
class PageRules:
    """What web pages may do, and the answer to what they may not."""

    rules: BrowserRules
    refuse: Callable[[ForbiddenError], ASGIApp]


class Front:
    """Serves HTTP requests: those in its `table` by itself.

    It stands inside whatever adds headers, so that the answer to a fault has them too; `handlers` are those that `rest`
    answers errors by.
    """

    def __init__(
        self, rest: ASGIApp, handlers: ErrorHandlers, answers: FaultAnswers, pages: PageRules | None = None
    ) -> None:
        self._rest = rest
        self._handlers = handlers
        self._answers = answers
        self._pages = pages
        # The same question has the same answer, and programs ask the same one for every request. Bounded, because what
        # is asked comes from callers.
        self._problem = None if pages is None else lru_cache(_REMEMBERED)(pages.rules.problem)
        self.table: Table = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"].removeprefix(scope["root_path"])
        refusal = None if self._problem is None else self._refusal_of(scope, path)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        state, endpoint = state_of(scope), self.table.get((scope["method"], path))
        try:
            if endpoint is None:
                await self._rest(scope, receive, send)
                return
            state.endpoint = path
            try:
                answer = await endpoint(GatewayRequest(scope, receive, send, state))
                await answer(scope, receive, send)
            except Exception as error:
                handle = self._handler_of(error)
                if handle is None:
                    raise
                if state.status:
                    problem = "An error that has an answer came behind the beginning of another one."
                    raise RuntimeError(problem) from error
                answer = await handle(Request(scope, receive, send), error)
                await answer(scope, receive, send)
        except asyncio.CancelledError:
            # Only the server cancels a whole request, when the grace period is over. The task ends here all the same;
            # an answer that says so leads the retry to the image, a cut connection only maybe.
            state.facts.error = _RESTARTING
            if not state.status:
                await self._answers.shutdown(scope, receive, send)
        except Exception as fault:
            state.facts.error = _FAULT
            _logger.exception("unexpected fault", id=state.request_id)
            # Nothing is answered twice: once an answer has begun, a fault only closes it.
            if state.status:
                return
            has_descriptors = not isinstance(fault, OSError) or fault.errno not in _NO_DESCRIPTORS
            answer = self._answers.internal_error if has_descriptors else self._answers.exhausted
            await answer(scope, receive, send)

    def _handler_of(self, error: Exception) -> ErrorHandler | None:
        return next((self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers), None)

    def _refusal_of(self, scope: Scope, path: str) -> ASGIApp | None:
        if self._pages is None or self._problem is None:
            return None
        judged = tuple((name, value) for name, value in scope["headers"] if name in JUDGED_HEADERS)
        local = scope["server"][0] if scope["server"] else None
        problem = self._problem(scope["method"], path, judged, local)
        if problem is None:
            return None
        state_of(scope).facts.error = problem.code
        return self._pages.refuse(problem)
