"""Retries that are here before the end of the connection they replace: waited for a moment, and bought once."""

import concurrent.futures
import contextlib
import json
import random
import socket
import time

import pytest

from tests.support.processes import free_port, process, unique
from tests.support.waiting import seen

HEAD = (
    "POST /v1/images/generations HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer test-key\r\n"
    "content-type: application/json\r\ncontent-length: {}\r\n{}\r\n"
)
RETRY = "x-stainless-retry-count: 1\r\n"


def begin(port: int, prompt: str, headers: str = "") -> socket.socket:
    """A connection with a request on it."""
    body = json.dumps({"model": "flux.1-schnell", "size": "256x256", "prompt": prompt}).encode()
    opened = socket.create_connection(("127.0.0.1", port), timeout=60)
    opened.sendall(HEAD.format(len(body), headers).encode() + body)
    return opened


def status(opened: socket.socket) -> int:
    """What the request on a connection is answered with."""
    with contextlib.closing(opened):
        return int(opened.recv(65536).split()[1])


def overtake(port: int, chance: random.Random, closed_first: float) -> str:
    """A request whose caller gives up and asks again, so often in this order and else in the other; the prompt."""
    prompt = f"{unique()} [sim:plain] [sim:slow=0.2]"
    first = begin(port, prompt)
    time.sleep(chance.choice([0, 0.002, 0.01, 0.05, 0.1]))
    if chance.random() < closed_first:
        first.close()
        retry = begin(port, prompt, RETRY)
    else:  # a balancer in between may end the old connection last
        retry = begin(port, prompt, RETRY)
        time.sleep(chance.choice([0, 0.02, 0.2]))
        first.close()
    assert status(retry) == 200
    return prompt


def bought(simulator) -> dict[str, int]:
    counts: dict[str, int] = {}
    for task in simulator.tasks():
        prompt = task["request"].get("positivePrompt")
        counts[prompt] = counts.get(prompt, 0) + task["images"]
    return counts


def pairs(simulator, port: int, count: int, at_once: int, closed_first: float = 0.5) -> list[int]:
    """How many images each of so many pairs bought."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        prompts = list(pool.map(lambda seed: overtake(port, random.Random(seed), closed_first), range(count)))
    counts = bought(simulator)
    return [counts[prompt] for prompt in prompts]


@pytest.fixture
def port(simulator, tmp_path):
    own = free_port()
    with process(simulator, tmp_path, own):
        yield own


def test_two_hundred_retries_that_overtake_their_own_disconnect_buy_nothing_twice(simulator, port):
    assert pairs(simulator, port, 200, at_once=4) == [1] * 200


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("workers", "closed_first"), [(1, 0.5), (2, 1.0)], ids=["one process", "two processes that share the port"]
)
def test_two_hundred_of_them_under_load_buy_nothing_twice(simulator, tmp_path, workers, closed_first):
    port = free_port()
    program = ("-m", "app", "serve", "--workers", str(workers))
    with (
        process(simulator, tmp_path, port, program=program) as running,
        concurrent.futures.ThreadPoolExecutor(24) as pool,
    ):
        others = [pool.submit(lambda: status(begin(port, f"{unique()} [sim:plain]"))) for _ in range(1500)]
        try:
            assert pairs(simulator, port, 200, 16, closed_first) == [1] * 200
            assert {other.result() for other in others} == {200}
        finally:
            running.terminate()  # which ends the processes it has started too
            running.wait(30)


def test_a_retry_beside_a_caller_who_stays_waits_for_a_moment_and_is_another_request(simulator, port):
    prompt = f"{unique()} [sim:slow=8]"
    first = begin(port, prompt)
    assert seen(lambda: simulator.asked(prompt), bool)
    began = time.monotonic()
    retry = begin(port, prompt, RETRY)
    assert seen(lambda: simulator.asked(prompt), lambda count: count == 2) == 2
    assert 0.9 < time.monotonic() - began < 8, "it waits, but no longer than it must"
    assert (status(first), status(retry)) == (200, 200)


def test_without_the_word_retry_two_people_do_not_wait_for_each_other(simulator, port):
    prompt = f"{unique()} [sim:slow=3]"
    first = begin(port, prompt)
    assert seen(lambda: simulator.asked(prompt), bool)
    second = begin(port, prompt)
    assert (status(first), status(second)) == (200, 200)
    assert bought(simulator)[prompt] == 2


def test_a_caller_who_is_gone_before_anything_was_sent_buys_nothing(simulator, port):
    prompts = [f"{unique()} [sim:plain]" for _ in range(20)]
    for prompt in prompts:
        begin(port, prompt).close()
    later = [begin(port, prompt, RETRY) for prompt in prompts]
    assert {status(one) for one in later} == {200}
    counts = bought(simulator)
    assert [counts[prompt] for prompt in prompts] == [1] * 20


def test_whoever_asks_another_gateway_as_soon_as_one_is_killed_buys_nothing_twice(simulator, tmp_path):
    prompts = [f"{unique()} [sim:plain] [sim:slow=1]" for _ in range(10)]
    with (
        contextlib.ExitStack() as opened,
        process(simulator, tmp_path, killed_port := free_port()) as killed,
        process(simulator, tmp_path, port := free_port()) as other,
    ):
        for prompt in prompts:
            opened.enter_context(contextlib.closing(begin(killed_port, prompt)))
        assert seen(lambda: bought(simulator), lambda counts: counts.keys() >= set(prompts))
        killed.kill()
        killed.wait()
        # At once, and without the header of a retry.
        again = [opened.enter_context(contextlib.closing(begin(port, prompt))) for prompt in prompts]
        answers = [one.recv(65536).split(b"\r\n")[0] for one in again]
        assert answers == [b"HTTP/1.1 200 OK"] * len(prompts), other.poll()
    counts = bought(simulator)
    assert [counts[prompt] for prompt in prompts] == [1] * len(prompts)
