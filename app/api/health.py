"""Is it alive, is it ready: for load balancers and for people."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.catalog.registry import Registry
from app.journal.journal import Journal
from app.runware.account import RunwareAccount
from app.runware.client import RunwareClient
from app.settings.groups import UpstreamSettings

_READY, _NOT_READY = 200, 503
_JOURNAL_SECONDS = 1.0


class HealthRoutes:
    """`/healthz` and `/readyz`."""

    def __init__(
        self,
        runware: RunwareClient,
        account: RunwareAccount,
        journal: Journal,
        registry: Registry,
        upstream: UpstreamSettings,
    ) -> None:
        self._runware = runware
        self._account = account
        self._journal = journal
        self._registry = registry
        self._upstream = upstream.upstream_name

    async def healthz(self, _: Request) -> Response:
        """The process answers."""
        # Asks nobody: a slow database must not make an orchestrator kill a process with paid work.
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Whether requests can be served, by what, and what stands in the way."""
        problems = ["Runware refuses the API key: set a valid RUNWARE_API_KEY."] if self._runware.key_refused else []
        # Not ready: without the journal nothing may be bought, and another replica may still reach it.
        if not await self._journal.writer.is_available(_JOURNAL_SECONDS):
            problems.append("The journal does not answer, or is behind; new requests are refused until it does.")
        ready = not problems
        if self._runware.unreachable:  # another replica would fare no better, so this one stays in service
            problems.append("Runware does not answer; new requests are refused until it does.")
        # Not how much: anybody may ask here (0131).
        if self._account.is_low:
            problems.append("The balance at Runware is low: add credit there.")
        body: dict[str, object] = {
            "status": "ready" if ready else "not ready",
            "upstream": self._upstream,
            "models": len(self._registry.models),
            "problems": problems,
        }
        if self._upstream == "simulator":
            body["note"] = "There is no RUNWARE_API_KEY: images come from the built-in simulator and cost nothing."
        return JSONResponse(body, status_code=_READY if ready else _NOT_READY)
