"""Posts one webhook: to https addresses on the open internet only, checked when asked for and again at every call."""

import ssl
from urllib.parse import urlsplit

import anyio
import httpx2

from app.egress.address_guard import AddressGuard, FetchError, PinnedAddress, RefusedAddressError
from app.egress.slots import SharedSlots
from app.errors import InvalidRequestError

# For the whole of a call, however slowly its receiver answers.
_TIMEOUT_SECONDS = 15.0
# To wait for a turn: with the call itself less than the journal waits before another process takes the webhook.
_TURN_SECONDS = 30.0
_AT_ONCE = 64
_AT_ONCE_PER_CALLER = 16
_MAX_URL_CHARS = 2000
_SUCCESS = range(200, 300)


class WebhookSender:
    """Calls addresses that callers name. With `allow_private` also http and private ones, for intranets."""

    def __init__(self, guard: AddressGuard, *, allow_private: bool, trust: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._allow_private = allow_private
        self._slots = SharedSlots(_AT_ONCE, _AT_ONCE_PER_CALLER)
        # A redirect would carry the signed body to an address that nobody checked.
        self._client = httpx2.AsyncClient(
            verify=trust or True, follow_redirects=False, trust_env=False, timeout=_TIMEOUT_SECONDS
        )

    async def check_webhook_url(self, url: str, caller: str) -> None:
        """Raise InvalidRequestError for an address that will not be called."""
        if len(url) > _MAX_URL_CHARS or any(character <= " " or character == "\x7f" for character in url):
            raise _refused("is not a valid address")
        try:
            if not self._allow_private and urlsplit(url).scheme.lower() != "https":
                raise _refused("must begin with https://")
            await self._guard.pin(url, caller)
        except FetchError as error:
            raise _refused(error.reason) from None
        except ValueError:
            raise _refused("is not a valid address") from None

    async def send_webhook(
        self, url: str, headers: dict[str, str], body: bytes, caller: str
    ) -> tuple[bool, int | None]:
        """Whether the receiver took it, and the status it answered with, None without an answer.

        Raises RefusedAddressError where the address is no longer one to call.
        """
        try:
            with anyio.fail_after(_TURN_SECONDS):
                await self._slots.take(caller)
        except TimeoutError:
            return False, None
        try:
            with anyio.fail_after(_TIMEOUT_SECONDS):
                # Checked again at each call: names may point elsewhere by now.
                status = await self._post(await self._guard.pin(url, caller), headers, body)
        except RefusedAddressError:
            raise
        except (FetchError, httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return False, None
        finally:
            self._slots.give_back(caller)
        return status in _SUCCESS, status

    async def _post(self, pinned: PinnedAddress, headers: dict[str, str], body: bytes) -> int:
        request = self._client.build_request(
            "POST",
            pinned.targets[0],
            content=body,
            headers={**headers, "Host": pinned.host_header, "Content-Type": "application/json"},
            extensions={"sni_hostname": pinned.tls_name} if pinned.tls_name else {},
        )
        response = await self._client.send(request, stream=True)
        # The body is not read: a receiver could otherwise fill our memory.
        await response.aclose()
        return response.status_code

    async def close(self) -> None:
        """Give back all connections."""
        await self._client.aclose()


def _refused(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"`webhook_url` {reason}.", param="webhook_url")
