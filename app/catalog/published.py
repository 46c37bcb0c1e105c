"""Fetches what Runware's schema and documentation services publish of models that make images.

Any fault is a RefreshError with what to do about it. What the content service says is `content`'s, what it changes in
an entry `refresh`'s.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httpx2

from app.catalog.refresh import TASKS, makes_images, request_properties
from app.catalog.schema_rules import Facts

# The services are small; a whole catalog at once would look like an attack.
_PARALLEL = 8
_NOT_MODIFIED, _OK, _NOT_FOUND = 304, 200, 404


class RefreshError(Exception):
    """The catalog could not be refreshed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where Runware publishes: request schemas, the pages of models, and lists and prices of models."""

    schemas_url: str
    docs_url: str
    content_url: str


@dataclass(frozen=True, slots=True)
class Published:
    """What the services say of one model: `info` is its page's, empty where there is none."""

    air: str
    slug: str
    task: str
    schema: Facts
    info: Facts


@dataclass(frozen=True, slots=True)
class Registered:
    """The registry of schemas: which models it lists, what is published of those that make images, and notes."""

    version: str
    etag: str
    airs: frozenset[str]
    published: tuple[Published, ...]
    notes: tuple[str, ...]


async def fetch_registered(client: httpx2.AsyncClient, sources: Sources, etag: str | None) -> Registered | None:
    """The registry and the schemas it leads to; None where it is still the one with this ETag."""
    headers = {"If-None-Match": etag} if etag else {}
    registry = await _get_object(client, f"{sources.schemas_url}/registry.json", headers)
    if registry is None:
        return None
    body, tag = registry
    listed = _models_of(body)
    places = asyncio.Semaphore(_PARALLEL)
    fetches = (_fetch_one(client, sources, places, air, task, slug) for air, (task, slug) in listed.items())
    fetched = await asyncio.gather(*fetches)
    published = tuple(one for one in fetched if isinstance(one, Published))
    notes = tuple(one for one in fetched if isinstance(one, str))
    return Registered(str(body.get("version", "")), tag, frozenset(listed), published, notes)


async def _fetch_one(
    client: httpx2.AsyncClient, sources: Sources, places: asyncio.Semaphore, air: str, task: str, slug: str
) -> Published | str | None:
    """What is published of one model, a note where its schema is missing, None where it makes no images."""
    async with places:
        resolved = await _get_object(client, f"{sources.schemas_url}/resolve/{air}")
        schema = resolved[0].get("requestSchema") if resolved else None
        if not isinstance(schema, dict):
            return f"{air} is registered but has no schema; its entry stays as it is."
        if not makes_images(request_properties(schema)[0]):
            return None
        page = await _get_object(client, f"{sources.docs_url}/models/{slug}/schema.json") if slug else None
        info = page[0].get("info") if page else None
        return Published(air, slug, task, schema, info if isinstance(info, dict) else {})


async def get_json(client: httpx2.AsyncClient, url: str) -> object:
    """The JSON at an address, None where there is none."""
    found = await _fetch(client, url, {})
    return found[0] if found is not None else None


async def _get_object(
    client: httpx2.AsyncClient, url: str, headers: Mapping[str, str] | None = None
) -> tuple[Facts, str] | None:
    """The JSON object at an address and its ETag; None when it has not changed, or does not exist."""
    found = await _fetch(client, url, headers or {})
    if found is None:
        return None
    if not isinstance(found[0], dict):
        raise RefreshError(f"{url} answered something that is no JSON object; the catalog is unchanged.")
    return cast("Facts", found[0]), found[1]


async def _fetch(client: httpx2.AsyncClient, url: str, headers: Mapping[str, str]) -> tuple[object, str] | None:
    try:
        response = await client.get(url, headers=dict(headers))
    except httpx2.HTTPError as error:
        message = f"{url} cannot be reached ({type(error).__name__}); the catalog is unchanged. Try again later."
        raise RefreshError(message) from None
    # Not every model has a page; that one is missing is no fault of the service.
    if response.status_code in {_NOT_MODIFIED, _NOT_FOUND}:
        return None
    if response.status_code != _OK:
        message = f"{url} answered {response.status_code}; the catalog is unchanged. Try again later."
        raise RefreshError(message)
    try:
        body: object = response.json()
    except ValueError:
        raise RefreshError(f"{url} answered something that is no JSON; the catalog is unchanged.") from None
    return body, response.headers.get("etag", "")


def _models_of(registry: Facts) -> dict[str, tuple[str, str]]:
    """Task type and slug of every model that may make images, by AIR id."""
    models = registry.get("models")
    # An empty list would mark every model as taken away.
    if not isinstance(models, dict) or not models:
        raise RefreshError("The registry lists no models; the catalog is unchanged.")
    return {
        air: (str(one.get("taskType")), str(one.get("id") or ""))
        for air, one in models.items()
        if isinstance(one, dict) and one.get("taskType") in TASKS
    }
