"""Streams of one request: whoever joins hears what was made before, what is made next, and how it failed."""

import json
import threading
import time

import pytest

from tests.support.processes import unique
from tests.support.waiting import seen

BODY = {"size": "256x256", "stream": True}


def events(response) -> list[dict]:
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]


def stream(gateway, key: str, **fields) -> list[dict]:
    answer = gateway.client.post("/images/generations", json=BODY | fields, headers={"Idempotency-Key": key})
    assert answer.status_code == 200, answer.text
    return events(answer)


def images_of(told: list[dict]) -> list[tuple[int, int]]:
    return sorted((event["index"], event["seed"]) for event in told if event["type"] == "image_generation.completed")


@pytest.mark.parametrize("count", [1, 3])
def test_two_streams_under_one_key_hear_the_same_and_pay_once(gateway, count):
    prompt, key, told = f"{unique()} [sim:slow=1]", unique(), []
    threads = [
        threading.Thread(target=lambda: told.append(stream(gateway, key, prompt=prompt, n=count))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert [len(images_of(one)) for one in told] == [count] * 3
    assert images_of(told[0]) == images_of(told[1]) == images_of(told[2])
    assert {event["id"] for one in told for event in one} == {told[0][0]["id"]}
    assert gateway.simulator.made(prompt) == count


def test_a_stream_that_comes_after_the_end_hears_the_same(gateway):
    prompt, key = unique(), unique()
    first, again = (stream(gateway, key, prompt=prompt, n=3) for _ in range(2))
    assert images_of(first) == images_of(again)
    assert len(images_of(first)) == gateway.simulator.made(prompt) == 3


def test_each_image_comes_when_it_exists_and_a_failure_comes_last(gateway):
    prompt = f"{unique()} [sim:fail-odd]"
    told = stream(gateway, unique(), prompt=prompt, n=3, seed=2)
    assert [event["type"] for event in told] == ["image_generation.completed"] * 2 + ["error"]
    assert images_of(told) == [(0, 2), (2, 4)]
    assert told[-1]["error"]["code"] == "provider_error"


@pytest.mark.parametrize("again", ["at once", "later"])
def test_a_failure_is_heard_again_by_a_stream_that_joins(gateway, again):
    prompt, key = f"{unique()} [sim:plain][sim:fail-odd]", unique()
    first = stream(gateway, key, prompt=prompt, n=3, seed=1)
    assert [event["type"] for event in first] == ["image_generation.completed", "error"]
    if again == "later":
        record = f"/requests/{first[0]['id']}"
        assert seen(lambda: gateway.client.get(record).json()["status"], lambda status: status == "partial")
    second = stream(gateway, key, prompt=prompt, n=3, seed=1)
    assert images_of(second) == images_of(first)
    assert second[-1]["error"] | {"provider_code": None} == first[-1]["error"] | {"provider_code": None}
    assert gateway.simulator.made(prompt) == 1


def test_whoever_leaves_a_stream_keeps_nobody_from_hearing_all_of_it(gateway):
    prompt, key = f"{unique()} [sim:slow=1]", unique()
    with gateway.client.stream(
        "POST", "/images/generations", json=BODY | {"prompt": prompt, "n": 2}, headers={"Idempotency-Key": key}
    ) as left:
        assert left.status_code == 200
    told = stream(gateway, key, prompt=prompt, n=2)
    assert [index for index, _ in images_of(told)] == [0, 1]
    assert gateway.simulator.made(prompt) == 2
