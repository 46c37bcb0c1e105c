"""Keeps web pages from using a gateway that asks for no key: any page its owner opens could reach it.

Owns the rules, and is pure. A gateway with keys needs none of them, because a page does not have the key.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from starlette.datastructures import Headers

from app.errors import ForbiddenError
from app.server.hosts import KnownHosts

_OWN_SITES = frozenset({"same-origin", "none"})
"""`none` is what a person typed or opened from a bookmark."""
_READING = frozenset({"GET", "HEAD"})
JUDGED_HEADERS = frozenset(
    {b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"content-type"}
)
"""All that a request is judged by, beside its method, its path and the address it came to."""
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class BrowserRules:
    """What a request must be like to be nobody else's idea.

    `is_open` says which paths anybody may ask for, `is_page` which are pages for people.
    """

    hosts: KnownHosts
    origins: Collection[str]
    is_open: Callable[[str], bool]
    is_page: Callable[[str], bool]

    def problem(
        self, method: str, path: str, judged: tuple[tuple[bytes, bytes], ...], local: str | None
    ) -> ForbiddenError | None:
        """Why a request is refused, if it is; `judged` are its JUDGED_HEADERS."""
        if self.is_open(path):
            return None
        headers = Headers(raw=list(judged))
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        # DNS rebinding: a foreign page can reach loopback under its own name, but not without sending that name (0011).
        for host in hosts:
            if not self.hosts.knows(host, local):
                return _refuse_host(host)
        if len(origins) == 1 and origins[0] in self.origins:
            return None  # the operator lets this page in, and it says what it is
        if origins and not (len(origins) == len(hosts) == 1 and _is_same(origins[0], hosts[0])):
            return _refuse_page(origins[0])
        if not set(headers.getlist("sec-fetch-site")) <= _OWN_SITES and not self._is_opened(method, path, headers):
            return _refuse_page("another site")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        # Browsers send simple content types without asking first, and the body could still be JSON (0011).
        if method in _READING or not _may_hide_json(kind, has_origin=bool(origins)):
            return None
        return _refuse_kind(kind)

    def _is_opened(self, method: str, path: str, headers: Headers) -> bool:
        """A link to a page for people, followed in a window of its own: the page with the link cannot read it."""
        opened = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return method in _READING and opened and self.is_page(path)


def _is_same(origin: str, host: str) -> bool:
    """Whether a page came from the gateway itself; TLS may end at a proxy before it."""
    scheme, _, rest = origin.lower().partition("://")
    return scheme in {"http", "https"} and rest == host.lower()


def _may_hide_json(kind: str, *, has_origin: bool) -> bool:
    """Whether a body could be JSON that a page sent without asking first: browsers ask before `application/json`."""
    if not kind:
        return has_origin
    return not (kind == "application/json" or kind.endswith("+json") or kind in _FORMS)


_WHY = "This gateway asks for no API key, so it answers only what cannot come from somebody else's web page"


def _refuse_host(host: str) -> ForbiddenError:
    advice = "add it to SPILLWAY_ALLOWED_HOSTS, set SPILLWAY_PUBLIC_URL, or set SPILLWAY_API_KEYS"
    message = f"{_WHY}; {host[:200]!r} is not a name it goes by: {advice}."
    return ForbiddenError(message, param="Host", code="host_not_allowed")


def _refuse_page(page: str) -> ForbiddenError:
    advice = "name its origin in SPILLWAY_CORS_ORIGINS, or set SPILLWAY_API_KEYS"
    message = f"{_WHY}; this request was made by a page of {page[:200]!r}: {advice}."
    return ForbiddenError(message, param="Origin", code="origin_not_allowed")


def _refuse_kind(kind: str) -> ForbiddenError:
    advice = "send JSON with Content-Type: application/json, or set SPILLWAY_API_KEYS"
    message = f"{_WHY}; the body is said to be {kind[:100]!r}: {advice}."
    return ForbiddenError(message, param="Content-Type", code="content_type_not_allowed")
