"""The first bytes of what lies at an address."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from app.egress.address_guard import AddressGuard, FetchError, RefusedAddressError
from app.egress.fetch import InputFetcher
from app.egress.http_get import Head


@contextlib.contextmanager
def answering(*pieces: bytes, pause: float = 0.0):
    """A server that answers every connection with these pieces; its port, and how many bytes it got rid of."""
    listener = socket.create_server(("127.0.0.1", 0))
    told = {"sent": 0, "connections": 0}

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                told["connections"] += 1
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    for piece in pieces:
                        connection.sendall(piece)
                        told["sent"] += len(piece)
                        time.sleep(pause)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.png", told
    listener.close()


async def resolve(host: str, port: int, caller: str) -> list[str]:
    return [host]


def peek(*urls: str, most: int = 1000, allow_private: bool = True, clock=time.monotonic):
    """What comes of each address, one after the other: a Head or an error."""

    async def look():
        guard = AddressGuard(allow_private=allow_private, resolve=resolve)
        fetcher = InputFetcher(guard, max_bytes=10_000, clock=clock)
        found = []
        try:
            for url in urls:
                try:
                    found.append(await fetcher.peek(url, most, "caller"))
                except FetchError as error:
                    found.append(error)
        finally:
            await fetcher.close()
        return found

    return asyncio.run(look())


def test_the_beginning_and_the_size_of_the_whole_are_told():
    body = bytes(range(256)) * 100
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 25600\r\n\r\n", body) as (url, _):
        assert peek(url) == [Head(body[:1000], 25600)]


def test_a_short_answer_is_told_whole():
    with answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nshort") as (url, _):
        assert peek(url) == [Head(b"short", 5)]


def test_an_endless_answer_is_left_after_its_beginning():
    chunks = [b"10000\r\n" + bytes(65536) + b"\r\n"] * 1600
    with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *chunks) as (url, told):
        assert peek(url) == [Head(bytes(1000), None)]
    assert told["sent"] < 50_000_000


def test_who_does_not_answer_is_given_up_soon_and_left_alone_for_a_minute():
    times = [0.0]
    with answering(b"HTTP/1.1 200 OK\r\n", pause=8) as (url, told):
        began = time.monotonic()
        first, second = peek(url, url, clock=lambda: times[0])
        assert time.monotonic() - began < 20
    assert isinstance(first, FetchError)
    assert isinstance(second, FetchError)
    assert told["connections"] == 1


def test_a_refusal_of_its_server_is_no_silence():
    with answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as (url, told):
        assert [error.status for error in peek(url, url)] == [404, 404]
    assert told["connections"] == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a", "http://169.254.169.254/", "ftp://example.com/a"])
def test_addresses_that_lead_inside_are_refused_every_time(url):
    assert [type(error) for error in peek(url, url, allow_private=False)] == [RefusedAddressError] * 2
