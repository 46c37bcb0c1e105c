"""The application: FastAPI's, which requests reach through our own way in.

FastAPI keeps the routes, the documents and the lifespan. Its layers for faults, limits and telemetry have nothing to do
here: each of those duties is `server`'s, for every route (0147).
"""

from collections.abc import Coroutine
from typing import Any

from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import Lifespan, Receive, Scope, Send

from app import __version__
from app.access.authentication import Authenticator
from app.access.meters import Meters
from app.api.error_handlers import answer_exhaustion, answer_fault, answer_shutdown, error_handlers
from app.api.middleware import Watching, page_rules, way_in
from app.api.routes import Route, describe_routes, exact_table, serve_routes
from app.api.site import TITLE
from app.server.front import FaultAnswers, Front
from app.settings.load import Settings


class Gateway(FastAPI):
    """The ASGI application. `watching` is what looks at every request that passes."""

    def __init__(self, settings: Settings, lifespan: Lifespan[Any], watching: Watching) -> None:
        super().__init__(
            title=TITLE,
            version=__version__,
            summary="An OpenAI-compatible image gateway in front of Runware",
            lifespan=lifespan,
            # Paths are read by `server/paths`; a redirect would turn a POST into a GET and lose its body.
            redirect_slashes=False,
            root_path_in_servers=False,
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json" if settings.server.docs else None,
        )
        self._public_url = settings.server.public_url
        self._own_routes, self._routes = tuple(self.router.routes), tuple[Route, ...]()
        handlers = error_handlers(settings.upstream)
        answers = FaultAnswers(answer_fault(), answer_exhaustion(), answer_shutdown())
        rest = ExceptionMiddleware(self.router, handlers)
        self.front = Front(rest, handlers, answers, page_rules(settings))
        self._way_in = way_in(self.front, settings, watching)

    def serve(self, routes: tuple[Route, ...], authenticator: Authenticator, meters: Meters) -> None:
        """Serve these routes from now on, and none that were served before."""
        # In place and as a whole: a second start must not leave the handlers of the first one in front.
        # Every route is bound to the same keys; a handler has no way to its caller but through them (0090).
        self.router.routes[:] = [*self._own_routes, *serve_routes(routes, authenticator, meters)]
        self.front.table = exact_table(routes, authenticator, meters)
        self._routes = routes

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return describe_routes(self, self._public_url, self._routes)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve one request, or the life of the process. What it gives is to be awaited: it needs no frame itself."""
        if scope["type"] == "http":
            scope["app"] = self
            return self._way_in(scope, receive, send)
        return super().__call__(scope, receive, send)
