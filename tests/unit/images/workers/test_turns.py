"""Whose turn it is at the workers."""

from hypothesis import given
from hypothesis import strategies as st

from app.images.workers.bounds import Job
from app.images.workers.turns import Turns

SHORT, LONG = 1_000_000, 60_000_000


def job(owner: str, decoded: int = SHORT, *, urgent: bool = False) -> Job:
    return Job(owner, decoded, urgent=urgent)


def taken(turns: Turns[str]) -> list[str]:
    """Everything that may start now, in order."""
    found = []
    while (one := turns.take_next()) is not None:
        found.append(one[0])
    return found


def test_those_of_one_owner_come_in_the_order_of_their_arrival():
    turns: Turns[str] = Turns(3)
    for name in ("a1", "a2", "a3", "a4"):
        turns.add(name, job("a"))
    assert taken(turns) == ["a1", "a2", "a3"]


def test_a_newcomer_gets_the_next_place_whoever_came_before():
    turns: Turns[str] = Turns(2)
    for number in range(50):
        turns.add(f"a{number}", job("a"))
    assert taken(turns) == ["a0", "a1"]
    turns.add("b", job("b"))
    turns.give_back(job("a"))
    assert taken(turns) == ["b"]


def test_owners_take_turns():
    turns: Turns[str] = Turns(1)
    for name in ("a1", "a2", "b1", "b2", "c1"):
        turns.add(name, job(name[0]))
    order = []
    for _ in range(5):
        order += taken(turns)
        turns.give_back(job(order[-1][0]))
    assert order == ["a1", "b1", "c1", "a2", "b2"]


def test_what_is_paid_for_goes_first():
    turns: Turns[str] = Turns(1)
    turns.add("input", job("a"))
    turns.add("delivery", job("b", urgent=True))
    assert taken(turns) == ["delivery"]


def test_one_owner_holds_at_most_half_while_others_wait_deliveries_included():
    turns: Turns[str] = Turns(4)
    for number in range(4):
        turns.add(f"a{number}", job("a", urgent=True))
    for name in ("b1", "b2"):
        turns.add(name, job("b"))
    assert taken(turns) == ["a0", "a1", "b1", "b2"]


def test_beyond_its_half_an_owner_gets_nothing_long_so_that_nobody_who_comes_later_waits_long():
    turns: Turns[str] = Turns(2)
    turns.add("long 1", job("a", LONG))
    turns.add("long 2", job("a", LONG))
    assert taken(turns) == ["long 1"]
    turns.add("short", job("a"))
    assert taken(turns) == ["short"]


def test_who_goes_away_is_passed_over():
    turns: Turns[str] = Turns(1)
    turns.add("a", job("a"))
    turns.add("b", job("b"))
    turns.withdraw("a")
    assert taken(turns) == ["b"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=30), st.integers(1, 5))
def test_everything_gets_its_turn_and_places_are_never_exceeded(waiting, places):
    turns: Turns[int] = Turns(places)
    jobs = {
        number: job(owner, LONG if long else SHORT, urgent=urgent)
        for number, (owner, long, urgent) in enumerate(waiting)
    }
    for number, one in jobs.items():
        turns.add(number, one)
    running, done = [], set()
    while jobs.keys() - done:
        running += taken(turns)
        assert 0 < len(running) <= places
        finished = running.pop(0)
        turns.give_back(jobs[finished])
        done.add(finished)
    assert done == jobs.keys()
