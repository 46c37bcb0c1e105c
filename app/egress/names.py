"""Resolves host names in threads of its own, so that a name that never answers holds up only the caller that sent it.

Owns the bounds (threads in all and for each caller, the wait for an answer) and what is remembered of addresses this
gateway lives on. Leaves judging what a name leads to to `address_guard`.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.egress.slots import SharedSlots
from app.observability.logs import get_logger

Addresses = Sequence[str]
Lookup = Callable[[str, int], Addresses]
"""Blocks until a host's addresses are known; raises OSError or ValueError when it has none."""
Resolve = Callable[[str, int, str], Awaitable[Addresses]]
"""The addresses of a host and port for a caller, raising OSError or ValueError."""
_logger = get_logger("names")
_MAX_REMEMBERED = 256


def look_up(host: str, port: int) -> Addresses:
    """All addresses of a host, as this machine finds them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class NameResolver:
    """Looks names up, `threads` at once, at most `per_caller` of them for one caller, for `wait` seconds each.

    A lookup cannot be ended, only left: it keeps its thread, and its caller's share, until the system gives up.
    """

    def __init__(self, *, threads: int, per_caller: int, wait: float, lookup: Lookup = look_up) -> None:
        self._slots = SharedSlots(threads, per_caller)
        self._wait = wait
        self._lookup = lookup

    async def resolve(self, host: str, port: int, caller: str) -> Addresses:
        """See Resolve; TimeoutError when there is no answer in time."""
        if _is_address(host):
            return [host]
        async with asyncio.timeout(self._wait):
            # A lookup holds its thread until the system gives up, so each caller has a share of threads (0046).
            await self._slots.take(caller)
            return await _Lookup(self._lookup, host, port, partial(self._slots.give_back, caller)).start()


class _Lookup:
    """One lookup in a thread of its own; `on_end` is called on the event loop once that thread has ended."""

    def __init__(self, lookup: Lookup, host: str, port: int, on_end: Callable[[], None]) -> None:
        self._lookup = lookup
        self._host, self._port = host, port
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Addresses] = self._loop.create_future()

    def start(self) -> asyncio.Future[Addresses]:
        """What will be found."""
        try:
            # A daemon: the end of the process does not wait for a name server that never answers.
            threading.Thread(target=self._run, daemon=True, name="name lookup").start()
        except RuntimeError:
            self._end(OSError("no thread could be started"))
        return self._answer

    def _run(self) -> None:
        found: Addresses | Exception
        try:
            found = self._lookup(self._host, self._port)
        except (OSError, ValueError) as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._end, found)

    def _end(self, found: Addresses | Exception) -> None:
        self._on_end()
        if self._answer.done():  # nobody waits any more
            return
        if isinstance(found, Exception):
            self._answer.set_exception(found)
        else:
            self._answer.set_result(found)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class _Known:
    addresses: Addresses
    fresh_until: float
    good_until: float


class RememberingResolver:
    """Resolves the names this gateway lives on. `clock` is monotonic seconds.

    An answer is fresh for `fresh` seconds. After that it is asked for anew, and for `good` seconds the last one serves
    whenever that fails or takes longer than `wait`.
    """

    def __init__(
        self,
        resolve: Resolve,
        *,
        fresh: float = 30.0,
        good: float = 3600.0,
        wait: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._fresh, self._good, self._wait = fresh, good, wait
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[Addresses]] = {}

    async def resolve(self, host: str, port: int, caller: str = "") -> Addresses:
        """See Resolve: what is raised is raised only where nothing good is known from before."""
        known = self._known.get(host)
        if known is not None and self._clock() < known.fresh_until:
            return known.addresses
        asking = self._asking.get(host) or self._ask(host, port, caller)
        if known is None or self._clock() >= known.good_until:
            return await asyncio.shield(asking)
        await asyncio.wait([asking], timeout=self._wait)
        if asking.done() and asking.exception() is None:
            return asking.result()
        # A name server that is down must not stop paid work: the last good address serves, and the next question waits
        # a while.
        known.fresh_until = self._clock() + self._fresh
        _logger.warning("a name cannot be resolved: its last good address serves", host=host)
        return known.addresses

    def _ask(self, host: str, port: int, caller: str) -> asyncio.Task[Addresses]:
        # One question at a time for each name: all who need the answer wait for the same one.
        asking = asyncio.create_task(self._look_up(host, port, caller))
        self._asking[host] = asking
        asking.add_done_callback(partial(self._remember, host))
        return asking

    async def _look_up(self, host: str, port: int, caller: str) -> Addresses:
        found = await self._resolve(host, port, caller)
        if not found:
            raise OSError("the name has no address")
        return found

    def _remember(self, host: str, ended: asyncio.Task[Addresses]) -> None:
        del self._asking[host]
        if ended.cancelled() or ended.exception() is not None:
            return
        now = self._clock()
        # Taken out first, so that it moves to the end: the one that was learned longest ago makes room.
        self._known.pop(host, None)
        while len(self._known) >= _MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[host] = _Known(ended.result(), now + self._fresh, now + self._good)
