"""The pages that show the OpenAPI document: Swagger UI at /docs and ReDoc at /redoc.

Their scripts come from an installed package, so that they work without the internet. Leaves the document to `openapi`.
"""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.api.web import way_up

_PACKAGE = "fastapi_offline"
_SCRIPT = "text/javascript"
_ASSETS = {
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": _SCRIPT,
    "favicon.png": "image/png",
}
_KEPT = {"Cache-Control": "public, max-age=86400"}
_OWN = {"start-swagger.js": _SCRIPT, "start-redoc.js": _SCRIPT, "docs.css": "text/css"}
"""Files of ours: no script stands inside a page, so the policy need not allow any there."""
_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""The hash of nothing: both pages put empty style elements into themselves and fill them by script."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' {empty}; connect-src 'self'; img-src {images}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SHEETS = """\
<link rel="stylesheet" href="{root}docs/swagger-ui.css">
<link rel="stylesheet" href="{root}docs/docs.css">
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{root}docs/favicon.png">
{sheet}<script src="{root}docs/{script}" defer></script>
<script src="{root}docs/{start}" defer></script>
</head>
<body data-document="{root}openapi.json"><div id="docs"></div></body>
</html>
"""


class DocsPages:
    """The pages and what they are made of. Addresses are relative: a proxy may put a path before them.

    `image_origins` are those of results beside https addresses.
    """

    def __init__(self, title: str, image_origins: Iterable[str] = ()) -> None:
        self._title = title
        folder = files("app") / "web" / "apidocs"
        self._own = {name: (folder / name).read_bytes() for name in _OWN}
        # Answers link to images; the page to read has none, and would fetch its maker's logo from elsewhere.
        self._swagger_policy = _POLICY.format(
            empty=_EMPTY_STYLE, images=" ".join(["'self' data: blob: https:", *image_origins])
        )
        self._redoc_policy = _POLICY.format(empty=_EMPTY_STYLE, images="'self' data:")

    async def show_swagger(self, request: Request) -> Response:
        """The document to try out."""
        return self._page(request, self._swagger_policy, _SHEETS, ("swagger-ui-bundle.js", "start-swagger.js"))

    async def show_redoc(self, request: Request) -> Response:
        """The document to read."""
        return self._page(request, self._redoc_policy, "", ("redoc.standalone.js", "start-redoc.js"))

    async def send_asset(self, request: Request) -> Response:
        """A script, style or icon of the pages."""
        name = str(request.path_params["name"])
        if name in self._own:
            return Response(self._own[name], media_type=_OWN[name], headers=_KEPT)
        # Only names of the table: a path from outside must never be joined to a folder.
        if name not in _ASSETS:
            raise HTTPException(404)
        path = Path(str(files(_PACKAGE) / "static" / name))
        return FileResponse(path, media_type=_ASSETS[name], headers=_KEPT)

    def _page(self, request: Request, policy: str, sheet: str, scripts: tuple[str, str]) -> Response:
        root = way_up(request.scope).decode()
        script, start = scripts
        body = _PAGE.format(title=self._title, root=root, sheet=sheet.format(root=root), script=script, start=start)
        headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
        return Response(body, media_type="text/html", headers=headers)
