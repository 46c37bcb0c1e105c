"""What was opened here is known once, and no more of it than is bounded."""

from app.ledger.openings import Opening, Openings


def opening(name: str, reserve: int = 1) -> Opening:
    return Opening(name, "t", 1.0, reserve, "runware:1@1", 1, None)


def test_an_opening_is_known_to_the_first_end_only():
    openings = Openings()
    openings.note(opening("a"))

    assert openings.take(["a"]) == [opening("a")]
    assert openings.take(["a"]) is None


def test_where_one_of_a_group_is_not_known_nothing_is_said_of_any():
    openings = Openings()
    openings.note(opening("a"))

    assert openings.take(["a", "b"]) is None
    assert openings.take(["a"]) is None, "an end that reads once reads always"


def test_an_end_that_comes_twice_in_one_group_is_not_known():
    openings = Openings()
    openings.note(opening("a"))

    assert openings.take(["a", "a"]) is None


def test_what_is_opened_anew_counts_as_it_was_opened_last():
    openings = Openings()
    openings.note(opening("a", 1))
    openings.note(opening("a", 2))

    assert openings.take(["a"]) == [opening("a", 2)]


def test_the_oldest_are_forgotten():
    openings, names = Openings(), [f"{number:05}" for number in range(8192 + 3)]
    for name in names:
        openings.note(opening(name))

    assert [openings.take([name]) for name in names[:3]] == [None, None, None]
    assert openings.take([names[3], names[-1]]) == [opening(names[3]), opening(names[-1])]
