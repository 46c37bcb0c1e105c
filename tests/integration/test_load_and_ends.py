"""More work than may be done at once, an upstream that is gone, answers nobody read, and orderly ends."""

import concurrent.futures
import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support import loopback
from tests.support.holding import holding
from tests.support.processes import free_port, process, unique, wait_until_it_answers
from tests.support.recorder import read_response
from tests.support.waiting import seen

BODY = {"model": "flux.1-schnell", "size": "256x256"}
AUTH = {"Authorization": "Bearer test-key"}


def ask(gateway, prompt: str, **headers: str) -> httpx2.Response:
    return gateway.client.post("/images/generations", json=BODY | {"prompt": prompt}, headers=headers)


def statuses_of(gateway, **headers: str) -> list[str]:
    """Of every request of a caller."""
    return sorted(record["status"] for record in gateway.client.get("/requests", headers=headers).json()["data"])


def test_beyond_places_and_queue_there_is_429_and_nothing_else_is_lost(start_gateway, simulator):
    name, full = unique(), ["processing", "processing", "queued", "queued"]
    prompts = [f"{name} {number}" for number in range(6)]
    with holding(simulator.url, name) as runware, concurrent.futures.ThreadPoolExecutor(6) as pool:
        gateway = start_gateway(upstream=f"{runware.url}/v1", SPILLWAY_MAX_IN_FLIGHT="2", SPILLWAY_MAX_QUEUED="2")
        asked = [pool.submit(ask, gateway, prompt) for prompt in prompts]
        assert seen(lambda: statuses_of(gateway), lambda found: found == full) == full
        assert seen(lambda: sum(one.done() for one in asked), lambda count: count == 2) == 2, "the others wait"
        runware.released.set()
        answers = [future.result() for future in asked]
        assert ask(gateway, unique()).status_code == 200, "every place is free again"
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 429, 429]
    for answer, prompt in zip(answers, prompts, strict=True):
        assert simulator.made(prompt) == (answer.status_code == 200)
        if answer.status_code == 429:
            assert answer.json()["error"]["code"] == "overloaded"
            assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_what_was_begun_before_is_joined_even_when_nothing_new_fits(start_gateway, simulator):
    prompt, key, held = unique(), {"Idempotency-Key": unique()}, unique()
    with holding(simulator.url, held) as runware, concurrent.futures.ThreadPoolExecutor(1) as pool:
        gateway = start_gateway(upstream=f"{runware.url}/v1", SPILLWAY_MAX_IN_FLIGHT="1", SPILLWAY_MAX_QUEUED="0")
        first = ask(gateway, prompt, **key)
        busy = pool.submit(ask, gateway, held)
        assert runware.reached.wait(60)
        assert ask(gateway, unique()).status_code == 429
        assert ask(gateway, prompt, **key).json()["id"] == first.json()["id"]
        runware.released.set()
        assert busy.result().status_code == 200


def test_a_key_that_fills_the_queue_does_not_keep_the_others_out(start_gateway, simulator):
    held, full = unique(), ["processing", "queued", "queued"]
    busy, other = {"Authorization": "Bearer busy"}, {"Authorization": "Bearer other"}
    with holding(simulator.url, held) as runware, concurrent.futures.ThreadPoolExecutor(7) as pool:
        gateway = start_gateway(
            upstream=f"{runware.url}/v1",
            SPILLWAY_API_KEYS="busy,other",
            SPILLWAY_MAX_IN_FLIGHT="1",
            SPILLWAY_MAX_QUEUED="4",
            SPILLWAY_MAX_QUEUED_PER_KEY="2",
        )
        asked = [pool.submit(ask, gateway, held, **busy)]
        assert runware.reached.wait(60)
        asked += [pool.submit(ask, gateway, unique(), **busy) for _ in range(5)]
        assert seen(lambda: statuses_of(gateway, **busy), lambda found: found == full) == full
        others = pool.submit(ask, gateway, unique(), **other)
        assert seen(lambda: statuses_of(gateway, **other), bool) == ["queued"]
        assert seen(lambda: sum(one.done() for one in asked), lambda count: count == 3) == 3, "they are not queued"
        runware.released.set()
        statuses = sorted(future.result().status_code for future in asked)
        assert statuses == [200, 200, 200, 429, 429, 429]
        assert others.result().status_code == 200


def test_a_key_with_little_to_do_does_not_wait_behind_one_with_much(start_gateway, simulator):
    held, full = unique(), ["processing", *["queued"] * 5]
    ended: list[str] = []

    def one(gateway, name: str) -> None:
        ask(gateway, f"{held} {unique()} [sim:slow=0.2]", Authorization=f"Bearer {name}")
        ended.append(name)

    with holding(simulator.url, held) as runware, concurrent.futures.ThreadPoolExecutor(8) as pool:
        gateway = start_gateway(upstream=f"{runware.url}/v1", SPILLWAY_MAX_IN_FLIGHT="1")
        futures = [pool.submit(one, gateway, "test-key") for _ in range(6)]
        assert seen(lambda: statuses_of(gateway), lambda found: found == full) == full
        futures.append(pool.submit(one, gateway, "other-key"))
        assert seen(lambda: statuses_of(gateway, Authorization="Bearer other-key"), bool) == ["queued"]
        runware.released.set()
        concurrent.futures.wait(futures)
    assert ended.index("other-key") <= 4, ended


@contextlib.contextmanager
def simulator_on(port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "app", "simulate", "--port", str(port), "--latency", "0", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as running:
        wait_until_it_answers(port)
        yield
        running.stdin.close()


def test_an_upstream_that_is_gone_is_not_waited_for_and_noticed_when_it_is_back(start_gateway):
    port = free_port()
    gateway = start_gateway(upstream=f"http://127.0.0.1:{port}/v1")
    started = time.monotonic()
    errors = [ask(gateway, unique()) for _ in range(5)]
    noticed = time.monotonic()
    assert {error.status_code for error in errors} == {503}
    fast = [ask(gateway, unique()) for _ in range(20)]
    assert time.monotonic() - noticed < len(fast) / len(errors) * (noticed - started), "it is not tried each time"
    assert {(one.status_code, one.json()["error"]["code"]) for one in fast} == {(503, "provider_unavailable")}
    assert all(1 <= int(one.headers["retry-after"]) <= 60 for one in fast)
    assert "does not answer" in gateway.client.get(f"{gateway.origin}/readyz").json()["problems"][0]
    refused = {record["id"] for record in gateway.client.get("/requests?limit=100").json()["data"]}
    assert refused.isdisjoint({one.headers["x-request-id"] for one in fast}), "what is refused claims nothing"
    with simulator_on(port):
        readyz = f"{gateway.origin}/readyz"
        assert seen(lambda: gateway.client.get(readyz).json()["problems"], lambda found: not found) == []
        assert ask(gateway, unique()).status_code == 200


def raw_request(origin: str, prompt: str, response_format: str) -> socket.socket:
    host, port = origin.removeprefix("http://").split(":")
    body = f'{{"model":"flux.1-schnell","size":"256x256","prompt":"{prompt}","response_format":"{response_format}"}}'
    connection = socket.create_connection((host, int(port)))
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test-key\r\nContent-Length: {len(body)}"
    connection.sendall(f"{head}\r\n\r\n{body}".encode())
    return connection


@pytest.mark.parametrize("form", ["url", "b64_json"])
@pytest.mark.parametrize("reads", [0, 200], ids=["nothing of it", "a part of it"])
def test_an_answer_that_was_sent_but_not_read_is_delivered_to_the_retry(gateway, form, reads):
    prompt = unique()
    connection = raw_request(gateway.origin, prompt, form)
    if reads:
        connection.recv(reads)
    else:  # the answer waits in the buffers of this machine
        assert connection.recv(1, socket.MSG_PEEK)
    connection.close()
    body = BODY | {"prompt": prompt, "response_format": form}
    response = gateway.client.post("/images/generations", json=body, headers={"x-stainless-retry-count": "1"})
    assert response.status_code == 200, response.text
    assert response.json()["data"][0].get(form)
    assert gateway.simulator.made(prompt) == 1


def test_an_answer_that_was_read_whole_is_delivered_however_the_connection_ends(gateway):
    prompt = unique()
    connection = raw_request(gateway.origin, prompt, "url")
    status, body = read_response(connection)
    assert status == 200
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    address = f"/requests/{json.loads(body)['id']}"
    assert seen(lambda: gateway.client.get(address).json()["delivered"], bool)
    assert ask(gateway, prompt).status_code == 200
    assert gateway.simulator.made(prompt) == 2


def is_refused(port: int) -> bool:
    """Whether nobody takes connections there any more."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_sigterm_lets_what_runs_end_and_takes_nothing_new(simulator, tmp_path):
    prompt, port = f"{unique()} [sim:slow=3]", free_port()
    url = f"http://127.0.0.1:{port}/v1/images/generations"
    with (
        process(simulator, tmp_path, port, SPILLWAY_GRACE="10") as running,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        asked = pool.submit(loopback.post, url, json=BODY | {"prompt": prompt}, headers=AUTH, timeout=60)
        accepted = loopback.post(
            url, json=BODY | {"prompt": f"{prompt} b"}, headers=AUTH | {"Prefer": "respond-async"}, timeout=60
        )
        assert seen(lambda: simulator.asked(prompt) and simulator.asked(f"{prompt} b"), bool)
        running.send_signal(signal.SIGTERM)
        assert seen(lambda: is_refused(port), bool)
        with pytest.raises(httpx2.HTTPError):
            loopback.post(url, json=BODY | {"prompt": unique()}, headers=AUTH, timeout=5)
        assert asked.result().status_code == 200
        assert running.wait(30) in {0, -signal.SIGTERM}
    with process(simulator, tmp_path, port):
        record = loopback.get(f"http://127.0.0.1:{port}{accepted.headers['location']}", headers=AUTH).json()
        assert record["status"] == "completed", "what was accepted was finished within the grace period too"


@pytest.mark.slow
def test_what_does_not_end_within_the_grace_period_is_found_by_the_next_process(simulator, tmp_path):
    prompt, port, grace = f"{unique()} [sim:slow=8]", free_port(), 3
    url = f"http://127.0.0.1:{port}/v1/images/generations"
    with (
        process(simulator, tmp_path, port, SPILLWAY_GRACE=str(grace)) as running,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        asked = pool.submit(loopback.post, url, json=BODY | {"prompt": prompt}, headers=AUTH, timeout=60)
        assert seen(lambda: simulator.asked(prompt), bool)
        running.send_signal(signal.SIGTERM)
        started = time.monotonic()
        running.wait(30)
        assert time.monotonic() - started < 2 * grace, "the grace period is one, not one after the other"
        told = asked.result()
        assert (told.status_code, told.json()["error"]["code"]) == (503, "restarting")
        assert (told.headers["x-should-retry"], told.headers["retry-after"]) == ("true", "1")
        assert told.headers["x-request-id"].startswith("req_")
    with process(simulator, tmp_path, port):
        # As an SDK does: on a machine that stands still the journal may take nothing at first, and says so.
        for attempt in range(1, 9):
            retry = {"x-stainless-retry-count": str(attempt)}
            again = loopback.post(url, json=BODY | {"prompt": prompt}, headers=AUTH | retry, timeout=60)
            if again.headers.get("x-should-retry") != "true":
                break
            time.sleep(float(again.headers["retry-after"]))
        assert again.status_code == 200, again.text
    assert simulator.made(prompt) == 1
