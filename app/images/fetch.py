"""Fetches pictures by address: those callers name, behind every guard, and those Runware made.

For callers' addresses: http(s) only, every resolved address must be public, the connection goes to exactly the
address that was checked, redirects are checked again, size and time are capped. No credentials are ever sent.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import anyio
import httpx2

_MAX_REDIRECTS = 5
_TIMEOUT_SECONDS = 30.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200

Resolver = Callable[[str, int], Awaitable[list[str]]]


class FetchError(Exception):
    """The picture could not be had; `reason` is a sentence's end for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefusedAddressError(FetchError):
    """The address is one this gateway does not connect to."""


class TooManyBytesError(FetchError):
    """The picture is larger than allowed."""


async def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, raising OSError when it has none."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet, also when an IPv4 address hides in an IPv6 one."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if hidden is None and ip in _NAT64:
            hidden = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if hidden is not None:
            return is_public(str(hidden))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Fetcher:
    """Gets pictures over HTTP. `resolver` is a seam for tests of addresses that do not exist."""

    def __init__(self, *, max_bytes: int, allow_private: bool, resolver: Resolver = resolve) -> None:
        self._max_bytes = max_bytes
        self._allow_private = allow_private
        self._resolver = resolver
        self._client = httpx2.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=_TIMEOUT_SECONDS, headers={"Accept": "image/*"}
        )

    async def check(self, url: str) -> None:
        """Raise RefusedAddressError when `url` leads to an address that is not public.

        A host that does not resolve here passes: we would only hand its address on.
        """
        try:
            await self._pin(url)
        except RefusedAddressError:
            raise
        except FetchError:
            return

    async def fetch_input(self, url: str) -> bytes:
        """The bytes at a caller's address, raising FetchError, RefusedAddressError or TooManyBytesError."""
        with _deadline():
            for _ in range(_MAX_REDIRECTS + 1):
                target, host = await self._pin(url)
                extensions = {"sni_hostname": host} if host else {}
                headers = {"Host": _host_header(url)}
                found = await self._get(target, headers, extensions)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
        raise FetchError("redirects too often")

    async def fetch_result(self, url: str) -> bytes:
        """The bytes of a picture Runware made, from wherever it says."""
        with _deadline():
            for _ in range(_MAX_REDIRECTS + 1):
                found = await self._get(url, {}, {})
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
        raise FetchError("redirects too often")

    async def close(self) -> None:
        """Give back all connections."""
        await self._client.aclose()

    async def _pin(self, url: str) -> tuple[str, str]:
        """`url` with its host replaced by a checked address, and the host's name for TLS ('' for a literal)."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise RefusedAddressError("is not a valid address") from None
        host = parts.hostname
        if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password:
            raise RefusedAddressError("must be an http(s) address without a user name")
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            raise FetchError("names a host that cannot be found") from None
        if not addresses:
            raise FetchError("names a host that cannot be found")
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise RefusedAddressError("leads to a private address, which this gateway does not fetch from")
        address = addresses[0]
        literal = f"[{address}]" if ":" in address else address
        pinned = parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()
        return pinned, host if parts.scheme == "https" else ""

    async def _get(self, url: str, headers: dict[str, str], extensions: dict[str, str]) -> bytes | str:
        """The body, or the target of a redirect."""
        try:
            request = self._client.build_request("GET", url, headers=headers, extensions=extensions)
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return str(response.headers["location"])
                if response.status_code != _OK:
                    raise FetchError(f"answers with status {response.status_code}")
                return await self._read(response)
            finally:
                await response.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            raise FetchError("cannot be fetched") from None

    async def _read(self, response: httpx2.Response) -> bytes:
        data = bytearray()
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > self._max_bytes:
                raise TooManyBytesError(f"is larger than the {self._max_bytes // 1024} KiB this gateway takes")
        return bytes(data)


@contextmanager
def _deadline() -> Iterator[None]:
    """A cap on the whole fetch, however slowly the server trickles."""
    try:
        with anyio.fail_after(_TIMEOUT_SECONDS):
            yield
    except TimeoutError:
        raise FetchError("takes too long to answer") from None


def _host_header(url: str) -> str:
    return urlsplit(url).netloc
