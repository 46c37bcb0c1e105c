"""The connections to Runware: how many there are, which are free, and who waits for one.

One that ends while it is idle is let go before anything is written on it. Leaves how one is made to `connecting`, and
what is exchanged on it to `http_transport`.
"""

import asyncio
import contextlib
from collections import deque

from app.runware.connecting import Target
from app.runware.connection import SCRATCH_BYTES, Connection
from app.runware.transport import NotSentError, NotTriedError

_CONNECT_SECONDS = 10.0
MAX_CONNECTIONS = 2048
IDLE_SECONDS = 20.0
_SHORTEST_LOOK = 0.05


class ConnectionPool:
    """At most `limit` connections to a target, idle ones for `idle_seconds`. Who waited longest is served first."""

    def __init__(self, target: Target, *, limit: int = MAX_CONNECTIONS, idle_seconds: float = IDLE_SECONDS) -> None:
        self._target = target
        self._limit = limit
        self._idle_seconds = idle_seconds
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._places = 0
        """Taken by connections, those that are being made, and those that somebody was just allowed to make."""
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take_idle(self, now: float) -> Connection | None:
        """An open connection that carries nothing, None where there is none; `now` is the loop's time."""
        # The one used last: the others grow old, and are closed when there are more than needed.
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                if now - connection.idle_since < self._idle_seconds:
                    return connection
                connection.abort()
        return None

    async def connect(self, expires: float) -> Connection:
        """A new connection, or one that became free meanwhile; raises NotSentError, at the latest at `expires`."""
        if self._places < self._limit and not self._waiters and not self._is_closed:
            self._places += 1
        elif (freed := await self._wait(expires)) is not None:
            return freed
        try:
            connection = await self._make(expires)
        except BaseException as error:
            self._free_place()
            if isinstance(error, OSError | ValueError):
                raise NotSentError from None
            raise
        self._open.add(connection)
        return connection

    def give_back(self, connection: Connection, now: float) -> None:
        """An exchange on it is over, or none was begun; it is closed unless another may follow."""
        if not connection.can_reuse or self._is_closed:
            connection.abort()
        elif self._waiters and (waiter := self._next_waiter()) is not None:
            connection.was_used = True
            waiter.set_result(connection)
        else:
            connection.idle_since, connection.was_used = now, True
            self._idle.append(connection)
            if self._sweeping is None:
                self._sweep_at(now + self._idle_seconds)

    async def close(self) -> None:
        """End all connections, whatever they carry."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        while (waiter := self._next_waiter()) is not None:
            waiter.cancel()
        for connection in list(self._open):
            connection.abort()
        # The loop ends them in its next round.
        await asyncio.sleep(0)

    async def _make(self, expires: float) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(min(expires, loop.time() + _CONNECT_SECONDS)):
            connection = await self._target.connect(self._new)
        if self._is_closed or not connection.is_open:
            connection.abort()
            raise ConnectionResetError
        return connection

    def _new(self) -> Connection:
        return Connection(asyncio.get_running_loop(), self._scratch, self._forget)

    async def _wait(self, expires: float) -> Connection | None:
        """What somebody gives back, None where there is a place for another connection; raises NotTriedError."""
        if self._is_closed:
            raise NotTriedError
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiters.append(waiter)
        # Not `await waiter` with a timeout around it: that would cancel what may just have been given.
        try:
            await asyncio.wait([waiter], timeout=max(expires - loop.time(), 0))
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise
        if waiter.cancelled() or not waiter.done():
            self._pass_on(waiter)
            raise NotTriedError
        return waiter.result()

    def _pass_on(self, waiter: "asyncio.Future[Connection | None]") -> None:
        """Who waited leaves: what it was given in the same moment is for the next one."""
        with contextlib.suppress(ValueError):
            self._waiters.remove(waiter)
        if not waiter.done():
            waiter.cancel()
        elif not waiter.cancelled():
            connection = waiter.result()
            if connection is None:
                self._free_place()
            else:
                self.give_back(connection, asyncio.get_running_loop().time())

    def _next_waiter(self) -> "asyncio.Future[Connection | None] | None":
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _forget(self, connection: Connection) -> None:
        """It has ended."""
        if connection in self._open:
            self._open.discard(connection)
            self._free_place()

    def _free_place(self) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self._places -= 1
        else:
            waiter.set_result(None)

    def _sweep_at(self, when: float) -> None:
        self._sweeping = asyncio.get_running_loop().call_at(when, self._sweep)

    def _sweep(self) -> None:
        """Close what was not used for too long."""
        now = asyncio.get_running_loop().time()
        kept: list[Connection] = []
        for connection in self._idle:
            if now - connection.idle_since >= self._idle_seconds:
                connection.abort()
            elif connection.is_open:
                kept.append(connection)
        self._idle, self._sweeping = kept, None
        if kept:
            self._sweep_at(max(kept[0].idle_since + self._idle_seconds, now + _SHORTEST_LOOK))
