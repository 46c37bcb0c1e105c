"""How connections find Runware, and prove that it is Runware."""

import asyncio
import socket
from contextlib import asynccontextmanager, closing

import pytest

from app.runware.http_transport import HTTPTransport
from app.runware.task_body import PIECE_BYTES
from app.runware.transport import HTTPReply, LateError, NotSentError
from tests.support.certificates import authority
from tests.support.hostile_server import OK, Peer, hostile_server
from tests.support.loops import both_loops
from tests.support.upstreams import KEY

FINE = HTTPReply(200, b"{}", None)
SECONDS = 20
NAME = "runware.test"
LARGE = b"y" * 3_000_000


async def answers(peer: Peer) -> None:
    while True:
        await peer.answer(await peer.request())


async def speak_plainly(peer: Peer) -> None:
    await peer.reader.read(10)
    await peer.say(OK + b"\r\n")


@asynccontextmanager
async def opened(url, found):
    asked: list[tuple[str, int]] = []

    async def find(host: str, port: int):
        asked.append((host, port))
        if isinstance(found, Exception):
            raise found
        return found

    transport = HTTPTransport(url, find)
    transport.asked = asked
    try:
        yield transport
    finally:
        await transport.close()


@both_loops
@pytest.mark.parametrize(
    "found",
    [OSError("dead"), UnicodeError("odd"), TimeoutError(), []],
    ids=["dead", "odd", "timeout", "none"],
)
def test_a_task_whose_runware_has_no_address_was_surely_not_sent(run, found):
    async def course() -> None:
        async with opened(f"http://{NAME}:1/v1", found) as transport:
            with pytest.raises(NotSentError):
                await transport.post(b"[]", KEY, SECONDS)
            assert transport.asked == [(NAME, 1)]

    run(course())


@both_loops
@pytest.mark.parametrize(
    "addresses",
    [
        pytest.param(["127.0.0.1"], id="one"),
        pytest.param(["127.0.0.2", "127.0.0.1"], id="one that refuses before"),
        pytest.param(["127.0.0.1", "127.0.0.2"], id="one that refuses behind"),
        pytest.param(["::1", "127.0.0.1"], id="another family before"),
        pytest.param(["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"], id="the last of four"),
        pytest.param(["127.0.0.1"] * 3, id="the same thrice"),
    ],
)
def test_every_address_is_tried_until_one_answers(run, addresses):
    async def course() -> None:
        async with hostile_server(answers) as server, opened(f"http://{NAME}:{server.port}/", addresses) as transport:
            assert (await transport.post(b"[1]", KEY, SECONDS)).body == b"[1]"

    run(course())


@both_loops
def test_an_address_that_never_answers_holds_up_no_other(run):
    """A listener whose queue is full takes no connection, and refuses none."""
    with closing(socket.socket()) as full, closing(socket.socket()) as first, closing(socket.socket()) as second:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for filler in (first, second):
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.2", port))

        async def course() -> None:
            async with (
                hostile_server(answers, port=port),
                opened(f"http://{NAME}:{port}/", ["127.0.0.2", "127.0.0.1"]) as transport,
            ):
                assert await transport.post(b"{}", KEY, SECONDS) == FINE
            async with opened(f"http://{NAME}:{port}/", ["127.0.0.2"]) as transport:
                with pytest.raises(NotSentError):
                    await transport.post(b"{}", KEY, 0.3)

        run(course())


@both_loops
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_without_anybody_else_the_loop_finds_addresses(run, host):
    async def course() -> None:
        async with hostile_server(answers, host="::1" if host == "[::1]" else "127.0.0.1") as server:
            transport = HTTPTransport(f"http://{host}:{server.port}/")
            assert await transport.post(b"{}", KEY, SECONDS) == FINE
            await transport.close()

    run(course())


@both_loops
@pytest.mark.parametrize("host", ["127.0.0.1", "nobody.invalid"])
def test_where_nobody_listens_nothing_was_sent(run, host):
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))

        async def course() -> None:
            transport = HTTPTransport(f"http://{host}:{unused.getsockname()[1]}/")
            with pytest.raises(NotSentError):
                await transport.post(b"[]", KEY, SECONDS)
            await transport.close()

        run(course())


@pytest.fixture
def trusting(monkeypatch, tmp_path):
    """A machine that trusts the authority of the tests."""
    path = tmp_path / "authorities.pem"
    path.write_bytes(authority().pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@both_loops
@pytest.mark.usefixtures("trusting")
def test_over_tls_everything_is_as_without_it(run, tmp_path):
    async def script(peer: Peer) -> None:
        while (body := await peer.request()) != b"late":
            await peer.answer(body)
        await peer.silence()

    async def course() -> None:
        trust = authority().server(tmp_path, NAME)
        asked: list[int] = []

        async def permit() -> None:
            asked.append(1)

        async with (
            hostile_server(script, trust=trust) as server,
            opened(f"https://{NAME}:{server.port}/", ["127.0.0.1"]) as transport,
        ):
            for body in (b"[]", LARGE, b"[]"):
                assert (await transport.post(body, KEY, SECONDS, 10_000_000, permit)).body == body
            assert server.connections == 1
            assert len(asked) >= 2 + len(LARGE) // PIECE_BYTES
            with pytest.raises(LateError):
                await transport.post(b"late", KEY, 0.3)

    run(course())


@both_loops
@pytest.mark.usefixtures("trusting")
def test_over_tls_the_last_look_comes_when_all_but_the_end_is_with_the_system(run, tmp_path):
    received: list[int] = []
    at_questions: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.head()
        while sum(received) < len(LARGE) * 4:
            received.append(len(await peer.reader.read(1 << 15)))
            await asyncio.sleep(0.0005)
        await peer.answer()

    async def permit() -> None:
        at_questions.append(sum(received))

    async def course() -> None:
        trust = authority().server(tmp_path, NAME)
        async with (
            hostile_server(script, trust=trust, receive_bytes=65_536) as server,
            opened(f"https://{NAME}:{server.port}/", ["127.0.0.1"]) as transport,
        ):
            assert await transport.post(LARGE * 4, KEY, SECONDS * 3, permit=permit) == FINE

    run(course())
    assert at_questions[-1] > len(LARGE) * 4 - 8_000_000


@both_loops
@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("names", "days"),
    [pytest.param(("other.test",), 1, id="another name"), pytest.param((NAME,), -1, id="expired")],
)
def test_who_cannot_prove_its_name_is_sent_nothing(run, tmp_path, names, days):
    received: list[bytes] = []

    async def script(peer: Peer) -> None:
        received.append(await peer.reader.read())

    async def course() -> None:
        trust = authority().server(tmp_path, *names, days=days)
        async with (
            hostile_server(script, trust=trust) as server,
            opened(f"https://{NAME}:{server.port}/", ["127.0.0.1"]) as transport,
        ):
            with pytest.raises(NotSentError):
                await transport.post(b"[]", KEY, SECONDS)

    run(course())
    assert b"".join(received) == b""


@both_loops
def test_an_authority_that_this_machine_does_not_trust_proves_nothing(run, tmp_path):
    async def course() -> None:
        trust = authority().server(tmp_path, NAME)
        async with (
            hostile_server(answers, trust=trust) as server,
            opened(f"https://{NAME}:{server.port}/", ["127.0.0.1"]) as transport,
        ):
            with pytest.raises(NotSentError):
                await transport.post(b"[]", KEY, SECONDS)

    run(course())


@both_loops
@pytest.mark.usefixtures("trusting")
def test_an_address_that_speaks_no_tls_is_followed_by_the_next(run, tmp_path):
    async def course() -> None:
        trust = authority().server(tmp_path, NAME)
        async with (
            hostile_server(answers, trust=trust) as server,
            hostile_server(speak_plainly, host="127.0.0.2", port=server.port),
            opened(f"https://{NAME}:{server.port}/", ["127.0.0.2", "127.0.0.1"]) as transport,
        ):
            assert await transport.post(b"{}", KEY, SECONDS) == FINE

    run(course())
