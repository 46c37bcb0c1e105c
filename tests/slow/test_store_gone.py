"""Gateways and object stores as processes that are killed: what is swept, refused and bought meanwhile, and afterwards."""

import contextlib
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psycopg
import pytest

from tests.support import loopback
from tests.support.object_stores import BUCKET, ObjectServer, variables_of
from tests.support.processes import ODD, free_port, process, unique, wait_until_it_answers
from tests.support.waiting import seen

pytestmark = pytest.mark.slow
AUTH = {"Authorization": "Bearer test-key"}
HOSTED = {"size": "256x256", "model": "flux.1-schnell", "response_format": "url"}


def ask(port: int, prompt: str, **fields: object) -> httpx2.Response:
    body = HOSTED | {"prompt": prompt} | fields
    return loopback.post(f"http://127.0.0.1:{port}/v1/images/generations", json=body, headers=AUTH, timeout=60)


def link(port: int, **fields: object) -> str:
    return ask(port, unique(), **fields).raise_for_status().json()["data"][0]["url"]


def status_of(url: str) -> int:
    return loopback.get(url, timeout=60).status_code


def test_another_gateway_goes_on_where_one_was_killed_in_the_middle_of_a_sweep(simulator, postgres, tmp_path):
    """Nothing is left behind, and nothing goes before its time."""
    url, store = postgres.fresh(), ObjectServer()
    variables = {
        "SPILLWAY_DATABASE_URL": url, "SPILLWAY_STORAGE_URL": f"s3://{BUCKET}/swept", "SPILLWAY_HOST_ALL_PICTURES": "true",
        "SPILLWAY_MEDIA_TTL": "3600", "TEST_LEASE_SECONDS": "2", "TEST_SWEEPS_SECONDS": "0.3", **store.variables(),
    }  # fmt: skip
    ports = free_port(), free_port()

    def images() -> set[str]:
        return {name for name in store.names() if "/media/" in name}

    def sweeper() -> int:
        """The process that sweeps, by the name it has in the database."""
        with psycopg.connect(url) as connection:
            owner = connection.execute("SELECT owner FROM duties").fetchone()
        return int(owner[0].split(":")[1]) if owner and owner[0] else 0

    with (
        contextlib.closing(store),
        process(simulator, tmp_path / "0", ports[0], program=ODD, **variables) as first,
        process(simulator, tmp_path / "1", ports[1], program=ODD, **variables) as second,
    ):
        brief = [link(port, ttl=900) for port in ports for _ in range(10)]
        lasting = [link(port) for port in ports for _ in range(5)]
        stay = {name for name in images() if any(name.rpartition("/")[2] in one for one in lasting)}
        assert (len(images()), len(stay)) == (30, 10)
        before = len(store.asked)
        with store.standing_still():
            # The clock that counts is the database's: whatever is stored gets so much older.
            with psycopg.connect(url) as connection:
                connection.execute("UPDATE stored_images SET expires_at = expires_at - 1000")
            assert seen(lambda: {"DELETE", "POST"} & {method for method, _ in store.asked[before:]}, bool)
            # Asked for in the middle of the sweep: on a busy machine the duty may have changed hands before.
            dies = first if seen(sweeper, bool) == first.pid else second
            dies.kill()
            dies.wait()
        lives = ports[1] if dies is first else ports[0]
        assert seen(images, lambda left: left == stay, 90) == stay
        assert seen(sweeper, lambda holder: holder not in {0, dies.pid}) in {first.pid, second.pid} - {dies.pid}
        after = link(lives)
        assert [
            status_of(one.replace(str(port), str(lives))) for port in ports for one in brief if str(port) in one
        ] == [404] * 20
        assert {
            status_of(one.replace(str(port), str(lives)))
            for port in ports
            for one in [*lasting, after]
            if str(port) in one
        } == {200}
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM stored_images").fetchone() == (11,)


@contextlib.contextmanager
def object_store(port: int) -> Iterator[subprocess.Popen]:
    """An object store with an empty bucket, as a process of its own."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            wait_until_it_answers(port, "/moto-api/", running)
            loopback.request("PUT", f"http://127.0.0.1:{port}/{BUCKET}").raise_for_status()
            yield running
        finally:
            running.kill()


def test_a_store_that_is_killed_and_started_again_costs_no_image_and_no_restart(simulator, tmp_path):
    port, store = free_port(), free_port()
    variables = {"SPILLWAY_STORAGE_URL": f"s3://{BUCKET}/here", "SPILLWAY_HOST_ALL_PICTURES": "true"}
    variables |= variables_of(f"http://127.0.0.1:{store}")
    told: list[tuple[str, httpx2.Response]] = []
    ending = threading.Event()

    def go_on_asking() -> None:
        for number in itertools.count():
            if ending.is_set():
                return
            prompt = unique()
            told.append((prompt, ask(port, prompt, **({"output_format": "gif"} if number % 2 else {}))))

    def asked_since(number: int) -> list[httpx2.Response]:
        return [answer for _, answer in told[number:]]

    def is_hosted(answer: httpx2.Response) -> bool:
        return answer.status_code == 200 and f":{port}/" in (answer.json()["data"][0].get("url") or "")

    with contextlib.ExitStack() as stack:
        running = stack.enter_context(object_store(store))
        stack.enter_context(process(simulator, tmp_path, port, **variables))
        pool = stack.enter_context(ThreadPoolExecutor(4))
        stack.callback(ending.set)
        for _ in range(4):
            pool.submit(go_on_asking)
        assert seen(lambda: sum(map(is_hosted, asked_since(0))), lambda count: count >= 8) >= 8
        running.kill()
        running.wait()
        gone = len(told)
        refused = seen(
            lambda: [one for one in asked_since(gone) if one.status_code != 200], lambda them: len(them) >= 8
        )
        assert {(one.status_code, one.json()["error"]["code"]) for one in refused} == {(503, "storage_unavailable")}
        assert all(one.headers["x-should-retry"] == "true" and "retry-after" in one.headers for one in refused)
        assert loopback.get(f"http://127.0.0.1:{port}/readyz", timeout=60).json()["parts"]["store"] == "away"
        embedded = ask(port, unique(), response_format="b64_json")
        assert embedded.status_code == 200, "what needs no store goes on"
        stack.enter_context(object_store(store))
        back = len(told)
        assert seen(lambda: sum(map(is_hosted, asked_since(back))), lambda count: count >= 8, 60) >= 8
        ending.set()
        pool.shutdown()
        assert loopback.get(f"http://127.0.0.1:{port}/readyz", timeout=60).json()["parts"]["store"] == "ok"
        last = next(answer for answer in reversed(asked_since(0)) if is_hosted(answer))
        assert status_of(last.json()["data"][0]["url"]) == 200
    for prompt, answer in told:
        assert simulator.made(prompt) == (1 if answer.status_code == 200 else 0), "what is refused was not bought"
        assert answer.status_code != 200 or answer.json()["data"][0].keys() & {"url", "b64_json"}
