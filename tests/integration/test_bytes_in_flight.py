"""Bytes in flight are bounded: bodies wait unread for their turn, fair by API key, as long as their callers do."""

import concurrent.futures
import contextlib
import socket
from urllib.parse import urlsplit

import pytest

from tests.support import loopback
from tests.support.images import png_of
from tests.support.waiting import seen

KIB, MIB = 1024, 1024 * 1024


class SlowUpload:
    """A form that was announced and begun, and ends when told."""

    def __init__(self, origin: str, size: int) -> None:
        parts = urlsplit(origin)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self._head = b'--b\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        self._rest = size - len(self._head)
        self._socket.sendall(
            b"POST /v1/images/edits HTTP/1.1\r\nhost: x\r\nauthorization: Bearer test-key\r\n"
            b"content-type: multipart/form-data; boundary=b\r\ncontent-length: %d\r\nexpect: 100-continue\r\n\r\n%s"
            % (size, self._head)
        )

    def has_room(self) -> bool:
        """Wait until its body is read, of which it is told."""
        return self._socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def send(self, size: int) -> None:
        """Send some more, as far as the system takes it."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            self._socket.send(b"x" * size)

    def taken(self, size: int) -> int:
        """How many of `size` bytes are taken before nothing is for a second."""
        self._socket.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < size:
                sent += self._socket.send(b"x" * min(MIB, size - sent))
        return sent

    def leave(self) -> None:
        """Go away in the middle."""
        self._socket.close()

    def end(self) -> None:
        """Send a form without a prompt, which is refused."""
        self._socket.sendall(b"x" * (self._rest - 7) + b"\r\n--b--")
        answer = self._socket.recv(100)
        self._socket.close()
        assert answer.startswith(b"HTTP/1.1 400")


def bodies_waiting(gateway, count: int) -> int:
    """How many bodies wait for a place, as soon as these are as many as they should be."""
    return seen(
        lambda: loopback.get(f"{gateway.origin}/readyz").json()["memory"]["waiting"], lambda waiting: waiting == count
    )


def test_a_body_that_does_not_fit_waits_unread_until_there_is_room(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        second = pool.submit(gateway.edit, [("image", ("a.png", png_of(400 * KIB)))])
        assert bodies_waiting(gateway, 1) == 1
        assert not second.done()
        small = gateway.generate()
        assert small.status_code == 200, "small bodies need no place"
        first.end()
        assert second.result(timeout=30).status_code == 200
    assert gateway.edit([("image", ("a.png", png_of(800 * KIB)))]).status_code == 200, "every place is free again"


def test_what_waits_unread_stays_with_the_system(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    waiting = SlowUpload(gateway.origin, 60 * MIB)
    assert waiting.taken(59 * MIB) < 48 * MIB, "no more than the buffers of two sockets hold"
    waiting.leave()
    first.end()


def test_a_body_waits_as_long_as_its_caller_does_and_is_then_told_to_come_back(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    answer = gateway.client.post(
        "/images/edits",
        data={"prompt": "make it night"},
        files=[("image", ("a.png", png_of(400 * KIB)))],
        headers={"X-Spillway-Timeout": "2"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    first.end()


@pytest.mark.parametrize("size", [pytest.param(3 * MIB, id="more than all"), pytest.param(MIB, id="all")])
def test_a_body_as_large_as_the_bound_goes_alone_not_never(start_gateway, size):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    assert gateway.edit([("image", ("a.png", png_of(size)))]).status_code == 200


@pytest.mark.parametrize(
    "sent", [pytest.param(0, id="nothing sent"), pytest.param(100 * KIB, id="as much as the system holds unread")]
)
def test_a_caller_that_leaves_while_its_body_waits_makes_room_in_the_queue(start_gateway, sent):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB), SPILLWAY_MAX_QUEUED="1")
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    waiting = SlowUpload(gateway.origin, 900 * KIB)
    image = [("image", ("a.png", png_of(400 * KIB)))]
    assert bodies_waiting(gateway, 1) == 1
    assert gateway.edit(image).status_code == 429, "the queue is full"
    waiting.send(sent)
    waiting.leave()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert bodies_waiting(gateway, 0) == 0
        third = pool.submit(gateway.edit, image)
        assert bodies_waiting(gateway, 1) == 1
        first.end()
        assert third.result(timeout=60).status_code == 200
