"""What is printed of values that others chose, and of amounts."""

import pytest

from app.cli.texts import plain, show_money, show_seconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("ann", "ann", id="a name"),
        pytest.param(None, "-", id="nothing"),
        pytest.param("\x1b[2Jann\r\n", "\ufffd[2Jann\ufffd\ufffd", id="a command to the terminal"),
        pytest.param("Zoë 漢字", "Zoë 漢字", id="other letters"),
        pytest.param("a\u202eb", "a\ufffdb", id="a change of direction"),
        pytest.param("x" * 60, "x" * 47 + "…", id="a long one"),
    ],
)
def test_a_text_of_somebody_else_is_one_short_line_without_commands(value, shown):
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("dollars", "shown"),
    [(0, "0.00"), (0.0, "0.00"), (1.5, "1.50"), (0.0019, "0.0019"), (12, "12.00"), (1e-9, "0.000000001"), (None, "?")],
)
def test_an_amount_has_all_its_digits_and_cents(dollars, shown):
    assert show_money(dollars) == shown


def test_a_duration_that_is_not_known_is_empty():
    assert (show_seconds(None), show_seconds(2.04)) == ("", "2.0 s")
