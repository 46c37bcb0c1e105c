"""Names that never answer and servers that drip hold up nobody but who named them."""

import asyncio
import contextlib
import socket
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support import loopback

LIMIT_SECONDS = 10
"""An innocent caller's wait beside an attack, on a busy machine; before there were bounds it was 28 to 200 s."""
ATTACK_SECONDS = 25


class SlowNames:
    """A local stand-in for name servers: `runware.test` is on loopback, `slow…` does not answer."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        if host.startswith("slow"):
            self.asked += 1
            self.ended.wait(ATTACK_SECONDS)
            raise OSError("no answer")
        return ["127.0.0.1"] if host.endswith(".test") else [entry[4][0] for entry in socket.getaddrinfo(host, port)]


@pytest.fixture
def slow_names():
    names = SlowNames()
    yield names
    names.ended.set()


def post(origin: str, path: str, key: str, **body: object) -> tuple[httpx2.Response, float]:
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {key}"}
    answer = loopback.post(f"{origin}/v1{path}", json=body, headers=headers, timeout=120)
    return answer, time.monotonic() - began


@pytest.mark.parametrize("named", ["image", "webhook_url"])
def test_slow_names_of_one_key_hold_up_neither_others_nor_the_way_to_runware(
    start_gateway, simulator, slow_names, named
):
    port = urlsplit(simulator.url).port
    gateway = start_gateway(upstream=f"http://runware.test:{port}/v1", parts={"lookup": slow_names})

    def attack(number: int) -> httpx2.Response:
        fields = (
            {"image": f"https://slow{number}.test/a.png"}
            if named == "image"
            else {"webhook_url": f"https://slow{number}.test/"}
        )
        path = "/images/edits" if named == "image" else "/images/generations"
        model = {"model": "riverflow-1-mini"} if named == "image" else {}
        return post(gateway.origin, path, "other-key", prompt="give it a hat", size="1024x1024", **model, **fields)[0]

    with ThreadPoolExecutor(16) as pool:
        attacks = [pool.submit(attack, number) for number in range(16)]
        while slow_names.asked < 4:
            time.sleep(0.02)
        # Runware's own name has not been looked up yet: it is now, beside the others.
        answer, took = post(gateway.origin, "/images/generations", "test-key", prompt="a pear", size="256x256")
        assert (answer.status_code, took < LIMIT_SECONDS) == (200, True), took
        slow_names.ended.set()
        for finished in attacks:
            assert finished.result().status_code in {200, 400}
    assert slow_names.asked <= 16


@contextlib.contextmanager
def dripping():
    """A server that begins an image and then sends a byte a second; its address, and how many it serves now."""
    serving = [0]

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving[0] += 1
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n\x89PNG\r\n\x1a\n")
            for _ in range(ATTACK_SECONDS):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(1)
        serving[0] -= 1

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(drip, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", serving
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    server.close()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(asyncio.sleep(0))  # in which the connections end
    loop.close()


@pytest.mark.slow
@pytest.mark.measured
def test_inputs_that_drip_do_not_delay_results_that_are_paid_for(start_gateway):
    gateway = start_gateway()
    with dripping() as (address, serving), ThreadPoolExecutor(110) as pool:
        attacks = [
            pool.submit(
                post, gateway.origin, "/images/edits", "other-key", prompt="a hat", image=f"{address}/{number}.png"
            )
            for number in range(110)
        ]
        while serving[0] < 16:
            time.sleep(0.05)
        prompt = f"a pear {uuid.uuid4().hex} [sim:url-only]"
        waits = []
        for _ in range(3):
            answer, took = post(
                gateway.origin,
                "/images/generations",
                "test-key",
                prompt=prompt,
                size="256x256",
                response_format="b64_json",
            )
            assert answer.status_code == 200
            waits.append(took)
        assert max(waits) < LIMIT_SECONDS, waits
        assert serving[0] == 16  # of 110: one key has no more at once
        ends = [finished.result() for finished in attacks]
    assert {answer.status_code for answer, _ in ends} == {400}
    assert all(answer.json()["error"]["param"] == "image" for answer, _ in ends)
    assert max(took for _, took in ends) < 60
