"""A TCP proxy for HTTP/1.1 that stops at every stage of an exchange, so that something can be broken just there."""

import asyncio
import contextlib
import fcntl
import re
import socket
import struct
import termios
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import Enum

TOKEN = re.compile(rb"fault-[0-9a-f]{32}")
_LIMIT = 64 * 1024 * 1024


class Stage(Enum):
    """How far an exchange is when something breaks."""

    REQUEST_PART = "half of the request went on"
    REQUEST_HELD = "the request is here, nothing went on"
    REQUEST_SENT = "the request went on"
    RESPONSE_HELD = "the response is here, nothing went back"
    RESPONSE_PART = "half of the response went back"
    RESPONSE_SENT = "the response went back"


class CutError(Exception):
    """Both connections of this exchange end with a reset, now."""


_Pair = tuple[asyncio.StreamWriter, asyncio.StreamWriter]
Hook = Callable[[str, Stage], Awaitable[None]]
"""Called with the token of an exchange at each stage; may break things, and raises CutError to cut this one."""


class FaultProxy:
    """Stands before a server. Exchanges whose request carries no token pass unharmed."""

    def __init__(self, target_port: int, hook: Hook) -> None:
        self._target_port = target_port
        self._hook = hook
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._tokens: dict[str, _Pair] = {}
        self._in_flight: dict[_Pair, str] = {}
        self.lost: Counter[str] = Counter()
        """How often an exchange with this token was in flight when every connection was cut."""
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and cut what is open."""
        assert self._server is not None
        self._server.close()
        self.cut_all()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        self.lost.update(self._in_flight.values())
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)

    def cut(self, token: str) -> None:
        """Reset the connections that carry this exchange."""
        for writer in self._tokens.get(token, ()):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port, limit=_LIMIT)
        except OSError:
            await _end(writer, by_reset=True)
            return
        pair = (writer, up_writer)
        self._pairs.add(pair)
        in_peace = False
        try:
            while await self._exchange(reader, writer, up_reader, up_writer):
                pass
            in_peace = True
        except (CutError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._pairs.discard(pair)
            self._in_flight.pop(pair, None)
            await asyncio.gather(*(_end(one, by_reset=not in_peace) for one in pair))

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> bool:
        """One request and its response; False when the client ends in peace."""
        request = await self._watched(_read_message(reader), up_reader)
        if request is None:
            if _has_unread(writer):
                raise CutError
            return False
        found = TOKEN.search(request)
        token = found[0].decode() if found else None
        if token:
            self._tokens[token] = (writer, up_writer)
            self._in_flight[writer, up_writer] = token
        await self._forward(request, up_writer, token, Stage.REQUEST_PART, Stage.REQUEST_HELD)
        await self._at(token, Stage.REQUEST_SENT)
        response = await self._watched(_read_message(up_reader), reader)
        if response is None or reader.at_eof():
            raise CutError
        await self._forward(response, writer, token, Stage.RESPONSE_PART, Stage.RESPONSE_HELD)
        await self._at(token, Stage.RESPONSE_SENT)
        self._in_flight.pop((writer, up_writer), None)
        return True

    async def _watched(self, reading: Awaitable[bytes | None], other: asyncio.StreamReader) -> bytes | None:
        """A message from one side, raising CutError when the other side goes away meanwhile."""
        task = asyncio.ensure_future(reading)
        while not task.done():
            await asyncio.wait({task}, timeout=0.02)
            if not task.done() and (other.at_eof() or other.exception() is not None):
                task.cancel()
                raise CutError
        return task.result()

    async def _forward(
        self, message: bytes, writer: asyncio.StreamWriter, token: str | None, part: Stage, held: Stage
    ) -> None:
        await self._at(token, held)
        half = len(message) // 2 if token else len(message)
        writer.write(message[:half])
        await writer.drain()
        await self._at(token, part)
        writer.write(message[half:])
        await writer.drain()

    async def _at(self, token: str | None, stage: Stage) -> None:
        if token is not None:
            await self._hook(token, stage)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, as the kernel does for a process that dies with unread data."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _end(writer: asyncio.StreamWriter, *, by_reset: bool) -> None:
    if by_reset:
        _reset(writer)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _has_unread(writer: asyncio.StreamWriter) -> bool:
    """Whether a peer that is gone did not take everything: its kernel answered with a reset, or not at all."""
    sock = writer.get_extra_info("socket")
    if sock.fileno() < 0:  # it was cut
        return True
    waiting = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    return any(waiting) or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """One HTTP message with its body; None where the connection ends before it begins."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return head + await _read_chunks(reader)
    length = re.search(rb"content-length: *(\d+)", lower)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        line = await reader.readline()
        chunk = await reader.readexactly(int(line.strip() or b"0", 16) + 2)
        body += line + chunk
        if line.strip() == b"0":
            return body
