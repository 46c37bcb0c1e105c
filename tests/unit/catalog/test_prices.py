"""How prices are told: the whole in words, a range for a column, and always whether Runware published them."""

import pytest
from pydantic import ValidationError

from app.catalog.prices import Pricing, confidence_of, price_in_short, price_in_words


@pytest.mark.parametrize(
    ("pricing", "confidence", "short", "words"),
    [
        (None, "unknown", "unknown", "not published"),
        (Pricing(note="seen nowhere"), "unknown", "unknown", "not published"),
        (Pricing(per_image="0.04"), "published", "$0.04", "$0.04 an image"),
        (
            Pricing(per_tier={"1K": "0.02", "2K": "0.04"}),
            "published",
            "$0.02-0.04",
            "$0.02 at 1K, $0.04 at 2K",
        ),
        (
            Pricing(first_megapixel="0.07", further_megapixel="0.03"),
            "published",
            "$0.07+",
            "$0.07 for the first megapixel; $0.03 for each further megapixel",
        ),
        (
            Pricing(per_image="0.06", per_edit="0.065", third_party=["per_edit"]),
            "estimated",
            "~$0.06-0.065",
            "$0.06 an image; $0.065 an edit (estimated)",
        ),
        (Pricing(observed=["0.04", "0.075"]), "estimated", "~$0.04-0.075", "$0.04 to $0.075 an image (estimated)"),
        (Pricing(tokens={"input": "1.5"}), "unknown", "unknown", "$1.5 a million input tokens"),
        (
            Pricing(per_image="0.01", uncertain="Tokens come on top."),
            "estimated",
            "~$0.01",
            "$0.01 an image (estimated: Tokens come on top)",
        ),
    ],
)
def test_a_price_is_told_with_its_confidence(pricing, confidence, short, words):
    assert confidence_of(pricing) == confidence
    assert price_in_short(pricing) == short
    assert price_in_words(pricing) == words


@pytest.mark.parametrize("member", ["per_edit", "note", "nonsense"])
def test_third_party_names_prices_that_are_there(member):
    with pytest.raises(ValidationError, match="which is no price here"):
        Pricing(per_image="0.04", note="x", third_party=[member])
