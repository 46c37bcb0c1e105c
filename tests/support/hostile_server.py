"""A server on a loopback socket that does to each connection what a test scripted, as no server should.

A script is a coroutine over `Peer`: it reads what it likes, writes raw bytes, ends or resets the connection. What it
did not end is ended when it returns.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Peer:
    """One connection, the `number`-th of its server."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        """The head of the next request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> bytes:
        """The body of the next request."""
        return await self.reader.readexactly(length_of(await self.head()))

    async def say(self, *pieces: bytes, pause: float = 0.01) -> None:
        """Write each as a packet of its own."""
        for place, piece in enumerate(pieces):
            if place:
                await asyncio.sleep(pause)
            if self.writer.is_closing():
                raise ConnectionResetError
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, body: bytes = b"{}", *fields: bytes) -> None:
        """A sensible answer."""
        await self.say(whole(body, *fields))

    async def silence(self) -> None:
        """Say nothing until the other side leaves."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    def reset(self) -> None:
        """End it with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class HostileServer:
    """Where it listens, and how many connections it was given."""

    port: int = 0
    connections: int = 0
    open: int = 0
    failures: list[Exception] = field(default_factory=list)
    """Assertions of scripts that did not hold."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/v1"


def length_of(head: bytes) -> int:
    """What a head says of the length of its body."""
    return int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


def whole(body: bytes = b"{}", *fields: bytes, status: bytes = OK) -> bytes:
    """An answer with its length."""
    return status + b"".join(b"%b\r\n" % one for one in (b"Content-Length: %d" % len(body), *fields)) + b"\r\n" + body


@asynccontextmanager
async def hostile_server(
    script: Script,
    *,
    trust: ssl.SSLContext | None = None,
    receive_bytes: int | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[HostileServer]:
    """One that listens until the block ends; `receive_bytes` bounds what the system keeps for it."""
    server = HostileServer()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.open += 1
        serving.add(asyncio.current_task())
        try:
            await script(Peer(server.connections, reader, writer))
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:  # noqa: BLE001 - the test raises it, where it is seen
            server.failures.append(error)
        finally:
            server.open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if receive_bytes is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    listening.bind((host, port))
    running = await asyncio.start_server(serve, sock=listening, ssl=trust, limit=1 << 16)
    server.port = listening.getsockname()[1]
    try:
        yield server
    finally:
        running.close()
        # What is connected still has ended, or ends now: a connection is not left to another test.
        _, late = await asyncio.wait(serving, timeout=0.2) if serving else (serving, set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if server.failures:
            raise server.failures[0]
