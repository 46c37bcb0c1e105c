"""What stands beside the API: its root, its document, its web pages. Those that the operator does not want are None."""

from dataclasses import dataclass

from app import __version__
from app.api.docs_pages import DocsPages
from app.api.root import RootRoutes
from app.api.web import WebPages, image_origins
from app.settings.load import Settings

TITLE = "Spillway"


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that people open, and what tells programs where the rest is."""

    root: RootRoutes
    docs: DocsPages | None
    web: WebPages | None

    @classmethod
    def on(cls, settings: Settings) -> "Site":
        """The site of a gateway with these settings."""
        origins = image_origins(settings.upstream.runware_base_url)
        return cls(
            RootRoutes(settings),
            DocsPages(f"{TITLE} {__version__}", origins) if settings.server.docs else None,
            WebPages(origins) if settings.server.web else None,
        )
