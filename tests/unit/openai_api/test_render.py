"""What a caller names never breaks out of a response header."""

import pytest

from app.domain.answer import Adjustment, AdjustmentMode
from app.openai_api.render import model_headers, short_adjustments


@pytest.mark.parametrize(
    "name", ["a\r\nx-evil: 1", "n\u00e4me", "\x00\x7f\x1f", "\u2028", "\U0001f3a8", "plain"], ids=ascii
)
def test_names_of_fields_are_printable_ascii_in_the_header(name):
    short = short_adjustments([Adjustment(name, None, None, AdjustmentMode.DROPPED, "")])
    assert all(" " <= letter <= "~" for letter in short)
    assert short.endswith("=dropped")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("size", "size"),
        ("lora[1].weight", "lora[1].weight"),
        ("inputs.seedImage", "inputs.seedImage"),
        ("a=changed; size", "a%3Dchanged%3B%20size"),
        ("n\u00e4me\r\n", "n%C3%A4me%0D%0A"),
        ("100%", "100%25"),
        ("a" * 300, "a" * 200),
    ],
    ids=ascii,
)
def test_a_name_cannot_look_like_another_entry(name, shown):
    assert short_adjustments([Adjustment(name, None, None, AdjustmentMode.DROPPED, "")]) == f"{shown}=dropped"


def test_a_thousand_adjustments_make_no_thousand_entries():
    short = short_adjustments(
        [Adjustment(f"field_{place}", None, None, AdjustmentMode.DROPPED, "") for place in range(1000)]
    )
    assert short.startswith("field_0=dropped; field_1=dropped; ")
    assert short.endswith("; field_31=dropped; 968 more")


@pytest.mark.parametrize("model", ["flux.1-schnell", "civitai:4384@128713", "sourceful:1@1"])
def test_the_names_of_models_stand_as_they_are(model):
    assert model_headers(model, ())["X-Spillway-Model"] == model


def test_an_odd_name_of_a_model_is_escaped():
    assert model_headers("m\u00f6we\n", ())["X-Spillway-Model"] == "m%C3%B6we%0A"
