"""GETs from checked addresses over connections of their own: redirects are checked again, size and time are capped.

No credentials are ever sent. Leaves whose addresses these are, and which are good, to its users.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar
from urllib.parse import urljoin

import anyio
import httpx2

from app.egress.address_guard import AddressGuard, FetchError, PinnedAddress

_MAX_REDIRECTS = 5
_SILENCE_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200

_T = TypeVar("_T")
ChooseGuard = Callable[[str], AddressGuard]
"""The guard for an address, asked again for each redirect."""


class TooManyBytesError(FetchError):
    """The image is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of what lies at an address; `size` is that of the whole, where its server says it."""

    data: bytes
    size: int | None


class Sink(Protocol):
    """Takes the bytes of a body as they come."""

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Read them all."""
        ...


def open_trust() -> ssl.SSLContext:
    """The authorities that this machine trusts. Reading them takes longer than all else of a client: once will do."""
    return httpx2.create_ssl_context(trust_env=False)


class Getter:
    """Gets bytes over at most `connections` connections. Without `trust` it reads for itself whom to trust."""

    def __init__(self, connections: int, trust: ssl.SSLContext | None = None) -> None:
        self._client = httpx2.AsyncClient(
            verify=trust or open_trust(),
            # Followed by hand below: each target must pass the guard before anything connects to it.
            follow_redirects=False,
            # A proxy from the environment would resolve the name again and undo the pinning.
            trust_env=False,
            timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=20),
            headers={"Accept": "image/*"},
        )

    async def get(self, url: str, choose_guard: ChooseGuard, max_bytes: int, caller: str = "") -> bytes:
        """The bytes at `url`, raising FetchError, RefusedAddressError or TooManyBytesError."""
        return await self._follow(url, choose_guard, partial(_read, max_bytes=max_bytes), caller)

    async def pour(self, url: str, choose_guard: ChooseGuard, max_bytes: int, sink: Sink, caller: str = "") -> None:
        """Give `sink` the bytes at `url` as they come, raising what `get` raises, and what the sink does."""
        await self._follow(url, choose_guard, partial(_pour, sink=sink, max_bytes=max_bytes), caller)

    async def peek(self, url: str, choose_guard: ChooseGuard, max_bytes: int, caller: str = "") -> Head:
        """The first `max_bytes` bytes at `url`, raising FetchError or RefusedAddressError."""
        return await self._follow(url, choose_guard, partial(_read_head, max_bytes=max_bytes), caller)

    async def close(self) -> None:
        """Give back all connections."""
        await self._client.aclose()

    async def _follow(
        self, url: str, choose_guard: ChooseGuard, read: Callable[[httpx2.Response], Awaitable[_T]], caller: str
    ) -> _T:
        """What `read` makes of the body at the end of all redirects."""
        for _ in range(_MAX_REDIRECTS + 1):
            # Again for each redirect: a public server may point to an inner address.
            pinned = await choose_guard(url).pin(url, caller)
            found = await self._get_from_any(pinned, read)
            if not isinstance(found, str):
                return found
            try:
                url = urljoin(url, found)
            except ValueError:
                raise FetchError("redirects to no valid address") from None
        raise FetchError("redirects too often")

    async def _get_from_any(self, pinned: PinnedAddress, read: Callable[[httpx2.Response], Awaitable[_T]]) -> _T | str:
        """What `read` makes of the body, or the target of a redirect, from the first address that can be reached."""
        for target in pinned.targets:
            try:
                return await self._get(target, pinned, read)
            # Only where nothing was connected: the next address of the same, checked host.
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError):
                break
        raise FetchError("cannot be fetched")

    async def _get(
        self, target: str, pinned: PinnedAddress, read: Callable[[httpx2.Response], Awaitable[_T]]
    ) -> _T | str:
        # The connection goes to an IP address; TLS must still prove the name.
        extensions = {"sni_hostname": pinned.tls_name} if pinned.tls_name else {}
        headers = {"Host": pinned.host_header}
        request = self._client.build_request("GET", target, headers=headers, extensions=extensions)
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code in _REDIRECTS and "location" in response.headers:
                return str(response.headers["location"])
            if response.status_code != _OK:
                raise FetchError(f"answers with status {response.status_code}", response.status_code)
            return await read(response)
        finally:
            await response.aclose()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """A cap on the whole of a fetch, however slowly the server trickles."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise FetchError("takes too long to answer") from None


async def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in _counted(response, max_bytes):
        data += chunk
    return bytes(data)


async def _pour(response: httpx2.Response, sink: Sink, max_bytes: int) -> None:
    await sink.take(_counted(response, max_bytes))


async def _counted(response: httpx2.Response, max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in response.aiter_bytes():
        # Counted as it arrives: a declared length may be wrong, and compression hides the rest.
        size += len(chunk)
        if size > max_bytes:
            raise TooManyBytesError(f"is larger than the {max_bytes // 1024} KiB this gateway takes")
        yield chunk


async def _read_head(response: httpx2.Response, max_bytes: int) -> Head:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) >= max_bytes:
            declared = response.headers.get("content-length", "")
            return Head(bytes(data[:max_bytes]), int(declared) if declared.isdecimal() else None)
    return Head(bytes(data), len(data))
