"""Callers that hold connections without using them: each is ended in time, told why where it can be, and nobody else waits."""

import concurrent.futures
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.errors import GatewayError
from app.server.connections import ConnectionLimits, Connections, ProcessState
from app.server.process import Shutdown
from app.settings.load import load_settings
from tests.conftest import serving
from tests.support import loopback
from tests.support.processes import free_port, wait_until_it_answers
from tests.support.raw import RawConnection, head
from tests.support.waiting import log_with, seen

LIMITS = ConnectionLimits(head_seconds=0.6, window_seconds=1.5, bytes_per_second=1000, per_address=20)
LARGE = 30_000_000


def render(error: GatewayError) -> bytes:
    return json.dumps({"error": {"code": error.code}}).encode()


async def count(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def wait_first(request: Request) -> Response:
    """Reads its body late, as one that waits for its turn does."""
    import asyncio

    await asyncio.sleep(4)
    return Response(str(len(await request.body())))


async def brief(_: Request) -> Response:
    """Takes a moment, as most answers do."""
    import asyncio

    await asyncio.sleep(0.005)
    return Response("done")


async def refuse(_: Request) -> Response:
    """Answers before the body is there."""
    return Response("no", status_code=401)


async def large(_: Request) -> Response:
    return Response(bytes(LARGE))


async def stream(_: Request) -> Response:
    async def parts():
        for _ in range(LARGE // 100_000):
            yield bytes(100_000)

    return StreamingResponse(parts())


@pytest.fixture(scope="module")
def origin():
    """A small application behind the gateway's own server, with short times."""

    @contextlib.asynccontextmanager
    async def lifespan(_):
        yield ProcessState(Connections(LIMITS, render), Shutdown()).as_lifespan_state()

    endpoints = {
        "/count": count,
        "/wait": wait_first,
        "/brief": brief,
        "/refuse": refuse,
        "/large": large,
        "/stream": stream,
    }
    routes = [Route(path, endpoint, methods=["GET", "POST"]) for path, endpoint in endpoints.items()]
    with serving(Starlette(routes=routes, lifespan=lifespan), load_settings({"SPILLWAY_KEEP_ALIVE": "2"})) as origin:
        yield origin


def post(path: str, length: int, *more: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {length}", *more, "", ""]).encode()


def drip(connection: RawConnection, data: bytes, pause: float) -> float:
    """Send byte by byte until the other side has had enough; for how long that was."""
    started = time.monotonic()
    for place in range(len(data)):
        if not connection.try_send(data[place : place + 1]):
            break
        time.sleep(pause)
    return time.monotonic() - started


@pytest.mark.parametrize(
    "begin",
    [b"G", b"GET /count HTTP/1.1\r\nHost: a\r\n", b"\r\n", b"\r"],
    ids=["a letter", "half a head", "an empty line", "half a line"],
)
@pytest.mark.parametrize("first", [False, True], ids=["at first", "after a request"])
def test_a_head_that_does_not_come_in_time_is_told(origin, begin, first):
    started = time.monotonic()
    with RawConnection(origin) as connection:
        if first:
            connection.send(post("/count", 3) + b"abc")
            assert connection.answer().body == b"3"
        connection.send(begin)
        answer = connection.answer()
        assert (answer.status, answer.json()["error"]["code"]) == (408, "request_timeout")
        assert connection.ends_within(20) is not None
        assert 0.5 < time.monotonic() - started < 20


def test_a_head_that_drips_is_no_better(origin):
    with RawConnection(origin) as connection:
        assert drip(connection, b"GET /count HTTP/1.1\r\n" + b"X: a\r\n" * 100, 0.05) < 8


def test_a_silent_connection_ends_like_an_idle_one(origin):
    started = time.monotonic()
    with RawConnection(origin) as connection:
        assert connection.ends_within(20) is not None
    assert time.monotonic() - started > 1.5


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
@pytest.mark.parametrize("path", ["/count", "/refuse"])
def test_a_body_that_drips_is_ended(origin, path, framing):
    start = (
        post(path, 100_000)
        if framing == "Content-Length"
        else f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    data = b"a" * 1000 if framing == "Content-Length" else b"1\r\na\r\n" * 200
    with RawConnection(origin) as connection:
        connection.send(start)
        assert drip(connection, data, 0.03) < 12
        assert connection.answer().status == (408 if path == "/count" else 401)


def test_a_body_without_a_byte_is_ended(origin):
    with RawConnection(origin) as connection:
        connection.send(post("/count", 10))
        assert connection.answer().status == 408


def test_a_slow_body_that_is_fast_enough_is_read(origin):
    with RawConnection(origin) as connection:
        connection.send(post("/count", 8000), *[bytes(400)] * 20, pause=0.15)
        assert connection.answer().body == b"8000"


@pytest.mark.slow
def test_a_body_that_waits_for_us_is_not_called_slow(origin):
    """Nobody reads it: first the buffers are full, or its sender was not told to go on."""
    with RawConnection(origin) as connection:
        connection.send(post("/wait", 20_000_000))
        connection.socket.sendall(bytes(20_000_000))
        assert connection.answer().body == b"20000000"
    with RawConnection(origin) as connection:
        connection.send(post("/wait", 5, "Expect: 100-continue"))
        assert connection._until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        connection.send(b"abcde")
        assert connection.answer().body == b"5"


def test_a_head_that_waits_for_us_is_not_called_slow(origin):
    """Sent ahead, and read in part: the rest comes as soon as we read on."""
    count, request = 600, b"GET /brief HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"a" * 1000)
    with RawConnection(origin) as connection, concurrent.futures.ThreadPoolExecutor(1) as threads:
        sending = threads.submit(connection.socket.sendall, request * count)
        assert [connection.answer().body for _ in range(count)] == [b"done"] * count
        sending.result()


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/large", "/stream"])
@pytest.mark.parametrize("close", ["keep-alive", "close"])
def test_an_answer_nobody_reads_is_given_up(origin, path, close):
    with RawConnection(origin) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: {close}\r\n\r\n".encode())
        time.sleep(6)
        assert len(connection.rest()) < LARGE


@pytest.mark.parametrize("path", ["/large", "/stream"])
def test_an_answer_read_slowly_is_given_whole(origin, path):
    with RawConnection(origin) as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        received = 0
        while data := connection.socket.recv(1_500_000):
            received += len(data)
            time.sleep(0.1)
        assert received > LARGE


def test_one_address_has_so_many_connections_and_gets_others_when_it_ends_some(origin):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(RawConnection(origin)) for _ in range(LIMITS.per_address)]
        for connection in connections:
            connection.send(post("/count", 1) + b"a")
            assert connection.answer().status == 200
        with RawConnection(origin) as beyond:
            answer = beyond.answer()
            assert (answer.status, answer.json()["error"]["code"], answer.headers["retry-after"]) == (
                503,
                "too_many_connections",
                "1",
            )
            assert beyond.ends_within(20) is not None
        connections[0].socket.close()

        def status_of_another() -> int:
            with RawConnection(origin) as another:
                another.send(post("/count", 1) + b"a")
                return another.answer().status

        assert seen(status_of_another, lambda status: status == 200) == 200


@contextlib.contextmanager
def gateway_with(descriptors: int, folder, **variables: str):
    """A gateway process that may have so many files; its port and its log."""
    port, log = free_port(), folder / "log"
    environment = (
        os.environ
        | {"SPILLWAY_DATA_DIR": str(folder / "data"), "SPILLWAY_PORT": str(port), "RUNWARE_API_KEY": "a-runware-key"}
        | variables
    )
    limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (128, {descriptors})); os.execv(sys.argv[1], sys.argv[1:])"
    limited = [sys.executable, "-c", limit, sys.executable, "-m", "app", "serve"]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(limited, env=environment, stderr=stderr) as process,
    ):
        try:
            wait_until_it_answers(port)
            yield port, log, process
        finally:
            process.kill()


def test_when_descriptors_run_out_the_idle_make_room_then_the_next_is_told_and_the_log_says_it_once(tmp_path):
    started = time.monotonic()
    with gateway_with(256, tmp_path) as (port, log, process):
        origin = f"http://127.0.0.1:{port}"
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (256, 256), "raised at start"
        with contextlib.ExitStack() as stack:
            for place in range(400):
                stack.enter_context(RawConnection(origin))
                if place % 40 == 0:
                    assert loopback.get(f"{origin}/healthz", timeout=20).status_code == 200
            assert loopback.get(f"{origin}/healthz", timeout=20).status_code == 200
            assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 256
        time.sleep(1)
        with contextlib.ExitStack() as stack:
            for _ in range(260):
                last = stack.enter_context(RawConnection(origin))
                last.try_send(
                    head("/v1/images/generations", "Content-Length: 9000")
                )  # which is waited for, so it is busy
            told = last.answer()
            assert (told.status, told.json()["error"]["code"]) == (503, "too_many_connections")
        # Once it has noticed that they are closed, which it has to before their descriptors are free.
        assert (
            seen(lambda: loopback.get(f"{origin}/healthz", timeout=20).status_code, lambda status: status == 200) == 200
        )
        lines = [line for line in log_with(log, "descriptors").splitlines() if "descriptors" in line]
    assert 1 <= len(lines) <= 1 + (time.monotonic() - started) // 60, lines
