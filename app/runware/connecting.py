"""Connects to a host: finds its addresses, tries them one beside the other, and proves its name where TLS is asked for.

Everything here happens before a byte of a request leaves, so whatever goes wrong is an OSError or a ValueError, and
means "never sent". Leaves how many connections there are to `pool`.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from app.runware.connection import Connection

# An address that does not answer must not hold up the next one (RFC 8305).
_STAGGER_SECONDS = 0.25

FindAddresses = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host and port, raising OSError or ValueError when there are none."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to connect to; with `trust` over TLS. Without `find` the loop looks names up."""

    host: str
    port: int
    trust: ssl.SSLContext | None = None
    find: FindAddresses | None = None

    async def connect(self, make: Callable[[], Connection]) -> Connection:
        """A connection that stands, raising OSError or ValueError."""
        left = _alternate(await self._find_addresses())
        while left:
            address, connection = await _first(left, self.port, make)
            left.remove(address)
            try:
                await self._secure(connection)
            except OSError:
                connection.abort()
                if not left:
                    raise
            except BaseException:
                connection.abort()
                raise
            else:
                return connection
        raise OSError("the name has no address")

    async def _find_addresses(self) -> Sequence[str]:
        if self.find is not None:
            return await self.find(self.host, self.port)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _secure(self, connection: Connection) -> None:
        if self.trust is None:
            return
        started = await asyncio.get_running_loop().start_tls(
            connection.socket, connection, self.trust, server_hostname=self.host
        )
        if started is None:
            raise ConnectionResetError
        connection.secure(started)


def trusted() -> ssl.SSLContext:
    """Whom this machine trusts, or `SSL_CERT_FILE` names; reading them takes long, so once will do."""
    trust = ssl.create_default_context()
    trust.set_alpn_protocols(["http/1.1"])
    return trust


def _alternate(addresses: Sequence[str]) -> list[str]:
    """Both families in turn, so that one that leads nowhere holds up one attempt only."""
    new = [address for address in addresses if ":" in address]
    old = [address for address in addresses if ":" not in address]
    pairs = zip_longest(new, old) if addresses and ":" in addresses[0] else zip_longest(old, new)
    return [address for address in chain.from_iterable(pairs) if address is not None]


async def _first(addresses: Sequence[str], port: int, make: Callable[[], Connection]) -> tuple[str, Connection]:
    """The first connection that stands, and to where, raising the last error of all."""
    if len(addresses) == 1:
        return addresses[0], await _open(addresses[0], port, make)
    attempts: dict[asyncio.Task[Connection], str] = {}
    waiting = list(addresses)
    error: BaseException = OSError("the name has no address")
    try:
        while waiting or attempts:
            if waiting:
                address = waiting.pop(0)
                attempts[asyncio.create_task(_open(address, port, make))] = address
            done, _ = await asyncio.wait(
                attempts, timeout=_STAGGER_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                address = attempts.pop(attempt)
                failed = attempt.exception()
                if failed is None:
                    return address, attempt.result()
                error = failed
    finally:
        await _abandon(list(attempts))
    raise error


async def _open(address: str, port: int, make: Callable[[], Connection]) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(make, address, port)
    return connection


async def _abandon(attempts: Sequence[asyncio.Task[Connection]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    for ended in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(ended, Connection):
            ended.abort()
