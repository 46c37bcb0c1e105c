"""Who leaves while its request is carried out is noticed, whatever it sent, and at the cost of no task."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.server.delivery import state_of
from tests.conftest import serving
from tests.support.raw import RawConnection, chunked, head
from tests.support.waiting import seen

SMALL, LARGE = 100, 700_000
"""A server stops reading far below the second one, while nobody takes what came."""


class Works:
    """What happened to each piece of work, by its name."""

    def __init__(self) -> None:
        self.happened: dict[str, list[str]] = {}
        self.begun: dict[str, set[asyncio.Task]] = {}

    async def work(self, name: str, before: set[asyncio.Task]) -> str:
        self.begun[name] = asyncio.all_tasks() - before
        self.happened[name] = ["began"]
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.happened[name].append("cancelled")
            raise
        return "made"


@pytest.fixture(scope="module")
def server():
    works = Works()

    async def answer(request: Request) -> Response:
        name = request.query_params["name"]
        assert len(await request.body()) == int(request.query_params["size"])
        made = await state_of(request.scope).unless_gone(works.work(name, asyncio.all_tasks()))
        works.happened[name].append("its caller has left" if made is None else made)
        return Response()

    with serving(Starlette(routes=[Route("/", answer, methods=["POST"])])) as origin:
        yield origin, works


def request_of(name: str, size: int, *, is_chunked: bool) -> bytes:
    path = f"/?name={name}&size={size}"
    if is_chunked:
        return head(path, "Transfer-Encoding: chunked") + chunked(b"x" * size, 30_000)
    return head(path, f"Content-Length: {size}") + b"x" * size


@pytest.mark.parametrize("ends", ["in peace", "by a reset"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["of known length", "in chunks"])
@pytest.mark.parametrize("size", [0, SMALL, LARGE])
def test_work_is_cancelled_when_its_caller_leaves(server, size, is_chunked, ends):
    origin, works = server
    name = f"{size}-{is_chunked}-{ends}".replace(" ", "-")
    connection = RawConnection(origin)
    connection.send(request_of(name, size, is_chunked=is_chunked))
    assert seen(lambda: works.happened.get(name), bool) == ["began"]
    if ends == "in peace":
        connection.socket.close()
    else:
        connection.reset()
    whole = ["began", "cancelled", "its caller has left"]
    assert seen(lambda: works.happened[name], lambda happened: len(happened) == len(whole)) == whole


def test_who_leaves_behind_requests_that_it_sent_ahead_is_sent_nothing(server, caplog):
    origin, works = server
    connection = RawConnection(origin)
    names = ("the-first", "the-second")
    connection.send(b"".join(request_of(name, SMALL, is_chunked=False) for name in names))
    assert seen(lambda: works.happened.get("the-first"), bool) == ["began"]
    connection.reset()
    whole = ["began", "cancelled", "its caller has left"]
    assert seen(lambda: works.happened["the-first"], lambda happened: len(happened) == len(whole)) == whole
    with RawConnection(origin) as other:
        # Answered by the loop that had let the first end before: what went wrong there would be told by now.
        other.send(request_of("another", 0, is_chunked=False))
        assert seen(lambda: works.happened.get("another"), bool)
    assert "the-second" not in works.happened
    assert [record.getMessage() for record in caplog.records] == []


def test_a_request_that_waits_begins_no_task(server):
    origin, works = server
    with RawConnection(origin) as connection:
        connection.send(request_of("task", SMALL, is_chunked=False))
        assert seen(lambda: works.happened.get("task"), bool)
        assert works.begun["task"] == set()
