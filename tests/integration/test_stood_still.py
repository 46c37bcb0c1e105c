"""Processes that stood still, and clocks that were set: what another took is never sent, and nothing is lost to oneself.

Two gateways on one database over one simulator; one is stopped as a paused machine is, for longer than its leases.
"""

import concurrent.futures
import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2
import psycopg
import pytest
from sqlalchemy import make_url

from app.domain.money import from_nanos
from tests.support import loopback
from tests.support.holding import HoldingProxy
from tests.support.images import data_uri, png
from tests.support.processes import ODD, free_port, start_process, unique, wait_until_it_answers
from tests.support.raw import RawConnection, head
from tests.support.waiting import seen

pytestmark = pytest.mark.slow
LEASE = 2.0
RETRY = {"x-stainless-retry-count": "1"}


@dataclass(frozen=True)
class Gateway:
    """A process, and how it is asked."""

    pid: int
    client: httpx2.Client

    def ask(self, path: str = "generations", headers: dict | None = None, **fields) -> httpx2.Response:
        body = {"model": "flux.1-schnell", "size": "256x256"} | fields
        return self.client.post(f"/images/{path}", json=body, headers=headers or {})

    def until_served(self, **fields) -> httpx2.Response:
        """As an SDK asks: again while it is told to."""
        for _ in range(100):
            answer = self.ask(headers=RETRY, **fields)
            if answer.headers.get("x-should-retry") != "true":
                return answer
            time.sleep(0.3)
        raise AssertionError(answer.text)


@contextlib.contextmanager
def gateway(url: str, folder: Path, **variables: str) -> Iterator[Gateway]:
    port = free_port()
    own = {"TEST_LEASE_SECONDS": str(LEASE), "SPILLWAY_ALLOW_PRIVATE_INPUT_URLS": "true"} | variables
    with start_process(url, folder, port, program=ODD, **own) as process:
        try:
            wait_until_it_answers(port)
            headers = {"Authorization": "Bearer test-key"}
            with loopback.client(base_url=f"http://127.0.0.1:{port}/v1", headers=headers, timeout=60) as client:
                yield Gateway(process.pid, client)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def was_left(folder: Path) -> bool:
    """Whether it is written down that a request's caller has gone."""
    with contextlib.closing(sqlite3.connect(folder / "spillway.db", timeout=20)) as journal:
        return journal.execute("SELECT count(*) FROM requests WHERE broken_at IS NOT NULL").fetchone() == (1,)


def booked(url: str) -> tuple[set[str], Decimal]:
    """The states of all requests, and what they cost together."""
    query = "SELECT status, cost FROM requests"
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as journal:
            rows = journal.execute(query).fetchall()
    else:
        with psycopg.connect(make_url(url).render_as_string(hide_password=False)) as journal:
            rows = journal.execute(query).fetchall()
    return {row[0] for row in rows}, from_nanos(sum(row[1] or 0 for row in rows))


def ended(url: str) -> tuple[set[str], Decimal]:
    """The same, once every request has ended."""
    found = seen(lambda: booked(url), lambda found: not found[0] & {"queued", "processing"}, 60)
    assert not found[0] & {"queued", "processing"}, found
    return found


def billed(simulator, prompt: str) -> Decimal:
    return sum((Decimal(task["billed"]) for task in simulator.tasks(prompt)), Decimal(0))


def stopped_between_writes(one: Gateway, url: str) -> bool:
    """Whether it could be stopped where it holds no lock of SQLite's, which would stop every other process too."""
    os.kill(one.pid, signal.SIGSTOP)
    if not url.startswith("sqlite"):
        return True
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(one.pid, signal.SIGCONT)
            return False
        other.execute("ROLLBACK")
        return True


@contextlib.contextmanager
def sleeping(one: Gateway, url: str) -> Iterator[None]:
    """This process is stopped meanwhile."""
    assert seen(lambda: stopped_between_writes(one, url), bool)
    try:
        yield
    finally:
        os.kill(one.pid, signal.SIGCONT)


TWO_TASKS = {"path": "edits", "model": "runware/bfl:5@1", "n": 2, "size": "512x512", "image": data_uri(png(512, 512))}
ONE_TASK = {"path": "edits", "model": "riverflow-1-mini", "size": "auto", "image": data_uri(png(512, 512))}


@pytest.mark.parametrize(
    ("marker", "fields", "images"),
    [(b"mediaStorage", TWO_TASKS, 2)],
    ids=["while the images it needs are uploaded"],
)
def test_a_process_that_slept_with_a_request_claimed_and_not_sent_sends_nothing(
    simulator, tmp_path, database, marker, fields, images
):
    url, prompt = database.fresh(), unique()
    shared = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_SECRET": "a secret of sixteen"}
    proxy = HoldingProxy(int(simulator.url.rpartition(":")[2]), marker)
    with (
        contextlib.closing(proxy),
        gateway(proxy.url, tmp_path, **shared) as sleeper,
        gateway(simulator.url, tmp_path, **shared) as awake,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(sleeper.ask, prompt=prompt, **fields)
        assert proxy.reached.wait(30)
        with sleeping(sleeper, url):
            proxy.released.set()
            answer = awake.until_served(prompt=prompt, **fields)
            assert (answer.status_code, simulator.made(prompt)) == (200, images), answer.text
        told = first.result()
        assert told.headers["x-should-retry"] == "true", "its key is free, if it had one"
        assert (told.status_code, told.json()["error"]["code"]) == (503, "not_started"), told.text
        assert simulator.made(prompt) == images
        states, cost = ended(url)
    assert states == {"completed", "failed"}
    assert cost == billed(simulator, prompt)


def test_a_process_that_slept_while_a_request_waited_for_its_turn_sends_nothing(simulator, tmp_path, database):
    url, prompt, other = database.fresh(), unique(), f"{unique()} [sim:slow=4]"
    shared = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_SECRET": "a secret of sixteen"}
    with (
        gateway(simulator.url, tmp_path, SPILLWAY_MAX_IN_FLIGHT="1", **shared) as sleeper,
        gateway(simulator.url, tmp_path, **shared) as awake,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        runs = pool.submit(sleeper.ask, prompt=other)
        assert seen(lambda: simulator.asked(other), bool, 60)
        waits = pool.submit(sleeper.ask, prompt=prompt)
        assert "queued" in seen(lambda: booked(url)[0], lambda found: "queued" in found)
        with sleeping(sleeper, url):
            assert awake.until_served(prompt=prompt).status_code == 200
        assert (runs.result().status_code, waits.result().json()["error"]["code"]) == (200, "not_started")
        assert (simulator.made(prompt), simulator.made(other)) == (1, 1)
        assert ended(url)[1] == billed(simulator, prompt) + billed(simulator, other)


def test_a_process_that_slept_alone_goes_on_where_it_was(simulator, tmp_path, database):
    url, prompt = database.fresh(), unique()
    proxy = HoldingProxy(int(simulator.url.rpartition(":")[2]), b"mediaStorage")
    with (
        contextlib.closing(proxy),
        gateway(proxy.url, tmp_path, SPILLWAY_DATABASE_URL=url) as sleeper,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(sleeper.ask, prompt=prompt, **TWO_TASKS)
        assert proxy.reached.wait(30)
        with sleeping(sleeper, url):
            proxy.released.set()
            time.sleep(2 * LEASE)
        assert (first.result().status_code, simulator.made(prompt)) == (200, 2)
        assert ended(url) == ({"completed"}, billed(simulator, prompt))


def test_a_process_that_slept_while_its_image_was_made_delivers_it_and_books_it_once(simulator, tmp_path, database):
    url, prompt = database.fresh(), f"{unique()} [sim:slow=1]"
    shared = {"SPILLWAY_DATABASE_URL": url, "SPILLWAY_SECRET": "a secret of sixteen"}
    with (
        gateway(simulator.url, tmp_path, **shared) as sleeper,
        gateway(simulator.url, tmp_path, **shared) as awake,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(sleeper.ask, prompt=prompt)
        assert seen(lambda: simulator.asked(prompt), bool, 60)
        with sleeping(sleeper, url):
            answer = awake.until_served(prompt=prompt)
        assert (answer.status_code, first.result().status_code, simulator.made(prompt)) == (200, 200, 1)
        assert first.result().json()["id"] == answer.json()["id"]
        assert ended(url) == ({"completed"}, billed(simulator, prompt))


@pytest.mark.parametrize("seconds", [3600, -3600], ids=["an hour ahead", "an hour back"])
def test_a_wall_clock_that_is_set_makes_no_process_lose_to_itself(simulator, tmp_path, seconds):
    clock, prompt = tmp_path / "clock", f"{unique()} [sim:slow=3]"
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    clock.write_text("0")
    with (
        gateway(simulator.url, tmp_path, SPILLWAY_DATABASE_URL=url, TEST_WALL_FILE=str(clock)) as own,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        first = pool.submit(own.ask, prompt=prompt, headers={"X-Spillway-Timeout": "20"})
        assert seen(lambda: simulator.asked(prompt), bool, 60)
        clock.write_text(str(seconds))
        time.sleep(LEASE)
        keyed = pool.submit(own.ask, prompt=unique(), headers={"Idempotency-Key": "k"})
        assert (first.result().status_code, keyed.result().status_code, simulator.made(prompt)) == (200, 200, 1)
        with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
            assert {row[0] for row in journal.execute("SELECT fence FROM requests")} == {1}, "nobody took it over"
        assert ended(url)[0] == {"completed"}


@pytest.mark.parametrize("headers", [RETRY, {}], ids=["called a retry", "without a word"])
@pytest.mark.parametrize("seconds", [3600, -3600], ids=["an hour ahead", "an hour back"])
def test_a_retry_joins_the_request_that_runs_though_the_clock_was_set_meanwhile(simulator, tmp_path, seconds, headers):
    clock, prompt = tmp_path / "clock", f"{unique()} [sim:slow=2.5]"
    clock.write_text("0")
    with gateway(simulator.url, tmp_path, TEST_WALL_FILE=str(clock)) as own:
        with RawConnection(str(own.client.base_url)) as connection:
            text = json.dumps({"model": "flux.1-schnell", "size": "256x256", "prompt": prompt}).encode()
            connection.send(
                head("/v1/images/generations", "Content-Type: application/json", f"Content-Length: {len(text)}") + text
            )
            assert seen(lambda: simulator.asked(prompt), bool, 60)
        assert seen(lambda: was_left(tmp_path), bool), "it is written down, at the time before"
        clock.write_text(str(seconds))
        answer = own.ask(prompt=prompt, headers=headers)
        assert (answer.status_code, simulator.made(prompt)) == (200, 1), answer.text
