"""The times of connections as they are delivered, on a gateway process; hundreds of slow callers beside one innocent."""

import time

import psutil
import pytest

from tests.support import loopback
from tests.support.processes import free_port, process
from tests.support.raw import RawConnection, head

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
BODY = ("Content-Type: application/json", "Content-Length: 1000")


@pytest.fixture
def running(simulator, tmp_path):
    port = free_port()
    with process(simulator, tmp_path, port) as gateway:
        yield f"http://127.0.0.1:{port}", psutil.Process(gateway.pid)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (b"", 75),
        (b"GET / HTTP/1.1\r\n", 10),
        (head("/v1/images/generations", *BODY), 10),
        (head("/v1/models", method="GET"), 75),
    ],
    ids=["silent", "half a head", "no body", "idle"],
)
def test_each_has_its_time(running, sent, seconds):
    with RawConnection(running[0], timeout=120) as connection:
        connection.send(sent)
        waited = connection.ends_within(seconds + 20)
    assert waited is not None
    assert waited > seconds - 2


@pytest.mark.measured
def test_hundreds_of_slow_callers_keep_nobody_waiting_and_are_gone_in_time(running):
    origin, gateway = running
    before, longest = gateway.memory_info().rss, 0.0
    kinds = [b"", b"GET / HT", head("/v1/images/generations", *BODY), head("/v1/images/generations", *BODY) + b"{"]
    connections = [RawConnection(origin) for _ in range(480)]
    for place, connection in enumerate(connections):
        connection.send(kinds[place % len(kinds)])
    until = time.monotonic() + 15
    while time.monotonic() < until:
        started = time.monotonic()
        assert loopback.get(f"{origin}/healthz", timeout=10).status_code == 200
        longest = max(longest, time.monotonic() - started)
        for connection in connections:
            connection.try_send(b"")
        time.sleep(0.1)
    assert longest < 2
    assert gateway.memory_info().rss - before < 60_000_000
    assert len(gateway.net_connections("tcp")) < 200  # the silent ones have longer
    for connection in connections:
        connection.socket.close()
