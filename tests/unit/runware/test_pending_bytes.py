"""Whether anything is to be read of a socket, as the system says at that moment."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from app.runware.pending_bytes import pending_of

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with contextlib.closing(ours), contextlib.closing(theirs):
        yield ours, theirs


@pytest.mark.parametrize(
    ("happens", "is_pending"),
    [
        pytest.param(lambda ours, theirs: None, False, id="nothing"),
        pytest.param(lambda ours, theirs: ours.send(b"a"), False, id="bytes of our own"),
        pytest.param(lambda ours, theirs: theirs.send(b"a"), True, id="bytes"),
        pytest.param(lambda ours, theirs: theirs.shutdown(socket.SHUT_WR), True, id="an end"),
        pytest.param(lambda ours, theirs: theirs.close(), True, id="a close"),
        pytest.param(lambda ours, theirs: ours.close(), True, id="a socket that is closed here"),
    ],
)
def test_what_is_to_be_read_is_seen(pair: Pair, happens, is_pending):
    has_pending = pending_of(pair[0].fileno())
    assert has_pending is not None
    happens(*pair)
    assert has_pending() == is_pending


def test_what_was_read_is_no_longer_pending(pair: Pair):
    ours, theirs = pair
    has_pending = pending_of(ours.fileno())
    theirs.send(b"a")
    assert has_pending()
    ours.recv(1)
    assert not has_pending()
