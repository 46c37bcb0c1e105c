"""Bodies with images, whose base64 is made while they are sent, over real connections."""

import random

import pybase64
import pytest

from app.images.types import ImageBytes
from app.runware.http_transport import HTTPTransport
from app.runware.task_body import PIECE_BYTES, TaskBody, pieces_of
from app.runware.transport import HTTPReply
from tests.support.hostile_server import Peer, hostile_server, length_of
from tests.support.loops import both_loops
from tests.support.upstreams import KEY
from tests.support.waiting import seen_meanwhile

SECONDS = 20
LAST_BYTES = 1024


def body_of(*sizes: int, end: int = 5) -> tuple[TaskBody, bytes]:
    """A body with images of these sizes, which ends with so much text; and what it is."""
    images = [random.Random(size).randbytes(size) for size in sizes]
    spans = [span for image in images for span in (b'["', ImageBytes(image))] + [b"e" * end]
    return TaskBody(spans), b"".join(b'["' + pybase64.b64encode(image) for image in images) + b"e" * end


@both_loops
@pytest.mark.parametrize(
    ("sizes", "end"),
    [
        ((60_000,), 5),
        ((1_500_000,), 5),
        ((1, 49_152, 49_153, 300_000), 1),
        ((100_000,), LAST_BYTES),
        ((100_000,), LAST_BYTES + 1),
        ((0, 70_000), 200_000),
    ],
    ids=["one", "large", "several", "its end is text", "its end is a part of a text", "long texts"],
)
def test_each_attempt_sends_the_same_bytes(run, sizes, end):
    body, whole = body_of(*sizes, end=end)
    arrived: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            arrived.append(await peer.request())
            await peer.answer()

    async def course() -> None:
        async with hostile_server(script) as server:
            transport = HTTPTransport(server.url)
            for permit in (None, lambda: None):
                assert await transport.post(body, KEY, SECONDS, permit=permit) == HTTPReply(200, b"{}", None)
            await transport.close()

    run(course())
    assert (bytes(body), len(body)) == (whole, len(whole))
    assert arrived == [whole] * 2


class RefusedError(Exception):
    """What a permit raises."""


@both_loops
@pytest.mark.parametrize("left", [1, 2, 5, 8])
def test_a_body_that_is_refused_midway_never_arrives_whole(run, left):
    body, _ = body_of(1_500_000)
    asked: list[int] = []
    received: list[int] = []

    async def script(peer: Peer) -> None:
        assert length_of(await peer.head()) == len(body)
        size = 0
        while data := await peer.reader.read(1 << 16):
            size += len(data)
        received.append(size)

    def permit() -> None:
        if len(asked) == left:
            raise RefusedError
        asked.append(1)

    async def course() -> None:
        async with hostile_server(script) as server:
            transport = HTTPTransport(server.url)
            with pytest.raises(RefusedError):
                await transport.post(body, KEY, SECONDS, permit=permit)
            await transport.close()
            assert await seen_meanwhile(lambda: received, lambda found: found) == received[:1]

    run(course())
    assert received[0] <= min(left * PIECE_BYTES, len(body) - LAST_BYTES)


def test_pieces_are_no_larger_than_what_is_sent_at_once():
    body, whole = body_of(1_500_000, 3, end=200_000)
    assert max(len(piece) for piece in pieces_of(body)) == PIECE_BYTES
    assert b"".join(pieces_of(whole)) == whole
