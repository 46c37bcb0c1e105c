"""What a caller names never breaks out of a response header."""

import pytest

from app.domain.answer import Adjustment, AdjustmentMode
from app.openai_api.render import short_adjustments


@pytest.mark.parametrize(
    "name", ["a\r\nx-evil: 1", "n\u00e4me", "\x00\x7f\x1f", "\u2028", "\U0001f3a8", "plain"], ids=ascii
)
def test_names_of_fields_are_printable_ascii_in_the_header(name):
    short = short_adjustments([Adjustment(name, None, None, AdjustmentMode.DROPPED, "")])
    assert all(" " <= letter <= "~" for letter in short)
    assert short.endswith("=dropped")
