"""Bytes in flight are bounded: bodies wait unread for their turn, fair by API key, as long as their callers do."""

import concurrent.futures

import pytest

from tests.support import loopback
from tests.support.images import png_of
from tests.support.slow_upload import KIB, MIB, SlowUpload
from tests.support.waiting import seen


def bodies_waiting(gateway, count: int) -> int:
    """How many bodies wait for a place, as soon as these are as many as they should be."""
    return seen(
        lambda: loopback.get(f"{gateway.origin}/readyz").json()["memory"]["waiting"], lambda waiting: waiting == count
    )


def test_a_body_that_does_not_fit_waits_unread_until_there_is_room(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        second = pool.submit(gateway.edit, [("image", ("a.png", png_of(400 * KIB)))])
        assert bodies_waiting(gateway, 1) == 1
        assert not second.done()
        small = gateway.generate()
        assert small.status_code == 200, "small bodies need no place"
        first.end()
        assert second.result(timeout=30).status_code == 200
    assert gateway.edit([("image", ("a.png", png_of(800 * KIB)))]).status_code == 200, "every place is free again"


def test_what_waits_unread_stays_with_the_system(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    waiting = SlowUpload(gateway.origin, 60 * MIB)
    assert waiting.taken(59 * MIB) < 48 * MIB, "no more than the buffers of two sockets hold"
    waiting.leave()
    first.end()


def test_a_body_waits_as_long_as_its_caller_does_and_is_then_told_to_come_back(start_gateway):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    answer = gateway.client.post(
        "/images/edits",
        data={"prompt": "make it night"},
        files=[("image", ("a.png", png_of(400 * KIB)))],
        headers={"X-Spillway-Timeout": "2"},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    first.end()


@pytest.mark.parametrize("size", [pytest.param(3 * MIB, id="more than all"), pytest.param(MIB, id="all")])
def test_a_body_as_large_as_the_bound_goes_alone_not_never(start_gateway, size):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB))
    assert gateway.edit([("image", ("a.png", png_of(size)))]).status_code == 200


@pytest.mark.parametrize(
    "sent", [pytest.param(0, id="nothing sent"), pytest.param(100 * KIB, id="as much as the system holds unread")]
)
def test_a_caller_that_leaves_while_its_body_waits_makes_room_in_the_queue(start_gateway, sent):
    gateway = start_gateway(SPILLWAY_MAX_BYTES_IN_FLIGHT=str(2 * MIB), SPILLWAY_MAX_QUEUED="1")
    first = SlowUpload(gateway.origin, 900 * KIB)
    assert first.has_room()
    waiting = SlowUpload(gateway.origin, 900 * KIB)
    image = [("image", ("a.png", png_of(400 * KIB)))]
    assert bodies_waiting(gateway, 1) == 1
    assert gateway.edit(image).status_code == 429, "the queue is full"
    waiting.send(sent)
    waiting.leave()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert bodies_waiting(gateway, 0) == 0
        third = pool.submit(gateway.edit, image)
        assert bodies_waiting(gateway, 1) == 1
        first.end()
        assert third.result(timeout=60).status_code == 200
