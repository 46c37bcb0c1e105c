"""What `spillway serve` hands to its server processes: they load the gateway, and the one that starts them does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from app.catalog.registry import Registry
    from app.resources import Parts
    from app.settings.load import Settings


@dataclass(frozen=True)
class Application:
    """Makes the gateway in each server process, of what was read and checked once for all of them."""

    settings: Settings
    registry: Registry
    parts: Parts | None = None

    def __call__(self) -> ASGIApp:
        """The ASGI application."""
        from app.main import create_app

        if self.parts is None:
            return create_app(self.settings, registry=self.registry)
        return create_app(self.settings, self.parts, self.registry)
