"""What administrators ask of the ledger: whether all balances agree."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.database.reader import Reader
from app.domain.caller import Caller
from app.ledger.verification import verify_ledger
from app.openai_api.ledger import render_verification


class LedgerRoutes:
    """The ledger of this gateway's database."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        # One at a time: it reads the whole journal, and others ask the same reader.
        self._verifying = asyncio.Lock()

    async def verify(self, request: Request, caller: Caller) -> Response:
        """Recompute every balance from the ledger's entries and compare it with requests and accounts."""
        del request, caller
        async with self._verifying:
            found = await self._reader.read(verify_ledger)
        return JSONResponse(render_verification(found), headers={"cache-control": "no-store"})
