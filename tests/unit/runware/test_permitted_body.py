"""Whoever may not send any more when the connection stands sends nothing, or nothing whole."""

import asyncio

import pytest

from app.runware.transport import AiohttpTransport, LostError
from tests.support.upstreams import KEY


class NoMoreError(Exception):
    """What the permit raises."""


class Server:
    """Reads requests on a loopback port as slowly as told, and answers whole ones."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause, self.received, self.whole = pause, b"", 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(self.received) < length and (data := await reader.read(1 << 20)):
                self.received += data
                await asyncio.sleep(self.pause)
            self.whole += len(self.received) == length
            if len(self.received) == length:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def send(server: Server, body: bytes, permit) -> int:
    """The status the body is answered with."""

    async def course() -> int:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=1 << 16)
        port = listening.sockets[0].getsockname()[1]
        transport = AiohttpTransport(f"http://127.0.0.1:{port}/")
        try:
            return (await transport.post(body, KEY, 20, permit=permit)).status
        finally:
            await transport.close()
            await asyncio.sleep(0.05)
            listening.close()

    return asyncio.run(course())


@pytest.mark.parametrize("size", [10, 65_536, 65_537, 5_000_000])
def test_what_is_permitted_arrives_as_it_is(size):
    server, asked = Server(), []
    body = bytes(range(256)) * (size // 256 + 1)

    async def permit() -> None:
        asked.append(len(server.received))

    assert send(server, body[:size], permit) == 200
    assert (server.received, server.whole) == (body[:size], 1)
    assert len(asked) >= size // 65_536, "before each piece"


def test_the_question_is_asked_when_the_connection_stands_and_refused_nothing_is_sent():
    server = Server()

    async def permit() -> None:
        raise NoMoreError

    with pytest.raises(NoMoreError):
        send(server, b"{}", permit)
    assert server.received == b""


@pytest.mark.parametrize("asked_before", [1, 20, 75])
def test_a_large_body_that_is_refused_midway_never_arrives_whole(asked_before):
    server, asked = Server(pause=0.002), []

    async def permit() -> None:
        asked.append(1)
        if len(asked) > asked_before:
            raise NoMoreError

    with pytest.raises(NoMoreError):
        send(server, b"x" * 5_000_000, permit)
    assert server.whole == 0
    assert len(server.received) <= asked_before * 65_536


def test_a_server_that_goes_away_is_no_refusal():
    async def permit() -> None:
        return

    class Rude(Server):
        async def serve(self, reader, writer) -> None:
            writer.transport.abort()

    with pytest.raises(LostError):
        send(Rude(), b"x" * 3_000_000, permit)
