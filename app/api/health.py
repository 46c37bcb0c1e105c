"""Is it alive, is it ready: for load balancers and for people."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.access.admission import MemoryBudget
from app.api.readiness import Readiness, State
from app.catalog.registry import Registry
from app.settings.groups import UpstreamSettings

_READY, _NOT_READY = 200, 503


class HealthRoutes:
    """`/healthz` and `/readyz`."""

    def __init__(
        self, readiness: Readiness, registry: Registry, upstream: UpstreamSettings, memory: MemoryBudget
    ) -> None:
        self._readiness = readiness
        self._memory = memory
        self._registry = registry
        self._upstream = upstream.upstream_name

    async def healthz(self, _: Request) -> Response:
        """The process answers."""
        # Asks nobody: a slow database must not make an orchestrator kill a process with paid work.
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Whether requests can be served, by what, and what stands in the way."""
        states = await self._readiness.states()
        ready = all(state.is_ready for state in states.values())
        body: dict[str, object] = {
            "status": "ready" if ready else "not ready",
            "upstream": self._upstream,
            "models": len(self._registry.models),
            "parts": {name: state.word for name, state in states.items()},
            # What makes it not ready comes first.
            "problems": [state.problem for state in sorted(states.values(), key=_is_ready) if state.problem],
            "memory": self._describe_memory(),
        }
        if self._upstream == "simulator":
            body["note"] = "There is no RUNWARE_API_KEY: images come from the built-in simulator and cost nothing."
        return JSONResponse(body, status_code=_READY if ready else _NOT_READY)

    def _describe_memory(self) -> dict[str, int]:
        """The bound on bytes in flight of this process, and what became of it."""
        memory = self._memory
        return {
            "limit_bytes": memory.max_bytes,
            "in_flight_bytes": memory.in_flight,
            "waiting": memory.queued,
            "refused": memory.refused,
        }


def _is_ready(state: State) -> bool:
    return state.is_ready
