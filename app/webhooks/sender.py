"""Posts one webhook: to https addresses on the open internet only, checked when asked for and again at every call."""

from urllib.parse import urlsplit

import httpx2

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError
from app.errors import InvalidRequestError

_TIMEOUT_SECONDS = 15.0
_LONGEST_URL = 2000
_SUCCESS = range(200, 300)


class WebhookSender:
    """Calls addresses that callers name. With `allow_private` also http and private ones, for intranets."""

    def __init__(self, guard: AddressGuard, *, allow_private: bool) -> None:
        self._guard = guard
        self._allow_private = allow_private
        self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=_TIMEOUT_SECONDS)

    async def check(self, url: str) -> None:
        """Raise InvalidRequestError for an address that will not be called."""
        if len(url) > _LONGEST_URL or any(character <= " " or character == "\x7f" for character in url):
            raise _refused("is not a valid address")
        try:
            if not self._allow_private and urlsplit(url).scheme.lower() != "https":
                raise _refused("must begin with https://")
            await self._guard.pin(url)
        except FetchError as error:
            raise _refused(error.reason) from None
        except ValueError:
            raise _refused("is not a valid address") from None

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> tuple[bool, int | None]:
        """Whether the receiver took it, and the status it answered with, None without an answer.

        Raises RefusedAddressError where the address is no longer one to call.
        """
        try:
            pinned, host = await self._guard.pin(url)
            request = self._client.build_request(
                "POST",
                pinned,
                content=body,
                headers={**headers, "Host": urlsplit(url).netloc, "Content-Type": "application/json"},
                extensions={"sni_hostname": host} if host else {},
            )
            response = await self._client.send(request, stream=True)
            await response.aclose()
        except RefusedAddressError:
            raise
        except (FetchError, httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return False, None
        return response.status_code in _SUCCESS, response.status_code

    async def close(self) -> None:
        """Give back all connections."""
        await self._client.aclose()


def _refused(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"`webhook_url` {reason}.", param="webhook_url")
