"""What is left of the money at Runware, for administrators."""

from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from app.domain.caller import Caller
from app.errors import GatewayError, InvalidRequestError, ProviderError, UnavailableError
from app.generation.provider_errors import to_caller_text, to_error
from app.openai_api.usage import render_balance
from app.runware.account import RunwareAccount
from app.runware.failures import Kind, ProviderFailure

_RETRY_SECONDS = 5


class BalanceRoutes:
    """`/balance`. `low` is the balance that the operator calls low, in dollars."""

    def __init__(self, account: RunwareAccount, low: Decimal | None) -> None:
        self._account = account
        self._low = low

    async def retrieve_balance(self, _: Request, caller: Caller) -> Response:
        """The balance of the account at Runware, at most a minute old."""
        del caller
        if not self._account.has_key:
            message = "Callers pay with Runware accounts of their own here: this gateway has no balance."
            raise InvalidRequestError(message, code="unsupported_endpoint")
        found = await self._account.find_balance()
        if isinstance(found, ProviderFailure):
            raise _to_error(found)
        body = render_balance(found.dollars, found.asked_at, self._low)
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def _to_error(failure: ProviderFailure) -> GatewayError:
    """Why the balance is not known; nothing was bought, so any of it may be asked again."""
    if failure.kind is Kind.AUTHENTICATION:
        return to_error(failure)
    if failure.retryable:
        message = "Runware does not tell the balance of its account now. Try again shortly."
        wait = round(failure.retry_after) if failure.retry_after else _RETRY_SECONDS
        return UnavailableError(message, provider_code=failure.code, retry_after=wait)
    message = f"Runware does not tell the balance of its account. {to_caller_text(failure.message)}".strip()
    return ProviderError(message, provider_code=failure.code, should_retry=False)
