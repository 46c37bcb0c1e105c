"""What counts as an answer, whichever way it is cut into packets."""

import gzip
import io
import itertools
import tracemalloc
import zlib

import pytest

from app.runware.answer_reader import AnswerReader, BadAnswerError
from app.runware.transport import HTTPReply
from tests.support.hostile_server import OK, whole

MAX = 1_000_000
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n"
EARLY = b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"
LARGE = bytes(range(256)) * 1024


def read(reader: AnswerReader, data: bytes, size: int, *, ends: bool = False, max_bytes: int = MAX) -> HTTPReply | None:
    """What is read of bytes that come in pieces of a size, as a connection would receive them."""
    reader.begin(max_bytes)
    stream = io.BytesIO(data)
    scratch = memoryview(bytearray(64 * 1024))
    while True:
        room = scratch if reader.room is None else reader.room
        count = stream.readinto(room[:size])
        if not count:
            break
        if reader.feed(scratch[:count]) if reader.room is None else reader.fill(count):
            assert reader.reply is not None
            return reader.reply if reader.reply.is_cut or stream.tell() == len(data) else None
    if ends:
        reader.end()
    return reader.reply


SIZES = pytest.mark.parametrize("size", [1, 2, 7, 100, 65_536])


@SIZES
@pytest.mark.parametrize(
    ("data", "reply", "is_kept"),
    [
        pytest.param(whole(b"{}"), HTTPReply(200, b"{}", None), True, id="length"),
        pytest.param(OK + b"cOnTeNt-LeNgTh:\t2\r\n\r\n{}", HTTPReply(200, b"{}", None), True, id="odd case"),
        pytest.param(whole(b""), HTTPReply(200, b"", None), True, id="empty"),
        pytest.param(whole(LARGE), HTTPReply(200, LARGE, None), True, id="large"),
        pytest.param(whole(b"{}", b"Connection: close"), HTTPReply(200, b"{}", None), False, id="close"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", HTTPReply(200, b"{}", None), False, id="1.0"),
        pytest.param(
            CHUNKED + b"\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\n\r\n", HTTPReply(200, b"{}", None), True, id="chunks"
        ),
        pytest.param(
            CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-More: 9\r\nRetry-After: 5\r\n\r\n",
            HTTPReply(200, b"{}", None),
            True,
            id="trailers are not heard",
        ),
        pytest.param(EARLY + whole(b"{}"), HTTPReply(200, b"{}", None), True, id="continue"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nRetry-After: 5\r\n\r\n" + EARLY + whole(b"{}"),
            HTTPReply(200, b"{}", None),
            True,
            id="two before the answer",
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", HTTPReply(204, b"", None), True, id="no content"),
        pytest.param(
            b"HTTP/1.1 429 X\r\nRetry-After: 1.5\r\nContent-Length: 0\r\n\r\n", HTTPReply(429, b"", 1.5), True, id="429"
        ),
        pytest.param(whole(b"{}", b"Retry-After:  7 "), HTTPReply(200, b"{}", 7.0), True, id="seconds in spaces"),
        pytest.param(whole(b"{}", b"Retry-After: -1"), HTTPReply(200, b"{}", None), True, id="seconds below zero"),
        pytest.param(whole(b"{}", b"Retry-After: inf"), HTTPReply(200, b"{}", None), True, id="seconds without end"),
        pytest.param(
            whole(b"{}", b"Retry-After: Fri, 27 Nov 2026 00:00:00 GMT"), HTTPReply(200, b"{}", None), True, id="date"
        ),
        pytest.param(
            whole(gzip.compress(LARGE), b"Content-Encoding: gzip"), HTTPReply(200, LARGE, None), True, id="gzip"
        ),
        pytest.param(
            whole(gzip.compress(b"{") + gzip.compress(b"}") + b"\0\0", b"Content-Encoding: X-GZIP"),
            HTTPReply(200, b"{}", None),
            True,
            id="gzip of two parts",
        ),
        pytest.param(
            whole(zlib.compress(LARGE), b"Content-Encoding: deflate"), HTTPReply(200, LARGE, None), True, id="deflate"
        ),
        pytest.param(
            whole(zlib.compress(b"{}", wbits=-15), b"Content-Encoding: deflate"),
            HTTPReply(200, b"{}", None),
            True,
            id="deflate without wrapping",
        ),
        pytest.param(whole(b"{}", b"Content-Encoding: utf-8"), HTTPReply(200, b"{}", None), True, id="no encoding"),
        pytest.param(whole(b"{}", b"X-Content-Encoding: gzip"), HTTPReply(200, b"{}", None), True, id="another field"),
    ],
)
def test_an_answer_is_read(data, reply, is_kept, size):
    reader = AnswerReader()
    assert read(reader, data, size) == reply
    assert reader.can_reuse is is_kept
    if is_kept:
        assert read(reader, whole(b"[1]", b"Retry-After: 3"), size) == HTTPReply(200, b"[1]", 3.0)


@SIZES
@pytest.mark.parametrize(
    "head",
    [OK, OK + b"Transfer-Encoding: gzip\r\n", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"],
    ids=["nothing", "odd-transfer", "1.0"],
)
def test_an_answer_without_a_length_lasts_as_long_as_its_connection(head, size):
    reader = AnswerReader()
    assert read(reader, head + b"\r\n" + b"{}" * 100, size, ends=True) == HTTPReply(200, b"{}" * 100, None)
    assert not reader.can_reuse


BAD = {
    "garbage": b"SSH-2.0-OpenSSH\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a field without an end": OK + b"X-Endless: " + b"a" * 100_000,
    "a head without an end": OK + b"X: a\r\n" * 20_000,
    "too many fields": OK + b"X: a\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
    "too large a head": whole(b"{}", *[b"X: " + b"a" * 1000] * 80),
    "hints without an end": EARLY * 2_000,
    "trailers without an end": CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + b"X: a\r\n" * 40_000,
    "a trailer without an end": CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX: " + b"a" * 200_000,
    "a chunk's extension without an end": CHUNKED + b"\r\n2;" + b"a" * 100_000,
    "a length that is none": OK + b"Content-Length: two\r\n\r\n{}",
    "a length below zero": OK + b"Content-Length: -2\r\n\r\n{}",
    "a length beyond any machine": OK + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"\r\n2\r\n{}}\r\n0\r\n\r\n",
    "a line break alone": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "damaged gzip": whole(b"not gzip at all", b"Content-Encoding: gzip"),
    "half of gzip": whole(gzip.compress(LARGE)[:-9], b"Content-Encoding: gzip"),
    "no gzip at all": whole(b"", b"Content-Encoding: gzip"),
    "bytes behind deflate": whole(zlib.compress(b"{}") + b"more", b"Content-Encoding: deflate"),
    "more parts of gzip than anybody needs": whole(gzip.compress(b"") * 200, b"Content-Encoding: gzip"),
}


@SIZES
@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_believed_is_no_answer(data, size):
    with pytest.raises(BadAnswerError):
        read(AnswerReader(), data, size)


@pytest.mark.parametrize(
    "more",
    [whole(b"[]"), b"HTTP/1.1 2", b"x"],
    ids=["another answer", "the start of another", "garbage"],
)
def test_who_says_more_than_it_was_asked_is_not_believed(more):
    with pytest.raises(BadAnswerError):
        read(AnswerReader(), whole(b"{}") + more, 65_536)


def test_line_breaks_behind_an_answer_say_nothing():
    assert read(AnswerReader(), whole(b"{}") + b"\r\n\r\n", 65_536) == HTTPReply(200, b"{}", None)


@pytest.mark.parametrize(
    "data",
    [whole(LARGE), CHUNKED + b"\r\n5\r\nabcde\r\n0\r\nX: a\r\n\r\n", EARLY + whole(b"{}")],
    ids=["length", "chunks", "hints"],
)
def test_an_answer_that_ends_early_is_none(data):
    places = itertools.chain(range(1, min(len(data), 300)), range(300, len(data), 50_021), [len(data) - 1])
    for place in places:
        if place >= len(data):
            continue
        with pytest.raises(BadAnswerError):
            read(AnswerReader(), data[:place], 65_536, ends=True)


@SIZES
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"Content-Length: 1001\r\n\r\n", id="declared"),
        pytest.param(whole(b"a" * 1001), id="sent"),
        pytest.param(CHUNKED + b"\r\n3e9\r\n" + b"a" * 1001, id="chunks"),
        pytest.param(OK + b"\r\n" + b"a" * 1001, id="without a length"),
        pytest.param(
            CHUNKED + b"Content-Encoding: gzip\r\n\r\n1000\r\n" + gzip.compress(bytes(1001)), id="hidden in gzip"
        ),
    ],
)
def test_an_answer_larger_than_asked_for_is_not_read_on(data, size):
    reader = AnswerReader()
    assert read(reader, data, size, max_bytes=1000) == HTTPReply(200, b"", None, is_cut=True)
    assert not reader.can_reuse


def test_an_answer_as_large_as_allowed_is_read():
    for data in (whole(b"a" * 1000), CHUNKED + b"\r\n3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n"):
        assert read(AnswerReader(), data, 100, max_bytes=1000) == HTTPReply(200, b"a" * 1000, None)


def test_a_few_packed_bytes_are_not_unpacked_to_more_than_asked_for():
    bomb = gzip.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    try:
        reply = read(AnswerReader(), whole(bomb, b"Content-Encoding: gzip"), 65_536)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reply == HTTPReply(200, b"", None, is_cut=True)
    assert most < 10 * MAX


def test_megabytes_of_a_known_length_are_received_where_they_stay():
    reader = AnswerReader()
    reader.begin(MAX)
    start = whole(LARGE)[:1000]
    assert not reader.feed(memoryview(start))
    head = start.index(b"\r\n\r\n") + 4
    room = reader.room
    assert room is not None
    assert len(room) == len(LARGE) - (1000 - head)
    room[:] = LARGE[1000 - head :]
    assert reader.fill(len(room))
    assert reader.reply is not None
    assert reader.reply.body == LARGE
    assert memoryview(reader.reply.body).obj is room.obj


def test_no_memory_is_taken_for_a_length_that_was_only_claimed():
    reader = AnswerReader()
    reader.begin(10**9)
    assert not reader.feed(memoryview(OK + b"Content-Length: 900000000\r\n\r\nabc"))
    assert reader.room is None
