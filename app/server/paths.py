"""Which part of a path is a prefix before the routes, and what a path that was put together badly means. Pure."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial

_SLASHES = re.compile(r"/{2,}")
_REMEMBERED = 64
"""Clients ask for the same few paths; bounded, because anybody can ask for others."""


def path_reader(names: Iterable[str]) -> Callable[[str], tuple[str, str]]:
    """A function from a path to the path as meant, and the prefix before its route.

    Any run of `names` may stand before a route: clients put base addresses together in many ways, and double a part
    (`/v1/v1/models`) or a slash. A slash at the end means nothing.
    """
    # Followed by a slash: `/v1` alone is a path that nobody serves, not the prefix of an empty one.
    prefix = re.compile(rf"(?:/(?:{'|'.join(re.escape(name) for name in names)})(?=/))*")
    return lru_cache(_REMEMBERED)(partial(_read, prefix))


def _read(prefix: re.Pattern[str], path: str) -> tuple[str, str]:
    if "//" in path:
        path = _SLASHES.sub("/", path)
    if path.endswith("/") and len(path) > 1:
        path = path[:-1]
    match = prefix.match(path)
    return path, match.group() if match else ""
