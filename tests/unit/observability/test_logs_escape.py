"""Words of callers in a log."""

import pytest

from app.observability.logs import escape


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a quiet harbor", "a quiet harbor"),
        ("Möwe 海鸥", "Möwe 海鸥"),
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028\x85", r"\u2028\x85"),
        ("\udcff", r"\udcff"),
        ("\x00\x7f", r"\x00\x7f"),
        ("", ""),
    ],
)
def test_only_what_can_be_shown_is_shown(value, shown):
    assert escape(value) == shown
    shown.encode()
