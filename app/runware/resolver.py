"""Lets the transport's connections find Runware by whatever resolves names for this gateway."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

FindAddresses = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host and port, raising OSError or ValueError when there are none."""


class RunwareResolver(AbstractResolver):
    """aiohttp's view of it."""

    def __init__(self, find: FindAddresses) -> None:
        self._find = find

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of the wanted family, raising OSError when there is none."""
        try:
            found = await self._find(host, port)
        except (TimeoutError, ValueError):
            # aiohttp hands a TimeoutError on as one of the whole exchange, in which the task may have been sent.
            raise OSError(f"{host!r} cannot be resolved") from None
        listed = [self._describe(host, port, address) for address in found]
        # aiohttp asks for each family apart; an address of the other one would be a connection error.
        fitting = [one for one in listed if family in {socket.AF_UNSPEC, one["family"]}]
        if not fitting:
            raise OSError("the name has no address")
        return fitting

    async def close(self) -> None:
        """There is nothing to give back."""

    def _describe(self, host: str, port: int, address: str) -> ResolveResult:
        is_new = ipaddress.ip_address(address.split("%", 1)[0]).version == 6  # noqa: PLR2004 - as in IPv6
        family = socket.AF_INET6 if is_new else socket.AF_INET
        return ResolveResult(
            hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
        )
