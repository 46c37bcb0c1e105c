"""Metrics of several processes: one sum on whichever port, kept when one is killed, and a port that nobody else has."""

import contextlib
import socket
import time
from pathlib import Path

import psutil
import pytest

from tests.support import loopback
from tests.support.children import SERVER, children_with
from tests.support.commands import served, spillway
from tests.support.processes import free_port
from tests.support.raw import RawConnection
from tests.support.scraping import Scrape, scrape
from tests.support.waiting import seen

pytestmark = pytest.mark.slow
KEY = "the-key-of-metrics"
ENDPOINT = {"endpoint": "/models", "status": "200"}


def ask(origin: str, times: int) -> None:
    """So many requests, each over a connection of its own, so that every process gets some."""
    for _ in range(times):
        assert loopback.get(f"{origin}/v1/models", headers={"Connection": "close"}).status_code == 200


def test_a_port_of_their_own_has_the_sums_of_all_processes_also_of_killed_ones(tmp_path):
    port = free_port()
    variables = {"SPILLWAY_METRICS_PORT": str(port), "SPILLWAY_METRICS_KEY": KEY}
    with served(tmp_path, "--workers", "2", **variables) as (origin, process):
        own = f"http://127.0.0.1:{port}"

        def counted() -> Scrape:
            return scrape(own, KEY)

        def limit() -> float:
            return counted().value("spillway_tasks_in_flight_limit")

        assert loopback.get(f"{origin}/metrics").status_code == 404
        assert loopback.get(f"{own}/metrics").status_code == 401
        assert loopback.get(f"{own}/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 404
        # Two processes that live, each with as many places as the settings say.
        assert seen(limit, lambda now: now == 1024) == 1024
        ask(origin, 20)
        assert seen(lambda: counted().value("spillway_requests_total", **ENDPOINT), lambda now: now == 20) == 20
        serving = children_with(SERVER, process.pid)
        assert len(serving) == 2
        serving[0].kill()
        serving[0].wait()
        assert counted().value("spillway_requests_total", **ENDPOINT) == 20
        # The one that is started in its place counts on where it stopped.
        assert seen(lambda: len(children_with(SERVER, process.pid)), lambda now: now == 2) == 2
        assert seen(limit, lambda now: now == 1024) == 1024
        ask(origin, 15)
        assert seen(lambda: counted().value("spillway_requests_total", **ENDPOINT), lambda now: now >= 35) == 35


def test_any_process_answers_for_all_on_the_main_port(tmp_path):
    with served(tmp_path, "--workers", "2") as (origin, _):
        ask(origin, 12)

        def counted() -> set[float]:
            return {scrape(origin, None).value("spillway_requests_total", **ENDPOINT) for _ in range(6)}

        assert seen(counted, lambda now: now == {12}) == {12}
        limits = {scrape(origin, None).value("spillway_tasks_in_flight_limit") for _ in range(6)}
        assert limits <= {512, 1024}


def test_a_port_of_metrics_that_is_taken_ends_the_start_with_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = spillway(
            tmp_path,
            "serve",
            SPILLWAY_METRICS_PORT=str(port),
            SPILLWAY_PORT=str(free_port()),
            SPILLWAY_DATA_DIR=str(tmp_path),
        )
    assert finished.returncode == 2
    assert "SPILLWAY_METRICS_PORT" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_of_it_is_left_when_the_gateway_has_ended(tmp_path, workers):
    port = free_port()
    with served(tmp_path, "--workers", workers, SPILLWAY_METRICS_PORT=str(port)) as (_, process):
        assert scrape(f"http://127.0.0.1:{port}", None).families
        folder = psutil.Process(process.pid)
        open_files = [one.path for one in folder.open_files() if "spillway-metrics-" in one.path]
        assert len({path.rpartition("/")[0] for path in open_files}) == 1
        process.terminate()
        process.wait(30)
    assert not Path(open_files[0]).parent.exists()


def test_who_says_nothing_on_the_port_of_metrics_keeps_nobody_waiting(tmp_path):
    port = free_port()
    with served(tmp_path, SPILLWAY_METRICS_PORT=str(port)):
        own = f"http://127.0.0.1:{port}"
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(RawConnection(own)).send(b"GET /metrics HTTP/1.1\r\n")
            began = time.monotonic()
            assert scrape(own, None).families
            assert time.monotonic() - began < 8
