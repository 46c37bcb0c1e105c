"""The pages that show the OpenAPI document: Swagger UI at /docs and ReDoc at /redoc.

Their scripts come from an installed package, so that they work without the internet. Leaves the document to `openapi`.
"""

from importlib.resources import files
from pathlib import Path

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

_PACKAGE = "fastapi_offline"
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
# Scripts begin inside the pages, and ReDoc starts a worker from a blob; nothing is loaded from anywhere else but the
# images that answers link to.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob: https:; worker-src blob:; frame-ancestors 'none'"
)


class DocsPages:
    """The pages and what they are made of. Addresses are relative: a proxy may put a path before them."""

    def __init__(self, title: str) -> None:
        swagger = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=title,
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon.png",
            swagger_ui_parameters={"validatorUrl": None, "defaultModelsExpandDepth": 0},
        )
        redoc = get_redoc_html(
            openapi_url="openapi.json",
            title=title,
            redoc_js_url="docs/redoc.standalone.js",
            redoc_favicon_url="docs/favicon.png",
            with_google_fonts=False,
        )
        self._swagger, self._redoc = bytes(swagger.body), bytes(redoc.body)

    async def show_swagger(self, _: Request) -> Response:
        """The document to try out."""
        return _page(self._swagger)

    async def show_redoc(self, _: Request) -> Response:
        """The document to read."""
        return _page(self._redoc)

    async def send_asset(self, request: Request) -> Response:
        """A script, style or icon of the pages."""
        name = str(request.path_params["name"])
        # Only names of the table: a path from outside must never be joined to a folder.
        if name not in _ASSETS:
            raise HTTPException(404)
        path = Path(str(files(_PACKAGE) / "static" / name))
        return FileResponse(path, media_type=_ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})


def _page(body: bytes) -> Response:
    return Response(body, media_type="text/html", headers={"Content-Security-Policy": _POLICY})
