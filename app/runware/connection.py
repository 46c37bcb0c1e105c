"""One connection to Runware, which carries one exchange after the other and knows what has left this process.

The loop hands what is written to the system at once, and says when it could not: so `send` knows whether a first byte
is out, and `flushed` when all of them are. Leaves what an answer is to `answer_reader`, when a connection is used again
to `pool`, and what is sent in which order to `http_transport`.
"""

import asyncio
import select
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from app.runware.answer_reader import AnswerReader, BadAnswerError
from app.runware.transport import HTTPReply, LateError, LostError, TransportError

# TLS keeps what it encrypted in a transport of its own below, which tells nobody when it is empty.
_TLS_LOOK_SECONDS = 0.005
SCRATCH_BYTES = 64 * 1024


class _HasFile(Protocol):
    def fileno(self) -> int: ...


class Connection(asyncio.BufferedProtocol):
    """Bytes land in `scratch`, which all connections share: it is read before anything else is received.

    `on_lost` is called once when it has ended.
    """

    answer: "asyncio.Future[HTTPReply | TransportError]"
    """What became of the exchange that runs; an error is a value, so that none is left unheard."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        scratch: memoryview,
        on_lost: "Callable[[Connection], None]",
    ) -> None:
        self._loop = loop
        self._scratch = scratch
        self._on_lost = on_lost
        self._reader = AnswerReader()
        self._socket: asyncio.Transport | None = None
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._look: Callable[[int], Sequence[object]] | None = None
        self._is_paused = False
        self._is_expected = False
        """Whether an answer is to come."""
        self.is_sending = False
        """Whether parts of the request are not written yet."""
        self.can_reuse = True
        """Whether there was no exchange, or one that ended so that another may follow."""
        self.was_used = False
        """Whether it carried an exchange before the one that runs."""
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands, without TLS."""
        self._socket = self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but ancestry
        # Whatever the system does not take at once is told: what waits here has not left this process.
        self._socket.set_write_buffer_limits(0)
        self._look = _look_at(transport.get_extra_info("socket"))

    def secure(self, transport: asyncio.Transport) -> None:
        """TLS stands on top of it."""
        self._transport = transport
        # Zero would mean paused for ever to the loops' TLS.
        transport.set_write_buffer_limits(high=1, low=0)

    @property
    def socket(self) -> asyncio.Transport:
        """What carries it, below TLS."""
        assert self._socket is not None  # noqa: S101 - set before anybody is given this connection
        return self._socket

    @property
    def is_open(self) -> bool:
        """Whether anything can be written."""
        return self._socket is not None and not self._socket.is_closing()

    def begin(self, max_bytes: int) -> None:
        """An exchange begins whose answer may have so many bytes."""
        self._reader.begin(max_bytes)
        self.answer = self._loop.create_future()
        self._is_expected, self.can_reuse = True, False

    def send(self, *data: bytes | memoryview) -> bool:
        """Write the first bytes of a request; False where surely none of them left this process."""
        socket, transport = self._socket, self._transport
        # TLS may have ended while what carries it has not, and the other way round.
        if socket is None or transport is None or socket.is_closing() or transport.is_closing():
            return False
        # The system may know of an end, or of bytes that nobody asked for, which the loop had no time to read.
        if self.was_used and self._look is not None and self._look(0):
            return False
        if len(data) == 1:
            transport.write(data[0])
        else:
            transport.writelines(data)
        # The loop asked the system already. What it refuses as a whole closes the connection, and nothing else does.
        return not (socket.is_closing() or transport.is_closing())

    async def send_on(self, data: bytes | memoryview) -> None:
        """Write more of a request, once there is room for it."""
        if self._is_paused:
            await self._wait()
        if self._transport is not None and self._is_expected:
            self._transport.write(data)

    async def flushed(self) -> None:
        """Return once everything that was written is with the system, or nobody waits for it any more."""
        while self._is_expected and (self._is_paused or (self._socket and self._socket.get_write_buffer_size())):
            if self._is_paused:
                await self._wait()
            else:
                await asyncio.sleep(_TLS_LOOK_SECONDS)

    def expire(self) -> None:
        """The time for the answer is over."""
        self._end(LateError())

    def abort(self) -> None:
        """Give it up, with whatever it carries."""
        self._end(LostError())
        if self._transport is not None:
            self._transport.abort()

    def get_buffer(self, _: int) -> memoryview:
        """Where the next bytes go."""
        room = self._reader.room
        return self._scratch if room is None else room

    def buffer_updated(self, count: int) -> None:
        """So many came."""
        if not self._is_expected:
            # Nothing was asked: whatever this is, the next answer could be mistaken for it.
            self.abort()
            return
        reader = self._reader
        try:
            has_reply = reader.feed(self._scratch[:count]) if reader.room is None else reader.fill(count)
        except BadAnswerError:
            self._end(LostError())
            return
        if has_reply and reader.reply is not None:
            self._end(reader.reply)

    def eof_received(self) -> None:
        """The other side ends it; the loop then closes it."""
        self._end_of_bytes()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        if exc is None:
            self._end_of_bytes()
        self._end(LostError())
        self._socket = self._transport = None
        self._reader.close()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The system takes no more for now."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It takes more."""
        self._is_paused = False
        if self._writable is not None:
            self._wake()

    def _end_of_bytes(self) -> None:
        if self._is_expected:
            try:
                self._reader.end()
            except BadAnswerError:
                self._end(LostError())
            else:
                self._end(self._reader.reply or LostError())

    def _end(self, outcome: HTTPReply | TransportError) -> None:
        """The exchange has ended, where one runs."""
        if self._is_expected:
            self._is_expected = False
            # An answer before the end of its request leaves a connection in which that end is still to come.
            reader = self._reader
            is_whole = outcome is reader.reply and reader.can_reuse
            self.can_reuse = is_whole and not (self.is_sending or self._is_paused)
            if not self.answer.done():  # who waited may have left
                self.answer.set_result(outcome)
            if self._writable is not None:
                self._wake()

    async def _wait(self) -> None:
        """Until there is room, or the exchange has ended."""
        if self._is_expected:
            self._writable = self._loop.create_future()
            await self._writable

    def _wake(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)


def _look_at(socket: _HasFile | None) -> Callable[[int], Sequence[object]] | None:
    """Asks whether there is anything to read, waiting so many milliseconds; None where the system cannot be asked."""
    if socket is None or not hasattr(select, "poll"):
        return None
    polled = select.poll()
    polled.register(socket.fileno(), select.POLLIN)
    return polled.poll
