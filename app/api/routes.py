"""The table of routes: what is served where, who may call it, and what the OpenAPI document says of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route as ServedRoute
from starlette.types import Receive, Scope, Send

from app.access.authentication import Authenticator
from app.access.meters import Meters
from app.api import key_operations as about_keys
from app.api import operations as about
from app.api.balance import BalanceRoutes
from app.api.context import Admin, Public, Scrape, WithKey
from app.api.docs_pages import DocsPages
from app.api.documented import Operation
from app.api.health import HealthRoutes
from app.api.images import ImageRoutes
from app.api.keys import KeyRoutes
from app.api.ledger import LedgerRoutes
from app.api.media import MediaRoutes
from app.api.metrics import MetricsRoutes
from app.api.models import ModelRoutes
from app.api.openapi import DocumentedRoute, Title, document
from app.api.requests import RequestRoutes
from app.api.site import Site
from app.api.usage import UsageRoutes
from app.api.web import Page
from app.server.delivery import state_of
from app.server.front import Table

PREFIXES = ("/v1", "/openai/v1", "/openai", "")
"""OpenAI's own, Lumenfall's and Azure's, and that of an SDK with a bare base URL: `server/paths` reads them all."""
PREFIX_NAMES = ("v1", "openai")
_HEALTH = frozenset({"/healthz", "/readyz"})
_WITHOUT_PREFIX = _HEALTH | {"/metrics"}
"""Where monitoring looks for them."""
_ACCESS: Mapping[type, str] = {Public: "public", WithKey: "key", Admin: "admin", Scrape: "metrics"}
_PAGES = frozenset({"/", "/docs", "/redoc", "/playground", "/models", "/requests", "/usage", "/keys"})
_PAGES_OF_ONE = re.compile(r"/models/.+|/requests/[^/]+")
"""Not what stands below a request: fetching its result says that the caller has it."""
_PAGE_OF = {
    "/": "home",
    "/playground": "playground",
    "/models": "models",
    "/models/{model_id:path}": "models",
    "/requests": "requests",
    "/requests/{request_id}": "requests",
    "/usage": "usage",
    "/keys": "keys",
}
"""Pages by the path of the route before which they stand."""
_DEPLOYMENT = "/deployments/{deployment:path}"
"""Where Azure's SDK classes put the model."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `access` holds the handler and says who may call it, so there is none without a decision."""

    method: str
    path: str
    access: Public | WithKey | Admin | Scrape
    about: Operation | None = None
    """What the OpenAPI document says of it; a route of which it says nothing is not there."""
    page: Page | None = None
    """What a browser is shown at this path in the place of JSON."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """What answers, built once for a running gateway."""

    images: ImageRoutes
    models: ModelRoutes
    media: MediaRoutes
    requests: RequestRoutes
    keys: KeyRoutes
    health: HealthRoutes
    usage: UsageRoutes
    balance: BalanceRoutes
    ledger: LedgerRoutes
    site: Site
    metrics: MetricsRoutes | None
    """None where there are no metrics, or on a port of their own."""


def route_table(handlers: Handlers) -> tuple[Route, ...]:
    """Every route there is."""
    web = handlers.site.web
    # By path: each row goes on saying who may call what stands there for programs.
    pages = {} if web is None else {path: web.page(name) for path, name in _PAGE_OF.items()}
    routes = (
        *_image_routes(handlers.images),
        *_api_routes(handlers),
        *_money_routes(handlers),
        *_key_routes(handlers.keys),
        *_root_routes(handlers.site),
        *_docs_routes(handlers.site.docs),
        *_metrics_routes(handlers.metrics),
    )
    return tuple(replace(route, page=pages.get(route.path)) if route.method == "GET" else route for route in routes)


class _NamedRoute(ServedRoute):
    """A route by whose path its requests are counted, whatever their own is."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        state_of(scope).endpoint = self.path_format
        await super().handle(scope, receive, send)


def serve_routes(
    routes: Iterable[Route], authenticator: Authenticator, meters: Meters | None = None
) -> list[ServedRoute]:
    """Plain Starlette routes: they take the raw request, and FastAPI's solving costs 40 µs a call."""
    return [_serve(route, authenticator, meters) for route in routes]


def _serve(route: Route, authenticator: Authenticator, meters: Meters | None) -> ServedRoute:
    served = _NamedRoute(route.path, route.access.endpoint(authenticator, meters), methods=[route.method])
    if route.page is not None:
        # Before the key is asked for: a page holds no data, and a browser has no key to send yet (0180).
        served.app = route.page.before(served.app)
    return served


def exact_table(routes: Iterable[Route], authenticator: Authenticator, meters: Meters) -> Table:
    """The routes that are found by their paths alone, whatever the caller is."""
    exact = (route for route in routes if "{" not in route.path and route.page is None)
    return {(route.method, route.path): route.access.endpoint(authenticator, meters) for route in exact}


def describe_routes(app: FastAPI, public_url: str | None, routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document, under the first prefix; health stands outside of all."""
    # Made when it is first asked for: it takes a while, and few gateways are asked.
    if app.openapi_schema is None:
        documented = [
            DocumentedRoute(
                route.method,
                route.path if route.path in _WITHOUT_PREFIX else PREFIXES[0] + route.path,
                route.access.handler,
                _ACCESS[type(route.access)],
                route.about,
            )
            for route in routes
            if route.about is not None
        ]
        app.openapi_schema = document(Title(app.title, app.version, app.summary or "", public_url), documented)
    return app.openapi_schema


def is_open(path: str) -> bool:
    """Whether anybody may ask, from any page and by any host name.

    The link to an image is the permission, and health says nothing of anybody.
    """
    return path in _HEALTH or path.startswith("/media/")


def is_page(path: str) -> bool:
    """Whether a path shows itself to a person."""
    return path in _PAGES or _PAGES_OF_ONE.fullmatch(path) is not None


def _image_routes(images: ImageRoutes) -> tuple[Route, ...]:
    create, edit = WithKey(images.create_image), WithKey(images.edit_image)
    return (
        Route("POST", "/images/generations", create, about.create_image()),
        Route("POST", "/images/edits", edit, about.edit_image()),
        Route("POST", f"{_DEPLOYMENT}/images/generations", create),
        Route("POST", f"{_DEPLOYMENT}/images/edits", edit),
        # Public: it says the same to everybody, and spends nothing.
        Route("POST", "/images/variations", Public(images.refuse_variation)),
    )


def _api_routes(handlers: Handlers) -> tuple[Route, ...]:
    models, media, requests, health = handlers.models, handlers.media, handlers.requests, handlers.health
    one = "/requests/{request_id}"
    return (
        Route("GET", "/models", WithKey(models.list_models), about.list_models()),
        Route("GET", "/models/{model_id:path}", WithKey(models.retrieve_model), about.retrieve_model()),
        # Public: the signature of the link is the permission.
        Route("GET", "/media/{name}", Public(media.get_media), about.get_media()),
        Route("GET", "/requests", WithKey(requests.list_requests), about.list_requests()),
        Route("GET", one, WithKey(requests.retrieve_request), about.retrieve_request()),
        Route("GET", f"{one}/result", WithKey(requests.retrieve_result), about.retrieve_result()),
        Route("DELETE", f"{one}/payloads", WithKey(requests.delete_payloads), about.delete_payloads()),
        Route("GET", "/webhooks/secret", WithKey(requests.retrieve_webhook_secret), about.retrieve_webhook_secret()),
        # Public: monitoring has no key of a gateway.
        Route("GET", "/healthz", Public(health.healthz), about.healthz()),
        Route("GET", "/readyz", Public(health.readyz), about.readyz()),
    )


def _money_routes(handlers: Handlers) -> tuple[Route, ...]:
    return (
        Route("GET", "/usage", WithKey(handlers.usage.retrieve_usage), about_keys.retrieve_usage()),
        # The account is the operator's, and all keys together spend from it.
        Route("GET", "/balance", Admin(handlers.balance.retrieve_balance), about_keys.retrieve_balance()),
        Route("GET", "/ledger/verify", Admin(handlers.ledger.verify), about_keys.verify_ledger()),
    )


def _key_routes(keys: KeyRoutes) -> tuple[Route, ...]:
    one = "/keys/{key_id}"
    return (
        Route("GET", "/key", WithKey(keys.retrieve_own), about_keys.retrieve_own()),
        Route("POST", "/keys", Admin(keys.create_key), about_keys.create_key()),
        Route("GET", "/keys", Admin(keys.list_keys), about_keys.list_keys()),
        Route("GET", one, Admin(keys.retrieve_key), about_keys.retrieve_key()),
        Route("PATCH", one, Admin(keys.update_key), about_keys.update_key()),
        Route("DELETE", one, Admin(keys.revoke_key), about_keys.revoke_key()),
        Route("POST", f"{one}/rotate", Admin(keys.rotate_key), about_keys.rotate_key()),
        Route("GET", "/audit", Admin(keys.list_audit), about_keys.list_audit()),
    )


def _metrics_routes(metrics: MetricsRoutes | None) -> tuple[Route, ...]:
    if metrics is None:
        return ()
    return (Route("GET", "/metrics", Scrape(metrics.show_metrics, metrics.key), about.show_metrics()),)


def _root_routes(site: Site) -> tuple[Route, ...]:
    root, web = site.root, site.web
    # Public: they say the same to everybody, and the pages hold no data (0180).
    for_programs = (
        Route("GET", "/", Public(root.show_root)),
        Route("GET", "/llms.txt", Public(root.show_llms)),
        Route("GET", "/robots.txt", Public(root.show_robots)),
    )
    if web is None:
        return for_programs
    return (
        *for_programs,
        Route("GET", "/playground", Public(root.show_root)),
        Route("GET", "/web/{name:path}", Public(web.send_file)),
        Route("GET", "/favicon.ico", Public(web.send_icon)),
    )


def _docs_routes(docs: DocsPages | None) -> tuple[Route, ...]:
    if docs is None:
        return ()
    # Public: they show what is published anyway, and a person who opens them sends no key.
    return (
        Route("GET", "/docs", Public(docs.show_swagger)),
        Route("GET", "/redoc", Public(docs.show_redoc)),
        Route("GET", "/docs/{name}", Public(docs.send_asset)),
    )
