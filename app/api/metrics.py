"""`/metrics` on the main port, for Prometheus."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from app.access.metrics_key import MetricsKey
from app.api.gauges import Gauges
from app.observability.exposition import Exposition


class MetricsRoutes:
    """What was counted by all processes of this gateway."""

    def __init__(self, exposition: Exposition, gauges: Gauges, key: MetricsKey) -> None:
        self.key = key
        self._exposition = exposition
        self._gauges = gauges

    async def show_metrics(self, request: Request) -> Response:
        """All metrics in the form that Prometheus asks for."""
        self._gauges.state()
        # In a thread: it reads files, and thousands of series take a while to write down.
        shown = await asyncio.to_thread(self._exposition.show, request.headers.get("accept", ""))
        return Response(shown.body, headers={"Content-Type": shown.content_type, "Cache-Control": "no-store"})
