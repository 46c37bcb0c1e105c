"""What became of answers, also of several on one connection: read, or lost."""

import asyncio
import socket

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.server.delivery import state_of
from app.settings.load import load_settings
from tests.conftest import serving
from tests.support.raw import RawConnection
from tests.support.waiting import seen

SMALL, LARGE = 100, 8_000_000


class Told:
    """Keeps what it was told of one answer."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.is_sent = False

    def arrived(self) -> None:
        self.words.append("arrived")

    def lost(self) -> None:
        self.words.append("lost")


class Watched(Response):
    """An answer that somebody follows."""

    def __init__(self, told: Told, size: int, wait: float) -> None:
        super().__init__(bytes(size))
        self._told, self._wait = told, wait

    async def __call__(self, scope, receive, send) -> None:
        await asyncio.sleep(self._wait)
        await super().__call__(scope, receive, send)
        state_of(scope).listen(self._told)
        self._told.is_sent = True


@pytest.fixture(scope="module")
def server():
    told: dict[str, Told] = {}

    async def answer(request: Request) -> Response:
        query = request.query_params
        return Watched(told.setdefault(query["name"], Told()), int(query["size"]), float(query.get("wait", 0)))

    app = Starlette(routes=[Route("/", answer)])
    with serving(app, load_settings({"SPILLWAY_KEEP_ALIVE": "2"})) as origin:
        yield origin, told


def words(told: dict[str, Told], name: str, wanted: str) -> bool:
    """Whether this is said of an answer, and nothing else."""
    return seen(lambda: told[name].words if name in told else [], bool, 60) == [wanted]


def get(name: str, size: int = SMALL, wait: float = 0) -> bytes:
    return f"GET /?name={name}&size={size}&wait={wait} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_answer_that_was_read_has_arrived(server, size):
    origin, told = server
    with RawConnection(origin) as connection:
        connection.send(get(f"read-{size}", size))
        connection.answer()
    assert words(told, f"read-{size}", "arrived")


def test_the_next_request_says_that_the_answer_before_it_was_read(server):
    origin, told = server
    with RawConnection(origin) as connection:
        for name in ("next-1", "next-2"):
            connection.send(get(name))
            connection.answer()
        assert words(told, "next-1", "arrived")
        assert told["next-2"].words == []


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_answer_whose_connection_is_reset_is_lost(server, size):
    origin, told = server
    connection = RawConnection(origin)
    connection.send(get(f"reset-{size}", size))
    assert connection.socket.recv(1, socket.MSG_PEEK), "it is on its way, and not read"
    connection.reset()
    assert words(told, f"reset-{size}", "lost")


@pytest.mark.parametrize("read", [0, 1, 2])
def test_answers_to_requests_sent_ahead_are_lost_with_their_connection(server, read):
    """That the next request was sent before says nothing of the answer before it."""
    origin, told = server
    connection = RawConnection(origin)
    connection.send(get(f"ahead-{read}-a") + get(f"ahead-{read}-b", wait=0.3) + get(f"ahead-{read}-c", wait=0.3))
    for _ in range(read):
        connection.answer()
    last = f"ahead-{read}-c"
    assert seen(lambda: last in told and told[last].is_sent, bool)
    connection.reset()
    for name in "abc":
        assert words(told, f"ahead-{read}-{name}", "lost"), name


def test_answers_to_requests_sent_ahead_have_arrived_when_all_were_read(server):
    origin, told = server
    with RawConnection(origin) as connection:
        connection.send(get("all-a") + get("all-b", wait=0.2) + get("all-c", wait=0.2))
        for _ in range(3):
            connection.answer()
    for name in ("all-a", "all-b", "all-c"):
        assert words(told, name, "arrived"), name


@pytest.mark.parametrize("size", [400_000, LARGE])
def test_an_answer_nobody_reads_is_lost_when_its_connection_is_ended_for_it(server, size):
    """The rest is in the buffers of two sockets, or with us."""
    origin, told = server
    with RawConnection(origin) as connection:
        connection.socket.setsockopt(1, 8, 4096)  # SO_RCVBUF: a window that is soon full
        connection.send(get(f"unread-{size}", size))
        assert words(told, f"unread-{size}", "lost")
