"""All connections of a process: how many one address may have, and what happens when there are no more to be had.

Owns the counts, the limits and their key in ASGI's state. What is read on a connection is `connection`'s affair.
"""

import ipaddress
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.errors import GatewayError, TooManyConnectionsError
from app.observability.logs import get_logger
from app.server.process import SHUTDOWN, Shutdown

_LOG_EVERY_SECONDS = 60.0
_ENDED_AT_ONCE = 4
"""Idle connections that make room for a new one: they come in bursts."""
_IPV6_SITE = 64
"""Who has one IPv6 address has all that share this many bits."""
_PROCESS = "spillway_process"
_logger = get_logger("connections")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RenderError = Callable[[GatewayError], bytes]


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may take; times in seconds. The reasons are in decision 0010."""

    head_bytes: int = 64 * 1024
    head_fields: int = 100
    head_seconds: float = 10.0
    bytes_per_second: int = 1024
    """The slowest a body, or an answer once it waits to be read, may move."""
    window_seconds: float = 10.0
    """Over which that is judged."""
    per_address: int = 512
    reserved_descriptors: int = 576
    """Files the process needs beside the connections of callers; at most a quarter of what it may have."""


class Connection(Protocol):
    """One connection, as far as the others are concerned."""

    @property
    def is_kept_alive(self) -> bool:
        """Whether it was answered, and nothing has come since."""
        ...

    def end_idle(self) -> None:
        """Make room for another: nothing is going on here."""
        ...


class Connections:
    """Counts connections, and says which have to end.

    `descriptors` is how many files the process may have open, `clock` is monotonic seconds.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        render_error: RenderError,
        trusted: Iterable[Network] = (),
        descriptors: int = sys.maxsize,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.render_error = render_error
        self._trusted = tuple(trusted)
        self._clock = clock
        self._by_address: Counter[str] = Counter()
        # A dict keeps the order: the connection that has been idle longest ends first.
        self._idle: dict[Connection, None] = {}
        self._logged: dict[str, float] = {}
        # What databases and images need stays free: paid work must be written down also under a flood (0010).
        reserved = min(limits.reserved_descriptors, descriptors // 4)
        self._tight, self._last = descriptors - reserved, descriptors - reserved // 8

    def site_of(self, address: str | None) -> str | None:
        """What is counted as one caller; None for a proxy, behind which many are."""
        if address is None:
            return None
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            # Not an address: what a Unix socket, or a proxy, calls its caller.
            return address
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        parsed = mapped or parsed
        # Many callers share a proxy's address; a limit for one of them would hit all.
        if any(parsed in network for network in self._trusted):
            return None
        if isinstance(parsed, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))
        return str(parsed)

    def add_connection(self, site: str | None, descriptor: int) -> GatewayError | None:
        """Count a new connection; why it cannot stay, if it cannot.

        The lowest free number is taken for each descriptor, so a high one says how many there are in all.
        """
        if site is not None:
            # Counted even if it is refused: `remove_connection` is called for every connection.
            self._by_address[site] += 1
            if self._by_address[site] > self.limits.per_address:
                self._log_rarely("too many connections from one address", site, "SPILLWAY_MAX_CONNECTIONS_PER_ADDRESS")
                return TooManyConnectionsError("There are too many connections from your address.")
        # The number itself is the count: no look into /proc for each connection.
        if descriptor < self._tight:
            return None
        self._log_rarely("nearly all file descriptors are in use", site, "the limit of open files (ulimit -n)")
        ended = self._end_idle()
        if ended and descriptor < self._last:
            return None
        return TooManyConnectionsError("This gateway has as many connections as it can hold.")

    def remove_connection(self, connection: Connection, site: str | None) -> None:
        """A connection has ended."""
        self._idle.pop(connection, None)
        if site is not None:
            self._by_address[site] -= 1
            # Else an entry for every address that ever called would stay.
            if not self._by_address[site]:
                del self._by_address[site]

    def mark_idle(self, connection: Connection, *, idle: bool) -> None:
        """Whether a connection waits for the next request, or for the rest of its head."""
        self._idle.pop(connection, None)
        if idle:
            self._idle[connection] = None

    def end_kept_alive(self) -> None:
        """End those that wait for a next request; one whose first is still to come is answered, and ends then."""
        for connection in [one for one in self._idle if one.is_kept_alive]:
            del self._idle[connection]
            connection.end_idle()

    def _end_idle(self) -> int:
        """Make room, the longest idle first; how many had to go. It is there only when the loop comes round again."""
        oldest = tuple(itertools.islice(self._idle, _ENDED_AT_ONCE))
        for connection in oldest:
            # At once: its end is noticed only later, and it must not be chosen twice.
            del self._idle[connection]
            connection.end_idle()
        return len(oldest)

    def _log_rarely(self, event: str, site: str | None, setting: str) -> None:
        """Log it, once in a while: a caller that causes it can cause it often."""
        now = self._clock()
        if now - self._logged.get(event, -_LOG_EVERY_SECONDS) >= _LOG_EVERY_SECONDS:
            self._logged[event] = now
            _logger.error(event, address=site, setting=setting)


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What all connections of a process share."""

    connections: Connections
    shutdown: Shutdown

    def as_lifespan_state(self) -> dict[str, object]:
        """What the application gives the server, so that its connections find this."""
        return {_PROCESS: self, SHUTDOWN: self.shutdown}


def process_state_of(app_state: Mapping[str, object]) -> ProcessState:
    """That of this process; connections are counted apart where the application has none."""
    found = app_state.get(_PROCESS)
    if isinstance(found, ProcessState):
        return found
    return ProcessState(Connections(ConnectionLimits(), lambda error: str(error).encode()), Shutdown())
