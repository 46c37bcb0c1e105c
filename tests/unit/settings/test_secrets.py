"""What follows from the operator's secret, and what stays when it is replaced."""

import itertools

import pytest

from app.settings.secrets import Secrets, derive_secret


def test_each_purpose_has_a_secret_of_its_own_that_follows_from_the_operators():
    assert derive_secret("links", "a") == derive_secret("links", "a")
    assert len({derive_secret("links", "a"), derive_secret("task ids", "a"), derive_secret("links", "b")}) == 3


def test_the_current_secret_stands_first_among_those_that_are_taken():
    assert Secrets("new", ["older", "oldest"]).every("links") == tuple(
        derive_secret("links", material) for material in ("new", "older", "oldest")
    )


def test_what_must_last_follows_from_the_oldest_secret_that_is_listed():
    before, after = Secrets("old"), Secrets("new", ["old"])
    assert after.lasting("task ids") == before.lasting("task ids")
    assert Secrets("newer", ["new", "old"]).lasting("task ids") == before.lasting("task ids")
    assert Secrets("new").lasting("task ids") != before.lasting("task ids")


def test_a_secret_that_is_listed_twice_counts_once():
    assert Secrets("new", ["new", "old", "old"]).every("links") == Secrets("new", ["old"]).every("links")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("old", []), ("old", ["new", "old"]), ("new", ["new", "old"]), ("new", ["old"])], id="first"),
        pytest.param(
            [
                ("new", ["old"]),
                ("new", ["newest", "new", "old"]),
                ("newest", ["newest", "new", "old"]),
                ("newest", ["new", "old"]),
            ],
            id="again",
        ),
    ],
)
def test_in_no_step_of_a_rolling_change_a_name_changes_or_one_gateway_refuses_what_another_signed(steps):
    places = [Secrets(current, old) for current, old in steps]
    for purpose in ("task ids", "callers"):
        assert {place.lasting(purpose) for place in places} == {derive_secret(purpose, "old")}
    for earlier, later in itertools.pairwise(places):  # both are in service at once
        assert earlier.every("links")[0] in later.every("links")
        assert later.every("links")[0] in earlier.every("links")
