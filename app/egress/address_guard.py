"""Judges the addresses that callers name.

Every address a host resolves to must be public, and the one that was checked is the one to connect to.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.egress.names import Resolve

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetworks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def _networks(*texts: str) -> IPNetworks:
    return tuple(ipaddress.ip_network(text) for text in texts)


_INNER_V4 = _networks(
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",
    "100.64.0.0/10",  # carriers' own; also Alibaba's metadata
    "127.0.0.0/8",
    "168.63.129.16/32",  # Azure's host
    "169.254.0.0/16",  # link-local; most clouds' metadata
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocols' own; also Oracle's metadata
    "192.0.2.0/24",
    "192.88.99.0/24",  # relays of 6to4
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",  # multicast, reserved, broadcast
)
# The only part of IPv6 that is routed; `fec0::/10` and all else stays outside of it.
_OUTER_V6 = _networks("2000::/3")
_INNER_V6 = _networks(
    "2001::/23",  # protocols' own, Teredo among them
    "2001:db8::/32",
    "2002::/16",  # 6to4, which leads to any IPv4 address
    "3fff::/20",
)
_NAT64 = _networks("64:ff9b::/96")
# The middle of an interface id behind which an IPv4 address follows.
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


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


def is_public(address: str) -> bool:
    """Whether an IP address is on the open internet, also when an IPv4 address hides in an IPv6 one.

    Python's own opinion is asked too, but it differs between versions, and clouds keep addresses nobody registered.
    """
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_global(ip) and not _lies_in(ip, _INNER_V4)
    hidden = ip.ipv4_mapped or _hidden_in(ip)
    # An IPv6 address that a gateway of the network translates to an inner IPv4 one leads inside all the same.
    if hidden is not None and not is_public(str(hidden)):
        return False
    if ip.ipv4_mapped or _lies_in(ip, _NAT64):
        return True
    return _is_global(ip) and _lies_in(ip, _OUTER_V6) and not _lies_in(ip, _INNER_V6)


def _is_global(ip: IPAddress) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _lies_in(ip: IPAddress, networks: IPNetworks) -> bool:
    return any(ip in network for network in networks)


def _hidden_in(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that NAT64 or ISATAP would go on to."""
    number = int(ip)
    tunnels = (number >> 32) & 0xFFFF_FFFF in _ISATAP
    return ipaddress.IPv4Address(number & 0xFFFF_FFFF) if tunnels or _lies_in(ip, _NAT64) else None


@dataclass(frozen=True, slots=True)
class PinnedAddress:
    """An address whose host was looked up and checked: the same with each of its IP addresses in the host's place."""

    targets: tuple[str, ...]
    host_header: str
    tls_name: str
    """The name to be sure of; empty where there is no TLS."""


class AddressGuard:
    """Turns addresses with names into checked ones; with `allow_private` every IP address is good."""

    def __init__(self, *, allow_private: bool, resolve: Resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    async def pin(self, url: str, caller: str = "") -> PinnedAddress:
        """`url` checked, raising FetchError for a host that cannot be found, else RefusedAddressError."""
        try:
            url.encode()
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            # As it will be looked up: Unicode digits and dots can spell an inner address that no other check sees.
            host = (parts.hostname or "").encode("idna").decode()
        except ValueError:  # also every UnicodeError
            raise RefusedAddressError("is not a valid address") from None
        # A user name makes `http://public@inner/` read like the public host.
        if parts.scheme not in {"http", "https"} or not host or parts.username or parts.password:
            raise RefusedAddressError("must be an http(s) address without a user name")
        found = await self._look_up(host, port, caller)
        # The IP address replaces the name: a second lookup could lead elsewhere than the one that was checked (DNS
        # rebinding).
        targets = (parts._replace(netloc=f"{_bracketed(address)}:{port}", fragment="") for address in found)
        header = _bracketed(host) + (f":{parts.port}" if parts.port else "")
        tls_name = host if parts.scheme == "https" else ""
        return PinnedAddress(tuple(target.geturl() for target in targets), header, tls_name)

    async def _look_up(self, host: str, port: int, caller: str) -> tuple[str, ...]:
        try:
            found = tuple(await self._resolve(host, port, caller))
        except TimeoutError:
            raise FetchError("names a host that cannot be found in time") from None
        except (OSError, ValueError):
            raise FetchError("names a host that cannot be found") from None
        if not found:
            raise FetchError("names a host that cannot be found")
        # All, not any: a client picks which one to connect to.
        if not self._allow_private and not all(is_public(address) for address in found):
            raise RefusedAddressError("leads to a private address, which this gateway does not connect to")
        return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
