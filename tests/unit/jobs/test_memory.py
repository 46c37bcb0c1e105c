"""What is remembered of requests with keys: enough to answer again, bounded, and never another's."""

import tracemalloc
from decimal import Decimal

import pytest

from app.domain.values import replace
from app.errors import ConflictingKeyError
from app.jobs.memory import KeyMemory
from app.journal.records import Settlement, Status
from tests.support.journals import Clock
from tests.support.records import intent_of, record_of

DONE = Settlement(Status.COMPLETED, "{}", None, Decimal("0.01"), images_kept=True)


@pytest.fixture
def memory():
    return KeyMemory(clock=Clock())


def test_a_request_is_found_by_its_key_as_it_ended(memory):
    memory.note(intent_of("r1", key="k"), record_of("r1"))
    assert memory.find(intent_of("r2", key="k")).status is Status.PROCESSING
    memory.end("r1", DONE, ())
    found = memory.find(intent_of("r2", key="k"))
    assert (found.id, found.status, found.answer) == ("r1", Status.COMPLETED, "{}")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"key": "another"}, id="another key"),
        pytest.param({"key": "k", "tenant": "another"}, id="the key of another tenant"),
        pytest.param({"key": None}, id="no key"),
    ],
)
def test_nobody_else_finds_it(memory, other):
    memory.note(intent_of("r1", key="k"), record_of("r1"))
    assert memory.find(intent_of("r2", **other)) is None


def test_the_key_with_another_request_is_refused(memory):
    memory.note(intent_of("r1", key="k"), record_of("r1"))
    with pytest.raises(ConflictingKeyError):
        memory.find(replace(intent_of("r2", key="k"), fingerprint="another"))


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(replace(DONE, releases=True), id="its key is free again"),
        pytest.param(replace(DONE, images_kept=False), id="its images are only at Runware"),
    ],
)
def test_what_cannot_be_given_again_is_forgotten(memory, end):
    memory.note(intent_of("r1", key="k"), record_of("r1"))
    memory.end("r1", end, ())
    assert memory.find(intent_of("r2", key="k")) is None


def test_a_key_leads_to_its_latest_request_and_deleted_ones_to_none(memory):
    memory.note(intent_of("r1", key="k"), record_of("r1"))
    memory.note(intent_of("r2", key="k"), record_of("r2"))
    memory.forget("r1")
    assert memory.find(intent_of("r3", key="k")).id == "r2"
    memory.forget("r2")
    assert memory.find(intent_of("r3", key="k")) is None
    memory.end("r2", DONE, ())
    assert memory.find(intent_of("r3", key="k")) is None


def test_the_latest_are_remembered_for_an_hour_and_within_a_bound():
    clock = Clock()
    memory = KeyMemory(most_bytes=3 * 5000, clock=clock)
    for number in range(10):
        memory.note(intent_of(f"r{number}", key=f"k{number}"), record_of(f"r{number}"))
    kept = [number for number in range(10) if memory.find(intent_of("x", key=f"k{number}"))]
    assert kept == [7, 8, 9]
    clock.now += 3601
    assert memory.find(intent_of("x", key="k9")) is None


def test_what_may_not_be_used_any_more_is_not_held_either():
    clock = Clock()
    memory = KeyMemory(clock=clock)
    memory.note(intent_of("r1", key="k1"), record_of("r1"))
    clock.now += 3601
    memory.note(intent_of("r2", key="k2"), record_of("r2"))
    assert set(memory._by_id) == {"r2"}


def test_what_is_remembered_takes_no_more_than_is_counted():
    most, answer = 1024 * 1024, "x" * 1500
    memory = KeyMemory(most_bytes=most, clock=Clock())
    tracemalloc.start()
    try:
        for number in range(1000):
            name = f"r{number}"
            memory.note(intent_of(name, key=f"{name:*<64}"), replace(record_of(name), plan="p" * 800 + name))
            memory.end(name, replace(DONE, answer=answer + name), ())
        assert most / 4 < tracemalloc.get_traced_memory()[0] < most
    finally:
        tracemalloc.stop()
