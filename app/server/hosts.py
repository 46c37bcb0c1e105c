"""The names this gateway goes by. Pure.

A browser sends the name it looked up, so a page that had its own name point here (DNS rebinding) is recognized by it;
and a link to a hosted image may not lead wherever a caller says.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from app.settings.server import ServerSettings

# Bounded: the header is anybody's text, and all that follows works on what passes here.
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?")
_LOOPBACK_NAME = "localhost"


class KnownHosts:
    """Names by which callers may address the gateway, with or without a port; `*.example.com` and `*` are patterns."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.lower().rstrip(".") for name in names)
        # With its dot: `*.example.com` must not let in `badexample.com`.
        self._endings = tuple(name[1:] for name in self._names if name.startswith("*."))
        self._any = "*" in self._names

    def knows(self, host: str, local: str | None) -> bool:
        """Whether a `Host` header names this gateway; `local` is the address of this machine that was connected to."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].lower().rstrip(".")
        address = _to_address(name)
        # A page of another site cannot have these names: browsers do not ask DNS for them (0011).
        if self._any or name == _LOOPBACK_NAME or (address is not None and address.is_loopback):
            return True
        # Listening on every address, the gateway is called by each of them, and none stands in the settings.
        if address is not None and local is not None and address == _to_address(local):
            return True
        with_port = f"{name}:{match[2]}"
        return name in self._names or with_port in self._names or name.endswith(self._endings)


def known_hosts(server: ServerSettings) -> KnownHosts:
    """The names that the settings give the gateway."""
    return KnownHosts(host_names(server.host, server.public_url, server.allowed_hosts))


def host_names(listening: str, public_url: str | None, allowed: Iterable[str]) -> set[str]:
    """Those allowed, that of the public address, and the one listened on."""
    public = urlsplit(public_url).hostname if public_url else None
    names = {*allowed, *((public,) if public else ()), listening}
    return {f"[{name}]" if ":" in name and _to_address(name) is not None and name[0] != "[" else name for name in names}


def _to_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
    # A socket for both families shows IPv4 callers as mapped IPv6 addresses.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
