"""Which part of a path is a prefix before the routes, and what a path that was put together badly means. Pure."""

import re
from collections.abc import Callable, Iterable

_SLASHES = re.compile(r"/{2,}")


def path_reader(names: Iterable[str]) -> Callable[[str], tuple[str, str]]:
    """A function from a path to the path as meant, and the prefix before its route.

    Any run of `names` may stand before a route: clients put base addresses together in many ways, and double a part
    (`/v1/v1/models`) or a slash. A slash at the end means nothing.
    """
    prefix = re.compile(rf"(?:/(?:{'|'.join(re.escape(name) for name in names)})(?=/))*")

    def read(path: str) -> tuple[str, str]:
        if "//" in path:
            path = _SLASHES.sub("/", path)
        if path.endswith("/") and len(path) > 1:
            path = path[:-1]
        match = prefix.match(path)
        return path, match.group() if match else ""

    return read
