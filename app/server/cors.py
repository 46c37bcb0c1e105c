"""Which web pages may call from a browser (the fetch standard's CORS protocol), and what they may read of answers."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Send

_METHODS = ("DELETE", "GET", "HEAD", "POST", "PUT", "PATCH")
_SHOWN = frozenset(
    {"location", "retry-after", "idempotent-replayed", "preference-applied", "x-should-retry"}
    # What lets a page read an image in parts, and keep it.
    | {"etag", "accept-ranges", "content-range", "content-disposition"}
)
_SHOWN_PREFIXES = ("x-spillway-", "x-ratelimit-")
_ALWAYS = ("x-request-id", "x-spillway-request-id", "openai-processing-ms", "x-spillway-upstream")
"""Put on every answer by the middleware around this one."""


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's, which lets pages read the headers that each answer really has.

    Any header may be sent: SDKs send many of their own. Cookies are never used, so they are not asked for. `refuse`
    makes the answer to a page that may not call.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], refuse: Callable[[str], Response]) -> None:
        super().__init__(
            app, allow_origins=origins, allow_methods=_METHODS, allow_headers=("*",), allow_private_network=True
        )
        self._refuse = refuse

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks before it sends."""
        origin = request_headers["origin"]
        return super().preflight_response(request_headers) if self.is_allowed_origin(origin) else self._refuse(origin)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Pass a message on, its headers shown to the page where it may read them."""
        origin = request_headers.get("origin")
        if message["type"] == "http.response.start" and origin is not None and self.is_allowed_origin(origin):
            headers = MutableHeaders(scope=message)
            # Named one by one: browsers hide every header that is not listed.
            shown = {name for name in headers if name in _SHOWN or name.startswith(_SHOWN_PREFIXES)}
            headers["access-control-expose-headers"] = ", ".join(sorted({*_ALWAYS, *shown}))
        await super().send(message, send, request_headers)
