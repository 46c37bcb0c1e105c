"""Who may begin when, and when Runware counts as gone."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.admission import Admission, Ticket
from app.errors import OverloadedError
from app.runware.circuit_breaker import CircuitBreaker


def test_what_fits_begins_at_once_and_the_rest_waits_in_line():
    admission = Admission(2, 10)
    first, second, third = (admission.take("a", 1) for _ in range(3))
    assert [ticket.waits for ticket in (first, second, third)] == [False, False, True]
    first.release()
    assert not third.waits
    assert (admission.in_flight, admission.queued) == (2, 0)


def test_beyond_the_queue_there_is_an_error_that_says_when_to_come_back():
    admission = Admission(1, 1)
    admission.take("a", 1)
    waiting = admission.take("a", 1)
    with pytest.raises(OverloadedError) as refused:
        admission.take("a", 1)
    assert (refused.value.status, refused.value.code, refused.value.should_retry) == (429, "overloaded", True)
    assert refused.value.retry_after >= 1
    waiting.release()
    assert admission.take("a", 1).waits


def test_a_busy_key_does_not_keep_the_others_out():
    admission = Admission(1, 100)
    running = admission.take("busy", 1)
    busy = [admission.take("busy", 1) for _ in range(5)]
    other = [admission.take("other", 1) for _ in range(2)]
    order = []
    current = running
    names = {id(ticket): name for name, tickets in (("busy", busy), ("other", other)) for ticket in tickets}
    for _ in range(7):
        current.release()
        current = next(ticket for ticket in [*busy, *other] if not ticket.waits and id(ticket) in names)
        order.append(names.pop(id(current)))
    assert order == ["busy", "other", "busy", "other", "busy", "busy", "busy"]


def test_one_key_fills_its_share_of_the_queue_and_the_others_still_get_in():
    admission = Admission(1, 4, max_queued_per_key=2)
    admission.take("busy", 1)
    waiting = [admission.take("busy", 1) for _ in range(2)]
    with pytest.raises(OverloadedError):
        admission.take("busy", 1)
    assert admission.take("other", 1).waits
    waiting[0].release()
    assert admission.take("busy", 1).waits


def test_what_shrinks_makes_room_and_what_grows_keeps_others_waiting_but_goes_on():
    admission = Admission(10, 10)
    first = admission.take("a", 8)
    second = admission.take("b", 5)
    assert second.waits
    first.resize(5)
    assert not second.waits
    first.resize(20)
    assert (first.waits, admission.in_flight) == (False, 25)
    third = admission.take("c", 1)
    assert third.waits
    first.release()
    assert (third.waits, admission.in_flight) == (False, 6)
    first.resize(3)
    assert admission.in_flight == 6


async def hold_and_note(admission, tenant, weight, events):
    ticket = admission.take(tenant, weight)
    try:
        await ticket.wait_turn()
        events.append(f"{tenant} in")
        await asyncio.sleep(0.01)
        events.append(f"{tenant} out")
    finally:
        ticket.release()


def test_a_place_is_given_back_also_when_the_wait_is_broken_off():
    async def story():
        admission, events = Admission(1, 10), []
        holding = [asyncio.ensure_future(hold_and_note(admission, name, 1, events)) for name in "ab"]
        broken = asyncio.ensure_future(hold_and_note(admission, "c", 1, events))
        await asyncio.sleep(0)
        broken.cancel()
        await asyncio.gather(*holding)
        assert events == ["a in", "a out", "b in", "b out"]
        assert (admission.in_flight, admission.queued) == (0, 0)

    asyncio.run(story())


def test_a_request_larger_than_all_places_gets_them_all_and_is_not_passed_by_forever():
    admission = Admission(4, 10)
    small = [admission.take("a", 1) for _ in range(4)]
    large = admission.take("a", 10)
    later = admission.take("b", 1)
    for ticket in small[:3]:
        ticket.release()
    assert (large.waits, later.waits) == (True, True)
    small[3].release()
    assert not large.waits
    large.release()
    large.release()
    assert (later.waits, admission.in_flight) == (False, 1)


def test_a_waiting_request_is_told_when_its_turn_comes():
    async def course():
        admission = Admission(1, 1)
        first, second = admission.take("a", 1), admission.take("b", 1)
        turn = asyncio.ensure_future(second.wait_turn())
        await asyncio.sleep(0)
        assert not turn.done()
        first.release()
        await asyncio.wait_for(turn, 10)

    asyncio.run(course())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 30)), max_size=60),
    st.integers(1, 6),
    st.integers(0, 8),
)
def test_whatever_comes_and_goes_no_place_is_lost_or_given_twice(steps, places, queue):
    admission = Admission(places, queue)
    held: list[Ticket] = []
    for tenant, tasks, victim in steps:
        if tasks:
            try:
                held.append(admission.take(tenant, tasks))
            except OverloadedError:
                assert admission.queued == queue
        elif held:
            held.pop(victim % len(held)).release()
        running = [ticket for ticket in held if not ticket.waits]
        assert admission.in_flight == sum(ticket.weight for ticket in running) <= places
        assert admission.queued == len(held) - len(running) <= queue
        assert running or not held, "somebody always runs"
    for ticket in held:
        ticket.release()
    assert (admission.in_flight, admission.queued) == (0, 0)


def test_runware_counts_as_gone_after_so_many_exchanges_in_a_row_without_an_answer():
    breaker = CircuitBreaker(threshold=3)
    assert [breaker.failed(), breaker.failed()] == [False, False]
    breaker.succeeded()
    assert [breaker.failed(), breaker.failed(), breaker.is_open] == [False, False, False]
    assert (breaker.failed(), breaker.is_open) == (True, True)
    assert not breaker.failed(), "it is told once"
    assert [breaker.next_probe() for _ in range(8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    breaker.succeeded()
    assert (breaker.is_open, breaker.next_probe()) == (False, 0.25)
