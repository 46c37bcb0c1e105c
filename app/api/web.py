"""The web pages: static files for browsers, which ask the API for everything they show.

A page holds no data, so anybody may open it; what it shows, its reader's key opens. Leaves what is at `/` for programs
to `root`.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.accept import HTML, prefers

_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "html": HTML}
_ROOT_MARK = b"{{root}}"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str


class WebPages:
    """The pages and what they are made of, read once. `image_origins` are those of results beside https addresses."""

    def __init__(self, image_origins: Iterable[str] = ()) -> None:
        self._files = dict(_read_folder(files("app") / "web"))
        # No page takes HTML from a string: names and errors of callers can only become text (0181).
        self._policy = "; ".join([
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            " ".join(["img-src 'self' https: data: blob:", *image_origins]),
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ])  # fmt: skip

    def page(self, name: str) -> "Page":
        """A page by its name, to stand before the JSON of the same address."""
        return Page(self, name)

    def answer_page(self, name: str, request: Request) -> Response:
        """A page for the address it was asked under."""
        file = self._files[f"{name}.html"]
        content = file.content.replace(_ROOT_MARK, way_up(request.scope))
        headers = {
            "Vary": "Accept",
            "Content-Security-Policy": self._policy,
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        return _answer(request, content, file.media_type, headers)

    async def send_file(self, request: Request) -> Response:
        """A script, style or icon of the pages."""
        name = str(request.path_params["name"])
        file = self._files.get(name)
        # Only names that were read at the start; a page is given under its own address alone.
        if file is None or file.media_type == HTML:
            raise HTTPException(404)
        return _answer(request, file.content, file.media_type, {})

    async def send_icon(self, request: Request) -> Response:
        """The icon, where browsers look for it beside what is no page of ours, such as an image or JSON."""
        file = self._files["icon.svg"]
        return _answer(request, file.content, file.media_type, {})


@dataclass(frozen=True, slots=True)
class Page:
    """A page that stands before the JSON of the same address."""

    pages: WebPages
    name: str

    def before(self, app: ASGIApp) -> ASGIApp:
        """What serves either."""
        return _PageOrAnswer(app, self)


class _PageOrAnswer:
    """Shows browsers the page, and everybody else the answer."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # Under a prefix there is no page: what stands under /v1 is the API, whatever is accepted.
        if scope["root_path"]:
            await self._app(scope, receive, send)
            return
        if prefers(Headers(scope=scope), HTML):
            request = Request(scope, receive)
            await self._page.pages.answer_page(self._page.name, request)(scope, receive, send)
            return

        async def send_varied(message: Message) -> None:
            # A cache must not give a browser the JSON, nor a program the page; errors vary as well.
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"vary", b"Accept")]
            await send(message)

        await self._app(scope, receive, send_varied)


def _read_folder(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, _File]]:
    """Every file of a kind that pages are made of, by its path below the folder."""
    for entry in folder.iterdir():
        ending = entry.name.rpartition(".")[2]
        if entry.is_dir():
            yield from _read_folder(entry, f"{prefix}{entry.name}/")
        elif ending in _MEDIA_TYPES:
            yield prefix + entry.name, _File(entry.read_bytes(), _MEDIA_TYPES[ending])


def image_origins(base_url: str) -> tuple[str, ...]:
    """Where results lie that have no https address: those of a simulator."""
    parts = urlsplit(base_url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.scheme == "http" else ()


def way_up(scope: Scope) -> bytes:
    """The relative way from the address of a page to the root: a proxy may put a path before all of them."""
    # As it was sent: a slash that was escaped is none to a browser.
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return b"../" * (path.partition(b"?")[0].count(b"/") - 1)


def _answer(request: Request, content: bytes, media_type: str, more: dict[str, str]) -> Response:
    """The content, or that it is still the same. It is asked for each time: files of two versions do not mix."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", **more}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
