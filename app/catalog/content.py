"""Fetches what Runware's content service says of image models: the list of them, and a page of prices each.

Owns the service's addresses and paging, and leaves what the pages change to `repricing`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

Facts = Mapping[str, object]
Get = Callable[[str], Awaitable[object]]
"""The JSON at an address, None where there is none; raises where the service fails."""

_PAGE = 100
_MAX_PAGES = 50
# A few at a time: the service is somebody else's, and a refresh is in no hurry.
_PARALLEL = 8
# How the list is wrapped is documented nowhere, so every usual way is read.
_WRAPPINGS = ("data", "models", "items", "results")


@dataclass(frozen=True, slots=True)
class Content:
    """What the service says: `listed` and `prices` by AIR id, `airs_by_name` by every other name of a model."""

    listed: Mapping[str, Facts]
    prices: Mapping[str, Facts]
    airs_by_name: Mapping[str, str]


async def fetch_content(get: Get, content_url: str, airs: Iterable[str]) -> Content:
    """The list of image models and the prices of those in `airs`."""
    listed = {str(one.get("air")): one for one in await _fetch_list(get, content_url) if one.get("air")}
    names = {str(name): air for air, one in listed.items() for name in (one.get("model"), one.get("name")) if name}
    places = asyncio.Semaphore(_PARALLEL)

    async def fetch_price(air: str) -> tuple[str, object]:
        async with places:
            return air, await get(f"{content_url}/models/{air}/pricing")

    # A model without a page of prices is no fault: new ones have none yet.
    pages = await asyncio.gather(*(fetch_price(air) for air in airs))
    return Content(listed, {air: page for air, page in pages if isinstance(page, Mapping)}, names)


async def _fetch_list(get: Get, content_url: str) -> list[Facts]:
    """All pages of the list. Every status is asked for: a model that was taken away must be seen to be so."""
    found: list[Facts] = []
    for page in range(_MAX_PAGES):
        query = f"category=image&limit={_PAGE}&offset={page * _PAGE}&paginate=true"
        listed = _unwrap(await get(f"{content_url}/models?{query}"))
        found += listed
        # A short page is the last; the bound on pages ends a service that never says so.
        if len(listed) < _PAGE:
            break
    return found


def _unwrap(body: object) -> list[Facts]:
    """The list in an answer, whatever it is wrapped in."""
    if isinstance(body, Mapping):
        body = next((body[name] for name in _WRAPPINGS if isinstance(body.get(name), list)), None)
    return [one for one in body if isinstance(one, Mapping)] if isinstance(body, list) else []
