"""What a gateway serves, as its router has it."""

import asyncio

from app.main import create_app
from app.settings.load import load_settings

Served = list[tuple[str, str]]


def served_routes(**variables: str) -> Served:
    """Every route by method and path, after the second start of one application."""

    async def start() -> list:
        app = create_app(
            load_settings({"RUNWARE_API_KEY": "a-runware-key" * 32, "SPILLWAY_LOG_LEVEL": "error"} | variables)
        )
        for _ in range(2):  # a second start has the same routes, not all of them twice
            async with app.router.lifespan_context(app):
                routes = list(app.router.routes)
        return routes

    return [(method, route.path) for route in asyncio.run(start()) for method in route.methods - {"HEAD"}]
