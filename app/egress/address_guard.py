"""Judges the addresses that callers name.

Every address a host resolves to must be public, and the one that was checked is the one to connect to.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import anyio

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Resolver = Callable[[str, int], Awaitable[list[str]]]


class FetchError(Exception):
    """What is at an address could not be had.

    `reason` is a sentence's end for the caller, `status` what its server answered, if it did.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class RefusedAddressError(FetchError):
    """The address is one this gateway does not connect to."""


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


class AddressGuard:
    """Turns addresses with names into checked ones. `resolver` is a seam for tests of hosts that do not exist."""

    def __init__(self, *, allow_private: bool, resolver: Resolver = resolve) -> None:
        self._allow_private = allow_private
        self._resolver = resolver

    async def pin(self, url: str) -> tuple[str, str]:
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
            raise RefusedAddressError("leads to a private address, which this gateway does not connect to")
        address = addresses[0]
        literal = f"[{address}]" if ":" in address else address
        pinned = parts._replace(netloc=f"{literal}:{port}", fragment="").geturl()
        return pinned, host if parts.scheme == "https" else ""
