"""Fetches images by address: those callers name, behind every guard, and those Runware made.

Both alike: http(s) only, every resolved address must be public, the connection goes to exactly the address that was
checked, redirects are checked again, size and time are capped. No credentials are ever sent. Runware's own origin,
which the operator named, is trusted for its results.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import anyio
import httpx2

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError, Resolver, resolve

_MAX_REDIRECTS = 5
_TIMEOUT_SECONDS = 30.0
_RESULT_SECONDS = 120.0
_MAX_RESULT_BYTES = 512 * 1024 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_LOOK_UP_SECONDS = 2.0
_REMEMBERED_SECONDS = 300.0
_REMEMBERED_HOSTS = 1000
"""Hosts of results whose addresses were found to be public."""


class TooManyBytesError(FetchError):
    """The image is larger than allowed."""


class Fetcher:
    """Gets images over HTTP. `provider_url` is where Runware is; `clock` is monotonic seconds.

    `resolver` is a seam for tests of addresses that do not exist.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        allow_private: bool,
        provider_url: str = "",
        resolver: Resolver = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._guard = AddressGuard(allow_private=allow_private, resolver=resolver)
        self._provider = _origin(provider_url)
        self._clock = clock
        self._public_until: dict[str, float] = {}
        self._client = httpx2.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=_TIMEOUT_SECONDS, headers={"Accept": "image/*"}
        )

    async def check(self, url: str) -> None:
        """Raise RefusedAddressError when `url` leads to an address that is not public.

        A host that does not resolve here passes: we would only hand its address on.
        """
        try:
            await self._guard.pin(url)
        except RefusedAddressError:
            raise
        except FetchError:
            return

    async def fetch_input(self, url: str) -> bytes:
        """The bytes at a caller's address, raising FetchError, RefusedAddressError or TooManyBytesError."""
        with _deadline(_TIMEOUT_SECONDS):
            for _ in range(_MAX_REDIRECTS + 1):
                found = await self._get_pinned(url, self._max_bytes)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
        raise FetchError("redirects too often")

    async def fetch_result(self, url: str) -> bytes:
        """The bytes of an image Runware made, from where it says, raising FetchError after one attempt.

        The caller's limit is not its: an enlarged image may be larger than any that is sent here. Raises
        RefusedAddressError where the address leads inside.
        """
        with _deadline(_RESULT_SECONDS):
            for _ in range(_MAX_REDIRECTS + 1):
                if self._trusts(url):
                    found = await self._get(url, {}, {}, _MAX_RESULT_BYTES)
                else:
                    found = await self._get_pinned(url, _MAX_RESULT_BYTES)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
        raise FetchError("redirects too often")

    async def check_result(self, url: str) -> None:
        """Raise RefusedAddressError when a result's address leads inside; the caller is not sent there either.

        A host is looked up once in a while only, and one that does not resolve in time passes: it is the caller's then.
        """
        host = _origin(url)
        if self._trusts(url) or self._public_until.get(host, 0) > self._clock():
            return
        try:
            with anyio.fail_after(_LOOK_UP_SECONDS):
                await self.check(url)
        except TimeoutError:
            return
        if len(self._public_until) >= _REMEMBERED_HOSTS:
            self._public_until.clear()
        self._public_until[host] = self._clock() + _REMEMBERED_SECONDS

    def _trusts(self, url: str) -> bool:
        return self._allow_private or (bool(self._provider) and _origin(url) == self._provider)

    async def _get_pinned(self, url: str, most: int) -> bytes | str:
        """The body, or the target of a redirect, from the very address that was checked."""
        target, host = await self._guard.pin(url)
        extensions = {"sni_hostname": host} if host else {}
        return await self._get(target, {"Host": _host_header(url)}, extensions, most)

    async def close(self) -> None:
        """Give back all connections."""
        await self._client.aclose()

    async def _get(self, url: str, headers: dict[str, str], extensions: dict[str, str], most: int) -> bytes | str:
        """The body, or the target of a redirect."""
        try:
            request = self._client.build_request("GET", url, headers=headers, extensions=extensions)
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                if response.status_code != _OK:
                    raise FetchError(f"answers with status {response.status_code}", response.status_code)
                return await _read(response, most)
            finally:
                await response.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            raise FetchError("cannot be fetched") from None


async def _read(response: httpx2.Response, most: int) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > most:
            raise TooManyBytesError(f"is larger than the {most // 1024} KiB this gateway takes")
    return bytes(data)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """A cap on the whole fetch, however slowly the server trickles."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise FetchError("takes too long to answer") from None


def _origin(url: str) -> str:
    """Scheme and place of an address, for comparing; empty where there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme in {"http", "https"} and parts.netloc else ""


def _host_header(url: str) -> str:
    return urlsplit(url).netloc
