"""How an answer is put into bytes: in as few writes as can be, framed as its caller reads it, and never two of it."""

import asyncio

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from app.server.answering import AnswerCycle
from app.server.delivery import RequestState

GREETING = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


class Transport:
    """Keeps what is written, by calls."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def writelines(self, pieces) -> None:
        self.written.append(b"".join(pieces))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...


def answer(app, *, method: str = "GET", version: str = "1.1", keep_alive: bool = True) -> Transport:
    """What an application makes of its connection."""
    transport = Transport()

    async def run() -> None:
        cycle = AnswerCycle(
            {"type": "http", "method": method, "http_version": version},
            RequestState(),
            transport,
            FlowControl(transport),
            lambda: None,
            keep_alive=keep_alive,
            waits_to_continue=False,
        )
        await cycle.run(app)

    asyncio.run(run())
    return transport


def sending(*bodies: bytes, status: int = 200, headers=GREETING, pause: bool = False, fault: Exception | None = None):
    """An application that sends these, and then fails where it should."""

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for index, body in enumerate(bodies):
            if pause:
                await asyncio.sleep(0.01)
            await send({"type": "http.response.body", "body": body, "more_body": index < len(bodies) - 1})
        if fault is not None:
            raise fault

    return app


def test_head_and_body_are_one_write():
    (sent,) = answer(sending(b"hello")).written
    assert sent == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_start_that_carries_its_body_is_the_whole_answer(method):
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": GREETING, "body": b"hello"})
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.body", "body": b""})

    (sent,) = answer(app, method=method).written
    assert sent.endswith(b"\r\n\r\n" + (b"hello" if method == "GET" else b""))


def test_a_head_leaves_by_itself_while_its_body_is_being_made():
    head, body = answer(sending(b"hello", pause=True)).written
    assert (head[-4:], body) == (b"\r\n\r\n", b"hello")


def test_large_pieces_leave_with_the_head_too():
    headers = [(b"content-length", b"400000")]
    head_and_first, second = answer(sending(b"a" * 200_000, b"b" * 200_000, headers=headers)).written
    assert head_and_first.endswith(b"\r\n\r\n" + b"a" * 200_000)
    assert second == b"b" * 200_000


def test_what_is_small_before_a_large_piece_leaves_with_it():
    headers = [(b"content-length", b"200004")]
    first, last = answer(sending(b"a", b"bc", b"d" * 200_000, b"e", headers=headers)).written
    assert first.endswith(b"\r\n\r\nabc" + b"d" * 200_000)
    assert last == b"e"


def test_what_is_small_does_not_wait_for_a_large_piece_that_is_being_made():
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"200001")]})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"b" * 200_000})

    first, second = answer(app).written
    assert (first[-5:], len(second)) == (b"\r\n\r\na", 200_000)


@pytest.mark.parametrize(
    ("version", "head", "body"),
    [
        ("1.1", b"transfer-encoding: chunked\r\n\r\n", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        ("1.0", b"connection: close\r\n\r\n", b"hello"),
    ],
)
def test_a_body_of_unknown_length_is_framed_as_the_caller_reads_it(version, head, body):
    transport = answer(sending(b"he", b"llo", headers=[]), version=version, keep_alive=version == "1.1")
    assert b"".join(transport.written) == b"HTTP/1.1 200 OK\r\n" + head + body
    assert transport.is_closed == (version == "1.0")


@pytest.mark.parametrize("headers", [GREETING, []], ids=["of known length", "of unknown length"])
def test_an_answer_to_head_has_no_body(headers):
    (sent,) = answer(sending(b"hello", headers=headers), method="HEAD").written
    assert sent.endswith(b"\r\n\r\n")
    assert b"transfer-encoding" not in sent


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_can_have_no_body_says_nothing_of_one(status):
    (sent,) = answer(sending(b"", status=status, headers=[])).written
    assert sent.count(b"\r\n") == 2


@pytest.mark.parametrize(
    ("app", "begins"),
    [
        (sending(b"hell"), b"HTTP/1.1 200 OK"),
        (sending(b"hello!"), None),
        (sending(b"hel", b"lo!"), None),
        (sending(), b"HTTP/1.1 200 OK"),
        (sending(fault=RuntimeError("a")), b"HTTP/1.1 200 OK"),
        (sending(headers=[(b"name", b"a\r\nother: b")]), None),
        (sending(headers=[(b"a b", b"c")]), None),
        (sending(headers=[(b"name", b"\x00")]), None),
    ],
    ids=[
        "too short",
        "too long",
        "too long in its second part",
        "no body",
        "a fault behind the head",
        "a forged header",
        "a name",
        "a NUL",
    ],
)
def test_an_answer_that_cannot_be_ended_ends_its_connection(app, begins):
    transport = answer(app)
    assert transport.is_closed
    assert [sent.startswith(begins) for sent in transport.written] == [True] if begins else transport.written == []


def test_an_application_that_fails_before_its_answer_is_answered_for():
    async def app(scope, receive, send) -> None:
        raise RuntimeError

    transport = answer(app)
    (sent,) = transport.written
    assert (sent[:12], transport.is_closed) == (b"HTTP/1.1 500", True)


@pytest.mark.parametrize(("keep_alive", "given"), [(True, b"Close"), (False, b"close"), (False, None)], ids=str)
def test_the_end_of_a_connection_is_announced_once(keep_alive, given):
    headers = GREETING if given is None else [*GREETING, (b"Connection", given)]
    transport = answer(sending(b"hello", headers=headers), keep_alive=keep_alive)
    assert (transport.written[0].lower().count(b"connection: close\r\n"), transport.is_closed) == (1, True)
