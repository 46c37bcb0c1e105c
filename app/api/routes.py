"""The table of routes: what is served where, and what the OpenAPI document says of it."""

from typing import Any

from fastapi import FastAPI

from app.api import health, images, media, models, requests
from app.api.openapi import (
    SCHEMA,
    PublicRoute,
    describe_body,
    describe_errors,
    describe_images,
    describe_results,
    document,
)
from app.openai_api.schemas import EditForm, EditRequest, GenerationRequest, ModelItem, ModelList

PREFIXES = ("/v1", "/openai/v1", "/openai", "")
"""OpenAI's own, Lumenfall's and Azure's, and that of an SDK with a bare base URL: `server/paths` reads them all."""
PREFIX_NAMES = ("v1", "openai")
_HEALTH = frozenset({"/healthz", "/readyz"})
_PAGES = frozenset({"/", "/docs", "/redoc"})
_DEPLOYMENT = "/deployments/{deployment:path}"
"""Where Azure's SDK classes put the model."""


def add_routes(app: FastAPI) -> None:
    """Serve plain Starlette routes: they take the raw request, and FastAPI's solving costs 40 µs a call."""
    routes = public_routes()
    for route in [*routes, *_OPERATIONS]:
        app.add_route(route.path, route.endpoint, methods=[route.method])
    for route in routes:
        if route.tag == "images":
            app.add_route(f"{_DEPLOYMENT}{route.path}", route.endpoint, methods=[route.method])
    app.add_route("/images/variations", images.refuse_variation, methods=["POST"])


def is_open(path: str) -> bool:
    """Whether anybody may ask: the link to an image is the permission, and health says nothing of anybody."""
    return path in _HEALTH or path.startswith("/media/")


def is_page(path: str) -> bool:
    """Whether a path shows itself to a person."""
    return path in _PAGES


def describe_routes(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, under the first prefix."""
    return document(app, [(PREFIXES[0], route) for route in public_routes()] + [("", route) for route in _OPERATIONS])


def public_routes() -> list[PublicRoute]:
    """The routes of the API."""
    found = describe_errors(401, 404)
    edits = describe_body(EditRequest, EditForm)
    return [
        PublicRoute(
            "POST",
            "/images/generations",
            images.create_image,
            "images",
            describe_images(),
            describe_body(GenerationRequest),
        ),
        PublicRoute("POST", "/images/edits", images.edit_image, "images", describe_images(), edits),
        PublicRoute(
            "GET", "/models", models.list_models, "models", {200: {"model": ModelList}, **describe_errors(401)}
        ),
        PublicRoute(
            "GET",
            "/models/{model_id:path}",
            models.retrieve_model,
            "models",
            {200: {"model": ModelItem}, **found},
            {"parameters": [SCHEMA]},
        ),
        PublicRoute("GET", "/media/{name}", media.get_media, "media", describe_errors(404)),
        PublicRoute("GET", "/requests", requests.list_requests, "requests", describe_errors(400, 401)),
        PublicRoute("GET", "/requests/{request_id}", requests.retrieve_request, "requests", found),
        PublicRoute("GET", "/requests/{request_id}/result", requests.retrieve_result, "requests", describe_results()),
        PublicRoute("DELETE", "/requests/{request_id}/payloads", requests.delete_payloads, "requests", found),
        PublicRoute("GET", "/webhooks/secret", requests.retrieve_webhook_secret, "requests", describe_errors(401)),
    ]


_OPERATIONS = (
    PublicRoute("GET", "/healthz", health.healthz, "operations"),
    PublicRoute("GET", "/readyz", health.readyz, "operations"),
)
