"""The table of routes: what is served where, who may call it, and what the OpenAPI document says of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route as ServedRoute

from app.access.authentication import Authenticator
from app.access.meters import Meters
from app.api.balance import BalanceRoutes
from app.api.context import Admin, Public, WithKey
from app.api.docs_pages import DocsPages
from app.api.health import HealthRoutes
from app.api.images import ImageRoutes
from app.api.keys import KeyRoutes
from app.api.ledger import LedgerRoutes
from app.api.media import MediaRoutes
from app.api.models import ModelRoutes
from app.api.openapi import (
    SCHEMA,
    USAGE_QUERY,
    Documented,
    DocumentedRoute,
    describe_body,
    describe_errors,
    describe_images,
    describe_results,
    describe_usage,
    document,
)
from app.api.requests import RequestRoutes
from app.api.usage import UsageRoutes
from app.openai_api.request_schemas import EDIT, EDIT_FORM, GENERATION
from app.openai_api.schemas import ModelItem, ModelList
from app.openai_api.usage_schemas import BalanceModel

PREFIXES = ("/v1", "/openai/v1", "/openai", "")
"""OpenAI's own, Lumenfall's and Azure's, and that of an SDK with a bare base URL: `server/paths` reads them all."""
PREFIX_NAMES = ("v1", "openai")
_HEALTH = frozenset({"/healthz", "/readyz"})
_PAGES = frozenset({"/", "/docs", "/redoc"})
_DEPLOYMENT = "/deployments/{deployment:path}"
"""Where Azure's SDK classes put the model."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `access` holds the handler and says who may call it, so there is none without a decision."""

    method: str
    path: str
    access: Public | WithKey | Admin
    tag: str | None = None
    """Its group in the OpenAPI document, which leaves out a route without one."""
    responses: dict[int | str, Documented] = field(default_factory=dict)
    body: Documented | None = None


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
    docs: DocsPages | None
    """None where the operator does not want them served."""


def route_table(handlers: Handlers) -> tuple[Route, ...]:
    """Every route there is."""
    return (
        *_image_routes(handlers.images),
        *_api_routes(handlers),
        *_money_routes(handlers),
        *_key_routes(handlers.keys),
        *_page_routes(handlers),
    )


def serve_routes(
    routes: Iterable[Route], authenticator: Authenticator, meters: Meters | None = None
) -> list[ServedRoute]:
    """Plain Starlette routes: they take the raw request, and FastAPI's solving costs 40 µs a call."""
    return [
        ServedRoute(route.path, route.access.endpoint(authenticator, meters), methods=[route.method])
        for route in routes
    ]


def describe_routes(app: FastAPI, routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document, under the first prefix; health stands outside of all."""
    # Made when it is first asked for: it takes a while, and few gateways are asked.
    if app.openapi_schema is not None:
        return app.openapi_schema
    documented = [
        DocumentedRoute(
            route.method,
            route.path if route.tag == "operations" else PREFIXES[0] + route.path,
            route.access.handler,
            route.tag,
            route.responses,
            route.body,
        )
        for route in routes
        if route.tag is not None
    ]
    app.openapi_schema = document(app, documented)
    return app.openapi_schema


def is_open(path: str) -> bool:
    """Whether anybody may ask, from any page and by any host name.

    The link to an image is the permission, and health says nothing of anybody.
    """
    return path in _HEALTH or path.startswith("/media/")


def is_page(path: str) -> bool:
    """Whether a path shows itself to a person."""
    return path in _PAGES


def _image_routes(images: ImageRoutes) -> tuple[Route, ...]:
    answers = describe_images()
    create, edit = WithKey(images.create_image), WithKey(images.edit_image)
    return (
        Route("POST", "/images/generations", create, "images", answers, describe_body(GENERATION)),
        Route("POST", "/images/edits", edit, "images", answers, describe_body(EDIT, EDIT_FORM)),
        Route("POST", f"{_DEPLOYMENT}/images/generations", create),
        Route("POST", f"{_DEPLOYMENT}/images/edits", edit),
        # Public: it says the same to everybody, and spends nothing.
        Route("POST", "/images/variations", Public(images.refuse_variation)),
    )


def _api_routes(handlers: Handlers) -> tuple[Route, ...]:
    models, media, requests, health = handlers.models, handlers.media, handlers.requests, handlers.health
    models_listed: dict[int | str, Documented] = {200: {"model": ModelList}, **describe_errors(401)}
    found, one = describe_errors(401, 404), "/requests/{request_id}"
    model_found: dict[int | str, Documented] = {200: {"model": ModelItem}, **found}
    schema: Documented = {"parameters": [SCHEMA]}
    listed, secret, results = describe_errors(400, 401, 403, 404), describe_errors(401, 403), describe_results()
    return (
        Route("GET", "/models", WithKey(models.list_models), "models", models_listed),
        Route("GET", "/models/{model_id:path}", WithKey(models.retrieve_model), "models", model_found, schema),
        # Public: the signature of the link is the permission.
        Route("GET", "/media/{name}", Public(media.get_media), "media", describe_errors(404)),
        Route("GET", "/requests", WithKey(requests.list_requests), "requests", listed),
        Route("GET", one, WithKey(requests.retrieve_request), "requests", found),
        Route("GET", f"{one}/result", WithKey(requests.retrieve_result), "requests", results),
        Route("DELETE", f"{one}/payloads", WithKey(requests.delete_payloads), "requests", found),
        Route("GET", "/webhooks/secret", WithKey(requests.retrieve_webhook_secret), "requests", secret),
        # Public: monitoring has no key of a gateway.
        Route("GET", "/healthz", Public(health.healthz), "operations"),
        Route("GET", "/readyz", Public(health.readyz), "operations"),
    )


def _money_routes(handlers: Handlers) -> tuple[Route, ...]:
    balances: dict[int | str, Documented] = {200: {"model": BalanceModel}, **describe_errors(400, 401, 403, 502, 503)}
    usage = WithKey(handlers.usage.retrieve_usage)
    return (
        Route("GET", "/usage", usage, "usage", describe_usage(), {"parameters": USAGE_QUERY}),
        # The account is the operator's, and all keys together spend from it.
        Route("GET", "/balance", Admin(handlers.balance.retrieve_balance), "usage", balances),
        Route("GET", "/ledger/verify", Admin(handlers.ledger.verify), "usage", describe_errors(401, 403)),
    )


def _key_routes(keys: KeyRoutes) -> tuple[Route, ...]:
    one, refused, unknown = "/keys/{key_id}", describe_errors(400, 401, 403), describe_errors(400, 401, 403, 404)
    return (
        Route("POST", "/keys", Admin(keys.create_key), "keys", refused),
        Route("GET", "/keys", Admin(keys.list_keys), "keys", refused),
        Route("GET", one, Admin(keys.retrieve_key), "keys", unknown),
        Route("PATCH", one, Admin(keys.update_key), "keys", unknown),
        Route("DELETE", one, Admin(keys.revoke_key), "keys", unknown),
        Route("POST", f"{one}/rotate", Admin(keys.rotate_key), "keys", unknown),
        Route("GET", "/audit", Admin(keys.list_audit), "keys", refused),
    )


def _page_routes(handlers: Handlers) -> tuple[Route, ...]:
    docs = handlers.docs
    if docs is None:
        return ()
    # Public: they show what is published anyway, and a person who opens them sends no key.
    return (
        Route("GET", "/docs", Public(docs.show_swagger)),
        Route("GET", "/redoc", Public(docs.show_redoc)),
        Route("GET", "/docs/{name}", Public(docs.send_asset)),
    )
