"""How many connections there are, who gets one, and when they end."""

import asyncio
import contextlib

import pytest

from app.runware.http_transport import HTTPTransport
from app.runware.transport import NotSentError, NotTriedError
from tests.support.hostile_server import Peer, hostile_server
from tests.support.loops import both_loops
from tests.support.upstreams import KEY
from tests.support.waiting import seen_meanwhile

SECONDS = 20


class Gate:
    """A server that answers one exchange after the other, when it is told to."""

    def __init__(self, *, closes: bool = False) -> None:
        self.closes = closes
        self.bodies: list[bytes] = []
        self._free = asyncio.Semaphore(0)

    async def serve(self, peer: Peer) -> None:
        while True:
            self.bodies.append(await peer.request())
            await self._free.acquire()
            await peer.answer(b"{}", *([b"Connection: close"] if self.closes else []))
            if self.closes:
                return

    def answer(self, count: int = 1) -> None:
        for _ in range(count):
            self._free.release()

    async def has(self, count: int) -> None:
        assert len(await seen_meanwhile(lambda: self.bodies, lambda bodies: len(bodies) == count)) == count


@both_loops
@pytest.mark.parametrize("closes", [False, True], ids=["kept", "ended"])
def test_who_waited_longest_for_a_connection_is_served_first(run, closes):
    async def course() -> None:
        gate = Gate(closes=closes)
        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, limit=2)
            tasks = []
            for number in range(8):
                tasks.append(asyncio.create_task(transport.post(b"%d" % number, KEY, SECONDS)))
                await asyncio.sleep(0)
            for count in range(2, 9):
                await gate.has(count)
                assert server.open <= 2
                gate.answer()
            gate.answer()
            await asyncio.gather(*tasks)
            assert sorted(gate.bodies[:2]) == [b"0", b"1"]
            assert gate.bodies[2:] == [b"%d" % number for number in range(2, 8)]
            assert server.connections == (8 if closes else 2)
            await transport.close()

    run(course())


@both_loops
def test_who_waits_too_long_for_a_connection_has_sent_nothing(run):
    async def course() -> None:
        gate = Gate()
        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, limit=1)
            first = asyncio.create_task(transport.post(b"1", KEY, SECONDS))
            await gate.has(1)
            with pytest.raises(NotTriedError):
                await transport.post(b"2", KEY, 0.1)
            gate.answer(2)
            await first
            await transport.post(b"3", KEY, SECONDS)
            assert gate.bodies == [b"1", b"3"]
            await transport.close()

    run(course())


@both_loops
@pytest.mark.parametrize("closes", [False, True], ids=["kept", "ended"])
@pytest.mark.parametrize("rounds", range(4))
def test_what_was_given_to_somebody_who_leaves_is_for_the_next(run, closes, rounds):
    """Who waits leaves so many rounds of the loop after the connection it waits for became free."""

    async def course() -> None:
        gate = Gate(closes=closes)
        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, limit=1)
            first = asyncio.create_task(transport.post(b"1", KEY, SECONDS))
            await gate.has(1)
            leaving = asyncio.create_task(transport.post(b"2", KEY, SECONDS))
            await asyncio.sleep(0)
            staying = asyncio.create_task(transport.post(b"3", KEY, SECONDS))
            await asyncio.sleep(0)
            gate.answer(3)
            await first
            for _ in range(rounds):
                await asyncio.sleep(0)
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
            await staying
            assert gate.bodies[-1] == b"3"
            await transport.close()

    run(course())


@both_loops
def test_a_connection_that_cannot_be_made_leaves_its_place_to_others(run):
    async def course() -> None:
        gate = Gate()
        asked: list[str] = []

        async def find(host: str, _: int) -> list[str]:
            asked.append(host)
            if len(asked) < 4:
                await asyncio.sleep(0.01)
                raise OSError
            return ["127.0.0.1"]

        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, find, limit=1)
            gate.answer(10)
            ends = await asyncio.gather(
                *(transport.post(b"%d" % number, KEY, SECONDS) for number in range(5)), return_exceptions=True
            )
            assert [isinstance(end, NotSentError) for end in ends] == [True, True, True, False, False]
            await transport.close()

    run(course())


@both_loops
def test_who_leaves_while_connecting_leaves_its_place_to_others(run):
    async def course() -> None:
        gate = Gate()
        never = asyncio.Event()
        asked: list[str] = []

        async def find(host: str, _: int) -> list[str]:
            asked.append(host)
            if len(asked) == 1:
                await never.wait()
            return ["127.0.0.1"]

        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, find, limit=1)
            gate.answer(1)
            leaving = asyncio.create_task(transport.post(b"1", KEY, SECONDS))
            await seen_meanwhile(lambda: asked, lambda found: found)
            staying = asyncio.create_task(transport.post(b"2", KEY, SECONDS))
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await staying
            assert gate.bodies == [b"2"]
            await transport.close()

    run(course())


@both_loops
def test_idle_connections_end_after_a_while(run):
    async def course() -> None:
        gate = Gate()
        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, idle_seconds=0.3)
            gate.answer(20)
            await asyncio.gather(*(transport.post(b"[]", KEY, SECONDS) for _ in range(5)))
            assert server.open == 5
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
            await transport.post(b"[]", KEY, SECONDS)
            assert server.connections == 6
            assert await seen_meanwhile(lambda: server.open, lambda count: count == 0) == 0
            await transport.close()

    run(course())


@both_loops
def test_a_connection_that_is_in_use_does_not_age(run):
    async def course() -> None:
        gate = Gate()
        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, idle_seconds=0.2)
            task = asyncio.create_task(transport.post(b"[]", KEY, SECONDS))
            await gate.has(1)
            await asyncio.sleep(0.5)
            gate.answer()
            assert (await task).body == b"{}"
            await transport.close()

    run(course())


@both_loops
def test_who_waits_when_everything_is_closed_has_sent_nothing(run):
    async def course() -> None:
        gate = Gate()
        async with hostile_server(gate.serve) as server:
            transport = HTTPTransport(server.url, limit=1)
            first = asyncio.create_task(transport.post(b"1", KEY, SECONDS))
            await gate.has(1)
            second = asyncio.create_task(transport.post(b"2", KEY, SECONDS))
            await asyncio.sleep(0)
            await transport.close()
            ends = await asyncio.gather(first, second, return_exceptions=True)
            assert [type(end).__name__ for end in ends] == ["LostError", "NotTriedError"]

    run(course())
