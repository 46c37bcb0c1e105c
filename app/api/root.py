"""What stands at `/` for programs, and what tells crawlers and language models where they are."""

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app import __version__
from app.api.context import LinkOrigins
from app.settings.load import Settings

_ROBOTS = "User-agent: *\nDisallow: /\n"
_LLMS = """# Spillway

> An OpenAI-compatible image gateway in front of Runware. OpenAI's Images API works here with this base URL:
> {origin}/v1

- POST {origin}/v1/images/generations makes up to 10 images of `prompt`, with `model`, `size`, `n`, `output_format`.
- POST {origin}/v1/images/edits changes images given as files, addresses or base64; with `mask` only a part of them.
- Add `?dryRun=true` for the price and the plan without buying anything.
- Send an `Idempotency-Key` header: the same request is never paid twice.
- What the model cannot do as asked stands in `metadata.adjustments` of the answer.
- The key goes into `Authorization: Bearer KEY`, where this gateway asks for one.

## Links

{links}
"""


class RootRoutes:
    """`/`, `/llms.txt` and `/robots.txt`. They say the same to everybody."""

    def __init__(self, settings: Settings) -> None:
        self._origins = LinkOrigins(settings.server)
        self._upstream = settings.upstream.upstream_name
        self._auth = settings.server.auth
        self._paths = {
            "models": "/v1/models",
            "generations": "/v1/images/generations",
            "edits": "/v1/images/edits",
            "requests": "/v1/requests",
            "usage": "/v1/usage",
            "keys": "/v1/keys",
            "health": "/readyz",
            **({"openapi": "/openapi.json", "docs": "/docs"} if settings.server.docs else {}),
            **({"playground": "/playground"} if settings.server.web else {}),
            "llms": "/llms.txt",
        }

    async def show_root(self, request: Request) -> Response:
        """What this is, and where the rest of it is."""
        body = {
            "object": "gateway",
            "name": "Spillway",
            "description": "An OpenAI-compatible image gateway in front of Runware",
            "version": __version__,
            "upstream": self._upstream,
            "auth": self._auth,
            "links": self._links(request),
        }
        return JSONResponse(body)

    async def show_llms(self, request: Request) -> Response:
        """What language models that write clients need to know."""
        links = "\n".join(f"- {name}: {url}" for name, url in self._links(request).items())
        return PlainTextResponse(_LLMS.format(origin=self._origins.origin_for(request), links=links))

    async def show_robots(self, _: Request) -> Response:
        """That there is nothing here for crawlers."""
        return PlainTextResponse(_ROBOTS)

    def _links(self, request: Request) -> dict[str, str]:
        origin = self._origins.origin_for(request)
        return {name: f"{origin}{path}" for name, path in self._paths.items()}
