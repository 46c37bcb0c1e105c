"""A body is read within its bounds, and refused before it costs anything."""

import asyncio
import gzip
import zlib

import pytest
from starlette.requests import Request

from app.errors import InvalidRequestError, TooLargeError, UnsupportedEncodingError
from app.server.body import read_body

LIMIT = 10_000


def read(*chunks: bytes, limit: int = LIMIT, **headers: str) -> tuple[list[bytes], int]:
    """The pieces of a body, and how many of its chunks were taken."""
    taken = 0

    async def receive() -> dict:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": chunks[taken - 1], "more_body": taken < len(chunks)}

    async def run() -> list[bytes]:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        request = Request({"type": "http", "headers": raw}, receive)
        return [piece async for piece in read_body(request, limit)]

    try:
        return asyncio.run(run()), taken
    except Exception as error:
        error.taken = taken
        raise


def test_a_body_is_read_as_it_comes_without_empty_pieces():
    assert read(b"ab", b"", b"c", b"") == ([b"ab", b"c"], 4)
    assert read(b"") == ([], 1)


def test_a_body_announced_too_large_is_refused_unread():
    with pytest.raises(TooLargeError) as caught:
        read(b"a", content_length=str(LIMIT + 1))
    assert caught.value.taken == 0
    assert read(b"a" * LIMIT, content_length=str(LIMIT))[0] == [b"a" * LIMIT]


def test_a_body_that_grows_too_large_is_read_no_further():
    with pytest.raises(TooLargeError) as caught:
        read(b"a" * LIMIT, b"a", b"never read")
    assert caught.value.taken == 2


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "identity, gzip", " gzip ,"])
def test_an_encoded_body_is_unpacked(encoding):
    assert b"".join(read(gzip.compress(b"abc"), content_encoding=encoding)[0]) == b"abc"


@pytest.mark.parametrize("encoding", ["", "identity", ",", "identity, identity"])
def test_no_encoding_by_any_name_is_none(encoding):
    assert read(b"abc", content_encoding=encoding)[0] == [b"abc"]


def test_a_small_body_that_unpacks_to_more_than_the_limit_is_refused():
    packed = zlib.compress(bytes(100 * LIMIT))
    assert len(packed) < LIMIT
    with pytest.raises(TooLargeError):
        read(packed, content_encoding="deflate")


@pytest.mark.parametrize("encoding", ["snappy", "gzip, gzip", "br, gzip"])
def test_an_encoding_that_is_not_unpacked_is_named(encoding):
    with pytest.raises(UnsupportedEncodingError, match=encoding):
        read(b"abc", content_encoding=encoding)


@pytest.mark.parametrize("body", [b"abc", gzip.compress(b"abc")[:-4]], ids=["other data", "cut off"])
def test_damaged_data_is_said_to_be_damaged(body):
    with pytest.raises(InvalidRequestError, match="damaged or was cut off"):
        read(body, content_encoding="gzip")


def test_an_encoding_without_a_body_is_no_damage():
    assert read(b"", content_encoding="gzip")[0] == []
