"""What no line may show."""

import gc
import time

import pytest

from app.observability.hidden import HiddenValues
from tests.support.keys import numbered_key

KEY = "0123456789abcdefABCDEF9876543210"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (KEY, "[redacted]"),
        (f"Bearer {KEY}", "Bearer [redacted]"),
        (f"key={KEY}&x", "key=[redacted]&x"),
        (f"/v1/models/{KEY}/{KEY}", "/v1/models/[redacted]/[redacted]"),
        (f"x{KEY}{KEY}y", "x[redacted][redacted]y"),
        (f"{{'authorization': '{KEY}'}}", "{'authorization': '[redacted]'}"),
        (f"line\n{KEY}\nline", "line\n[redacted]\nline"),
        (KEY[:-1], KEY[:-1]),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ],
)
def test_a_value_that_is_held_is_shown_nowhere(text, shown):
    hidden = HiddenValues()
    held = hidden.hold(KEY)
    assert hidden.clean(text) == shown
    assert held.get_secret_value() == KEY


def test_values_of_different_lengths_are_all_found():
    hidden = HiddenValues()
    values = [KEY[:length] for length in (16, 20, 32)]
    held = [hidden.hold(value) for value in values]
    assert all(value not in hidden.clean(f"a {value} b") for value in values)
    assert len(held) == 3


def test_a_value_is_hidden_until_its_last_holder_is_gone():
    hidden = HiddenValues()
    first = hidden.hold(KEY)
    second = hidden.hold(KEY)
    assert first is second
    del first
    gc.collect()
    assert hidden.clean(KEY) == "[redacted]"
    del second
    gc.collect()
    assert hidden.clean(KEY) == KEY


def test_fixed_values_are_hidden_for_good_however_short():
    hidden = HiddenValues(["s3cret", ""])
    gc.collect()
    assert hidden.clean("the s3cret of it") == "the [redacted] of it"


def test_a_line_costs_no_more_with_many_callers():
    def seconds(count: int) -> float:
        hidden = HiddenValues()
        held = [hidden.hold(f"{number:032}") for number in range(count)]
        text = "a line of the log with /a/path/of/some/length and 0f8fad5b-d9cb-469f-a165-70867728950e in it " * 20
        best = min(_time(hidden, text) for _ in range(5))
        assert len(held) == count
        return best

    assert seconds(10_000) < 10 * seconds(1)


def _time(hidden: HiddenValues, text: str) -> float:
    begun = time.perf_counter()
    for _ in range(20):
        hidden.clean(text)
    return time.perf_counter() - begun


DATABASE_KEY = numbered_key(1)[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"/v1/requests/{DATABASE_KEY}", "/v1/requests/[redacted]"),
        (f"{DATABASE_KEY},{DATABASE_KEY}", "[redacted],[redacted]"),
        (f"'{DATABASE_KEY[:-5]}' was cut", "'[redacted]' was cut"),
        (f"Bearer {DATABASE_KEY}\n", "Bearer [redacted]\n"),
        ("sk-spw- alone", "sk-spw- alone"),
    ],
    ids=["in a path", "two", "cut", "in a header", "the beginning alone"],
)
def test_a_key_of_the_database_is_hidden_though_nobody_knows_its_value(text, shown):
    assert HiddenValues().clean(text) == shown


def test_a_secret_that_stands_in_every_key_does_not_show_the_rest_of_them():
    assert HiddenValues(["k", "spw"]).clean(f"/{DATABASE_KEY}") == "/[redacted]"
