"""Fetching what callers name, from a server on loopback that behaves as a test says."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.egress.address_guard import AddressGuard, FetchError
from app.egress.fetch import InputFetcher
from app.egress.http_get import TooManyBytesError

REDIRECTS = {
    "/broken": "http://[broken",
    "/empty": "//",
    "/file": "file:///etc/passwd",
    "/loop": "/loop",
    "/zero": "\x00",
    "/foreign": "http://b\xfccher.example:1/",
    "/on": "/image.png",
}


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            location = REDIRECTS.get(self.path)
            self.send_response(302 if location else 200)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"image")

        def log_message(self, *_: object) -> None:
            return

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_port
    running.shutdown()
    running.server_close()


def fetch(url: str, addresses: list[str] | None = None, max_bytes: int = 100) -> bytes:
    async def resolve(host: str, port: int, caller: str) -> list[str]:
        return addresses or ["127.0.0.1"]

    async def work() -> bytes:
        fetcher = InputFetcher(AddressGuard(allow_private=True, resolve=resolve), max_bytes=max_bytes)
        try:
            return await fetcher.fetch_image(url, "a caller")
        finally:
            await fetcher.close()

    return asyncio.run(work())


@pytest.mark.parametrize("path", ["/image.png", "/ä b.png", "/%zz?q=1", "/on"])
def test_an_image_is_fetched_from_the_address_that_was_checked(server, path):
    assert fetch(f"http://images.example:{server}{path}") == b"image"


@pytest.mark.parametrize("path", sorted(REDIRECTS.keys() - {"/on"}))
def test_a_redirect_that_leads_nowhere_is_told_as_such(server, path):
    with pytest.raises(FetchError):
        fetch(f"http://images.example:{server}{path}")


def test_the_next_address_is_tried_where_one_cannot_be_connected_to(server):
    assert fetch(f"http://images.example:{server}/image.png", ["127.0.0.2", "127.0.0.1"]) == b"image"


def test_more_bytes_than_are_taken_are_not_read(server):
    with pytest.raises(TooManyBytesError):
        fetch(f"http://images.example:{server}/image.png", max_bytes=4)


@pytest.mark.parametrize("port", [1, 9])
def test_a_server_that_is_not_there_is_told(port):
    with pytest.raises(FetchError, match="cannot be fetched"):
        fetch(f"http://images.example:{port}/image.png")
