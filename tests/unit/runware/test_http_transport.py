"""What becomes of one POST over real connections, whatever the other side does to it."""

import asyncio
import gzip
import random
import socket
import struct
import threading
import time
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from app.runware.http_transport import HTTPTransport
from app.runware.keys import RunwareKey
from app.runware.task_body import PIECE_BYTES
from app.runware.transport import HTTPReply, LateError, LostError, NotSentError, NotTriedError
from tests.support.hostile_server import OK, Peer, hostile_server, length_of, whole
from tests.support.loops import both_loops
from tests.support.upstreams import KEY
from tests.support.waiting import seen_meanwhile

LARGE = b"x" * 3_000_000
SECONDS = 20
FINE = HTTPReply(200, b"{}", None)


class NoMoreError(Exception):
    """What a permit raises."""


@asynccontextmanager
async def opened(server, **options):
    transport = HTTPTransport(server.url, **options)
    try:
        yield transport
    finally:
        await transport.close()


async def nothing(peer: Peer) -> None:
    await peer.request()


async def reset(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def at_once(peer: Peer) -> None:
    peer.reset()


def says(*pieces: bytes):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(*pieces)

    return script


def says_and_stays(*pieces: bytes):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(*pieces)
        await peer.silence()

    return script


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@both_loops
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(nothing, id="ends without an answer"),
        pytest.param(reset, id="resets without an answer"),
        pytest.param(says(b"HTTP/1.1 20"), id="half a status"),
        pytest.param(says(OK + b"Content-Le"), id="half a head"),
        pytest.param(says(OK + b"Content-Length: 100\r\n\r\nabc"), id="half a body"),
        pytest.param(says(OK + b"Content-Length: 900000\r\n\r\n", b"a" * 300_000), id="half a large body"),
        pytest.param(says(CHUNKED + b"5\r\nab"), id="half a chunk"),
        pytest.param(says(CHUNKED + b"5\r\nabcde\r\n"), id="chunks without an end"),
        pytest.param(says(b"HTTP/1.1 100 Continue\r\n\r\n"), id="only a promise"),
        pytest.param(says_and_stays(b"SSH-2.0-OpenSSH_9.6\r\n"), id="another protocol"),
        pytest.param(says_and_stays(whole() + whole()), id="two answers at once"),
        pytest.param(says_and_stays(whole() + b"junk"), id="an answer and junk"),
        pytest.param(says_and_stays(OK + b"X: " + b"a" * 200_000), id="a head without an end"),
        pytest.param(says_and_stays(OK + b"Content-Length: 1, 2\r\n\r\n{}"), id="two lengths"),
        pytest.param(says(whole(gzip.compress(b"{}")[:-9], b"Content-Encoding: gzip")), id="half of gzip"),
    ],
)
def test_a_task_that_may_have_arrived_is_lost(run, script):
    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            with pytest.raises(LostError):
                await transport.post(b"[]", KEY, SECONDS)
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
            assert server.connections == 1, "nothing is sent twice by itself"

    run(course())


@both_loops
@pytest.mark.parametrize(
    ("pieces", "reply"),
    [
        pytest.param((whole(),), FINE, id="at once"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n", whole()), FINE, id="after a promise"),
        pytest.param((OK, b"Content-Length: 2\r\n", b"\r\n", b"{", b"}"), FINE, id="in pieces"),
        pytest.param((CHUNKED + b"1\r\n{", b"\r\n1\r\n}\r\n0\r\n", b"X: trailer\r\n\r\n"), FINE, id="trailers"),
        pytest.param((whole(LARGE),), HTTPReply(200, LARGE, None), id="megabytes"),
        pytest.param(
            (CHUNKED, b"2dc6c0\r\n" + LARGE, b"\r\n0\r\n\r\n"), HTTPReply(200, LARGE, None), id="a large chunk"
        ),
        pytest.param(
            (whole(gzip.compress(LARGE), b"Content-Encoding: gzip"),), HTTPReply(200, LARGE, None), id="packed"
        ),
        pytest.param(
            (b"HTTP/1.1 429 X\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n",), HTTPReply(429, b"", 2.0), id="429"
        ),
        pytest.param(
            (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",),
            HTTPReply(302, b"", None),
            id="a redirect is an answer",
        ),
    ],
)
def test_an_answer_is_read_and_its_connection_used_again(run, pieces, reply):
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*pieces)

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            for _ in range(3):
                assert await transport.post(b"[]", KEY, SECONDS, 10_000_000) == reply
            assert server.connections == 1

    run(course())


@both_loops
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(whole(b"{}", b"Connection: close"), id="says so"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", id="old"),
        pytest.param(OK + b"\r\n{}", id="without a length"),
    ],
)
def test_a_connection_that_ends_with_its_answer_is_not_used_again(run, answer):
    async def course() -> None:
        async with hostile_server(says(answer)) as server, opened(server) as transport:
            for _ in range(3):
                assert await transport.post(b"[]", KEY, SECONDS) == FINE
            assert server.connections == 3

    run(course())


@both_loops
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(whole(LARGE), id="declared"),
        pytest.param(CHUNKED + b"2dc6c0\r\n" + LARGE, id="chunks"),
        pytest.param(whole(gzip.compress(bytes(50_000_000)), b"Content-Encoding: gzip"), id="a bomb"),
    ],
)
def test_an_answer_larger_than_asked_for_is_cut_and_its_connection_ended(run, answer):
    async def course() -> None:
        async with hostile_server(says_and_stays(answer)) as server, opened(server) as transport:
            assert await transport.post(b"[]", KEY, SECONDS, 100_000) == HTTPReply(200, b"", None, is_cut=True)
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0

    run(course())


@both_loops
def test_what_is_sent_is_one_request_with_the_key_of_its_exchange(run):
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            heads.append(await peer.head())
            bodies.append(await peer.reader.readexactly(length_of(heads[-1])))
            await peer.answer()

    async def course() -> None:
        callers = RunwareKey(SecretStr("a-callers-own-key"), is_callers=True)
        async with hostile_server(script) as server, opened(server) as transport:
            for key in (KEY, callers, KEY, None):
                await transport.post(b'["a"]', key, SECONDS)
            host = b"\r\nhost: 127.0.0.1:%d\r\n" % server.port
        assert all(head.startswith(b"POST /v1 HTTP/1.1\r\n") and host in head.lower() for head in heads)
        named = [head.count(b"Authorization: Bearer ") for head in heads]
        assert named == [1, 1, 1, 0]
        assert [b"a-callers-own-key" in head for head in heads] == [False, True, False, False]
        assert bodies == [b'["a"]'] * 4

    run(course())


def test_a_key_with_a_line_break_is_no_second_header():
    async def course() -> None:
        transport = HTTPTransport("http://127.0.0.1:1/v1")
        with pytest.raises(ValueError, match="line break"):
            await transport.post(b"[]", RunwareKey(SecretStr("a\r\nX-Other: b")), SECONDS)

    asyncio.run(course())


@both_loops
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Peer.silence, id="silent"),
        pytest.param(says_and_stays(OK), id="half a head"),
        pytest.param(says_and_stays(OK + b"Content-Length: 100000\r\n\r\nabc"), id="half a body"),
    ],
)
def test_an_answer_that_takes_too_long_is_late_and_its_connection_ended(run, script):
    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            with pytest.raises(LateError):
                await transport.post(b"[]", KEY, 0.3)
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0

    run(course())


@both_loops
def test_a_large_body_that_nobody_reads_is_late(run):
    async def script(peer: Peer) -> None:
        await asyncio.sleep(1)

    async def course() -> None:
        async with hostile_server(script, receive_bytes=4096) as server, opened(server) as transport:
            with pytest.raises(LateError):
                await transport.post(LARGE * 10, KEY, 0.3)

    run(course())


@both_loops
def test_a_connection_that_ended_while_it_was_idle_is_replaced_unseen(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"%d" % peer.number)

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            for number in range(1, 4):
                assert (await transport.post(b"[]", KEY, SECONDS)).body == b"%d" % number
                assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
                await asyncio.sleep(0.02)

    run(course())


def with_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def with_words(connection: socket.socket) -> None:
    connection.sendall(whole(b"3"))


def spoil_when_told(listening: socket.socket, spoil, told: threading.Event, done: threading.Event) -> None:
    """Answer a request, spoil its connection when told to; answer the next on another."""
    first, _ = listening.accept()
    with first:
        first.recv(1 << 16)
        first.sendall(whole(b"1"))
        told.wait(SECONDS)
        spoil(first)
        done.set()
        second, _ = listening.accept()
        with second:
            second.recv(1 << 16)
            second.sendall(whole(b"2"))


@both_loops
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(with_reset, id="reset"),
        pytest.param(socket.socket.close, id="ended"),
        pytest.param(with_words, id="words that nobody asked for"),
    ],
)
def test_a_connection_that_was_spoiled_unnoticed_takes_no_byte_and_is_replaced(run, spoil):
    """The system knows of it, the event loop does not yet: it is busy until the write."""
    told, done = threading.Event(), threading.Event()

    def permit() -> None:
        told.set()
        assert done.wait(SECONDS)

    async def course(port: int) -> None:
        transport = HTTPTransport(f"http://127.0.0.1:{port}/v1")
        assert (await transport.post(b"[]", KEY, SECONDS)).body == b"1"
        assert (await transport.post(b"[]", KEY, SECONDS, permit=permit)).body == b"2"
        await transport.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=spoil_when_told, args=(listening, spoil, told, done))
        serving.start()
        run(course(listening.getsockname()[1]))
        serving.join()


@both_loops
def test_a_connection_that_ends_at_the_moment_it_is_used_again_is_lost(run):
    """Bytes have left this process, so nobody knows who has read them."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer()
        await peer.head()

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            await transport.post(b"[]", KEY, SECONDS)
            with pytest.raises(LostError):
                await transport.post(b"[]", KEY, SECONDS)
            assert server.connections == 1

    run(course())


@both_loops
def test_bytes_that_nobody_asked_for_end_an_idle_connection(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(whole(), whole(b"[]"), pause=0.1)
        await peer.silence()

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            assert await transport.post(b"[]", KEY, SECONDS) == FINE
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
            assert await transport.post(b"[]", KEY, SECONDS) == FINE
            assert server.connections == 2

    run(course())


@both_loops
@pytest.mark.parametrize("ends", [True, False], ids=["and ends", "and reads on"])
def test_an_answer_before_the_end_of_a_large_body_is_taken_and_the_rest_kept(run, ends):
    received: list[int] = []

    async def script(peer: Peer) -> None:
        received.append(length_of(await peer.head()))
        await peer.say(whole(b"too large", status=b"HTTP/1.1 413 Too Large\r\n"))
        if not ends:
            await peer.silence()

    async def course() -> None:
        async with hostile_server(script, receive_bytes=4096) as server, opened(server) as transport:
            assert await transport.post(LARGE * 10, KEY, SECONDS) == HTTPReply(413, b"too large", None)
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
            assert received == [len(LARGE) * 10]

    run(course())


@both_loops
@pytest.mark.parametrize("size", [10, 65_536, 65_537, 66_000, PIECE_BYTES + 1023, PIECE_BYTES + 1025, 5_000_000])
def test_what_is_permitted_arrives_as_it_is(run, size):
    body = (bytes(range(256)) * (size // 256 + 1))[:size]
    arrived: list[bytes] = []
    asked: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            arrived.append(await peer.request())
            await peer.answer()

    async def permit() -> None:
        asked.append(1)

    def permit_at_once() -> None:
        asked.append(1)

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            for one in (permit, permit_at_once, None):
                assert await transport.post(body, KEY, SECONDS, permit=one) == FINE
            assert server.connections == 1

    run(course())
    assert arrived == [body] * 3
    assert len(asked) >= 2 * (size // PIECE_BYTES), "before each piece"


@both_loops
def test_the_question_is_asked_when_the_connection_stands_and_refused_nothing_is_sent(run):
    received: list[bytes] = []

    async def script(peer: Peer) -> None:
        received.append(await peer.reader.read(1 << 16))

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:

            async def permit() -> None:
                assert await seen_meanwhile(lambda: server.connections, lambda count: count == 1) == 1
                raise NoMoreError

            with pytest.raises(NoMoreError):
                await transport.post(b"{}", KEY, SECONDS, permit=permit)
            await transport.close()
            assert await seen_meanwhile(lambda: received, lambda found: found) == [b""]

    run(course())


@both_loops
@pytest.mark.parametrize("asked_before", [1, 5, len(LARGE) // PIECE_BYTES + 1])
def test_a_large_body_that_is_refused_midway_never_arrives_whole(run, asked_before):
    asked: list[int] = []
    received: list[int] = []

    async def script(peer: Peer) -> None:
        length_of(await peer.head())
        size = 0
        while data := await peer.reader.read(1 << 16):
            size += len(data)
            await asyncio.sleep(0.001)
        received.append(size)

    async def permit() -> None:
        asked.append(1)
        if len(asked) > asked_before:
            raise NoMoreError

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            with pytest.raises(NoMoreError):
                await transport.post(LARGE, KEY, SECONDS, permit=permit)
            assert await seen_meanwhile(lambda: received, lambda found: found)

    run(course())
    assert received[0] <= min(asked_before * PIECE_BYTES, len(LARGE) - 1024)


@both_loops
def test_the_last_look_comes_when_all_but_the_end_is_with_the_system(run):
    """Who reads slowly has room for the last piece long before it has read the others; the system has them all."""
    received: list[int] = []
    at_questions: list[int] = []

    async def script(peer: Peer) -> None:
        length = length_of(await peer.head())
        while sum(received) < length:
            received.append(len(await peer.reader.read(1 << 15)))
            await asyncio.sleep(0.0005)
        await peer.answer()

    async def permit() -> None:
        at_questions.append(sum(received))

    async def course() -> None:
        async with hostile_server(script, receive_bytes=65_536) as server, opened(server) as transport:
            assert await transport.post(LARGE * 4, KEY, SECONDS * 3, permit=permit) == FINE

    run(course())
    # What the system holds for a socket is bounded by it, at some megabytes; a gateway would hold the whole.
    assert at_questions[-1] > len(LARGE) * 4 - 8_000_000


@both_loops
def test_a_permission_that_takes_too_long_sends_nothing(run):
    async def course() -> None:
        async with hostile_server(Peer.silence) as server, opened(server) as transport:

            async def permit() -> None:
                await asyncio.sleep(SECONDS)

            with pytest.raises(NotTriedError):
                await transport.post(b"[]", KEY, 0.2, permit=permit)

    run(course())


@both_loops
def test_what_a_permission_raises_is_raised_also_where_it_looks_like_a_timeout(run):
    async def course() -> None:
        async with hostile_server(Peer.silence) as server, opened(server) as transport:

            async def permit() -> None:
                raise TimeoutError

            with pytest.raises(TimeoutError):
                await transport.post(b"[]", KEY, SECONDS, permit=permit)

    run(course())


@both_loops
@pytest.mark.parametrize("script", [at_once, reset], ids=["at once", "after the head"])
def test_a_server_that_goes_away_during_a_large_body_is_no_refusal(run, script):
    async def permit() -> None:
        return

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:
            with pytest.raises(LostError):
                await transport.post(LARGE * 5, KEY, SECONDS, permit=permit)

    run(course())


@both_loops
@pytest.mark.parametrize(
    ("script", "body"),
    [
        pytest.param(Peer.silence, b"[]", id="before the answer"),
        pytest.param(says_and_stays(OK + b"Content-Length: 90000\r\n\r\nabc"), b"[]", id="in the answer"),
        pytest.param(says_and_stays(), LARGE * 10, id="in a large body"),
    ],
)
def test_who_leaves_takes_the_connection_along(run, script, body):
    async def slow(peer: Peer) -> None:
        await peer.head() if len(body) > 10 else await script(peer)
        await asyncio.sleep(0.2)
        await peer.silence()

    async def course() -> None:
        async with hostile_server(slow, receive_bytes=4096) as server, opened(server) as transport:
            task = asyncio.create_task(transport.post(body, KEY, SECONDS))
            await seen_meanwhile(lambda: server.connections, lambda count: count == 1)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0

    run(course())


@both_loops
@pytest.mark.parametrize("size", [1, 2_000_000], ids=["small", "large"])
def test_leaving_at_any_moment_costs_no_place_and_mixes_no_answers(run, size):
    """With room for one connection, so that a place that was lost would be missed at once."""

    async def script(peer: Peer) -> None:
        while True:
            body = await peer.request()
            await asyncio.sleep(0)
            await peer.say(whole(body[:10])[:40], whole(body[:10])[40:], pause=0)

    async def course() -> None:
        async with hostile_server(script) as server, opened(server, limit=1) as transport:
            for rounds in range(50):
                leaving = asyncio.create_task(transport.post(b"-" * size, KEY, SECONDS))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                leaving.cancel()
                await asyncio.gather(leaving, return_exceptions=True)
                assert (await transport.post(b"%010d" % rounds, KEY, SECONDS)).body == b"%010d" % rounds

    run(course())


async def chaos(peer: Peer, choice: random.Random) -> None:
    """Answer, answer half, say too much, end, reset or say nothing for a while."""
    while True:
        name = (await peer.request())[:6]
        answer = whole(name * choice.choice([1, 30_000]))
        match choice.randrange(14):
            case 0:
                return peer.reset()
            case 1 | 2:
                return await peer.say(answer[: choice.randrange(len(answer))])
            case 3:
                await peer.say(whole(name) * 2)
            case 4:
                return await peer.say(answer)
            case 5:
                await peer.say(answer, b"junk", pause=0.001)
            case 6:
                await asyncio.sleep(0.3)
                return None
            case _:
                await peer.say(answer[:60], answer[60:], pause=0)


async def impatient(transport: HTTPTransport, worker: int, choice: random.Random) -> list[str]:
    """How the exchanges of one caller ended, who leaves now and then."""
    ends = []
    for place in range(40):
        name = b"%02d%04d" % (worker, place)
        try:
            async with asyncio.timeout(choice.choice([0.01, 5, 5, 5])):
                reply = await transport.post(name * choice.choice([1, 1, 20_000]), KEY, choice.choice([0.05, 5]))
            assert bytes(reply.body) == name * (len(reply.body) // 6)
            ends.append("answered")
        except (LateError, LostError, NotSentError, TimeoutError) as error:
            ends.append(type(error).__name__)
    return ends


@both_loops
def test_no_answer_goes_to_another_exchange_whatever_the_server_does(run):
    choice = random.Random(7)

    async def course() -> list[str]:
        async with (
            hostile_server(lambda peer: chaos(peer, choice)) as server,
            opened(server, limit=8) as transport,
        ):
            ends = await asyncio.gather(*(impatient(transport, worker, choice) for worker in range(20)))
            # Every place is there again: as many as there are side by side, however they end.
            again = [transport.post(b"999999", KEY, 5) for _ in range(80)]
            assert NotSentError not in map(type, await asyncio.gather(*again, return_exceptions=True))
            return [end for one in ends for end in one]

    ends = run(course())
    assert ends.count("answered") > 200
    assert ends.count("LostError") > 20


@both_loops
def test_a_closed_transport_sends_nothing_and_loses_what_it_carried(run):
    async def course() -> None:
        async with hostile_server(Peer.silence) as server, opened(server) as transport:
            task = asyncio.create_task(transport.post(b"[]", KEY, SECONDS))
            await seen_meanwhile(lambda: server.connections, lambda count: count == 1)
            await asyncio.sleep(0.05)
            await transport.close()
            with pytest.raises(LostError):
                await task
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
            with pytest.raises(NotSentError):
                await transport.post(b"[]", KEY, SECONDS)

    run(course())


@both_loops
def test_many_exchanges_side_by_side_get_their_own_answers(run):
    async def script(peer: Peer) -> None:
        while True:
            body = await peer.request()
            await asyncio.sleep(int(body) % 7 / 1000)
            await peer.answer(body * (1 + int(body) % 3 * 20_000))

    async def course() -> None:
        async with hostile_server(script) as server, opened(server) as transport:

            async def work(number: int) -> None:
                for place in range(20):
                    body = b"%06d" % (number * 100 + place)
                    reply = await transport.post(body, KEY, SECONDS)
                    assert reply.body == body * (1 + int(body) % 3 * 20_000)

            await asyncio.gather(*(work(number) for number in range(20)))
            assert server.connections == 20

    run(course())


@both_loops
def test_a_large_answer_costs_no_more_than_its_bytes(run):
    """Twice as much takes about twice as long: nothing is gone through again and again."""

    async def script(peer: Peer) -> None:
        while True:
            size = int(await peer.request())
            await peer.say(CHUNKED)
            for _ in range(size // 1000):
                peer.writer.write(b"3e8\r\n" + b"a" * 1000 + b"\r\n")
            await peer.say(b"0\r\n\r\n")

    async def course() -> list[float]:
        times = []
        async with hostile_server(script) as server, opened(server) as transport:
            for size in (2_000_000, 16_000_000):
                began = time.process_time()
                reply = await transport.post(b"%d" % size, KEY, 60, 100_000_000)
                times.append(time.process_time() - began)
                assert len(reply.body) == size
        return times

    small, large = run(course())
    assert large < 8 * 4 * small
