"""A request's headers are found at once, and are the same as Starlette's."""

import pytest
from starlette.datastructures import Headers

from app.server.delivery import RequestState
from app.server.request import GatewayRequest, IndexedHeaders

RAW = [(b"host", b"one"), (b"accept", b"a"), (b"x-odd", b"\xe9"), (b"accept", b"b"), (b"empty", b"")]


@pytest.mark.parametrize("name", ["host", "Host", "accept", "x-odd", "empty", "absent", "ABSENT"])
def test_every_question_has_starlettes_answer(name):
    ours, theirs = IndexedHeaders(list(RAW), RequestState(RAW).headers), Headers(raw=list(RAW))
    assert (ours.get(name), ours.get(name, "other")) == (theirs.get(name), theirs.get(name, "other"))
    assert (name in ours, ours.getlist(name)) == (name in theirs, theirs.getlist(name))
    if name in theirs:
        assert ours[name] == theirs[name]
    else:
        with pytest.raises(KeyError):
            ours[name]
    assert (ours == theirs, ours.items(), len(ours)) == (True, theirs.items(), 5)


def test_a_request_has_them_of_its_scope():
    async def nothing(*_: object):
        raise AssertionError

    request = GatewayRequest({"type": "http", "headers": RAW}, nothing, nothing, RequestState(RAW))
    assert request.headers.get("accept") == "a"
