"""What a price page changes in an entry: published prices win, and nothing stays that contradicts them."""

import pytest
from ruamel.yaml import YAML

from app.catalog.repricing import update_pricing
from app.cli.refresh import price_example

ENTRY = """\
id: acme-one
air: acme:1@1
name: Acme One
modes: [generate]
sizes: {kind: unpublished}
required: [positivePrompt]

"""


def reprice(pricing: str | None, *rates: dict, **page: object) -> tuple[dict | None, list[str], list[str]]:
    entry = YAML().load(ENTRY + (f"pricing: {pricing}\n" if pricing else ""))
    notes = [*update_pricing(entry, "Acme", {"pricingRates": [*rates], **page}, price_example)]
    found = entry.get("pricing")
    return (None if found is None else {name: found[name] for name in found}), notes, [*entry]


FLAT = {"amount": 0.04, "unit": "output"}
FIRST = {"amount": 0.03, "unit": "outputMegapixel", "label": "First megapixel out"}
SECONDS = {"amount": 0.001, "unit": "durationSecond"}
MEASURED = [{"configuration": "1024x1024, 20 steps", "price": 0.002}]


@pytest.mark.parametrize(
    ("before", "rates", "page", "after"),
    [
        (None, [FLAT], {}, {"per_image": "0.04"}),
        ('{per_image: "0.04", note: by hand}', [FLAT], {"pricingOverview": "x"}, {"per_image": "0.04", "note": "by hand"}),
        ('{per_image: "0.03", note: by hand}', [FLAT], {"pricingOverview": "four cents"}, {"per_image": "0.04", "note": "four cents"}),
        ('{per_image: "0.04", third_party: [per_image], seen: "2026"}', [FLAT], {}, {"per_image": "0.04"}),
        ('{observed: ["0.01", "0.02"]}', [FLAT], {}, {"per_image": "0.04"}),
        ('{per_tier: {1K: "0.1"}}', [FLAT], {}, {"per_image": "0.04"}),
        ('{per_size: {512x512: "0.1"}, compute: true, steps: 9}', [FLAT], {}, {"per_image": "0.04"}),
        ('{per_quality: {low: "0.1"}, default_quality: low, quality_size: 512x512}', [FLAT], {}, {"per_image": "0.04"}),
        ('{per_image: "0.1", not_with: [lora]}', [FLAT], {}, {"not_with": ["lora"], "per_image": "0.04"}),
        (
            '{first_megapixel: "0.1", further_megapixel: "0.01", third_party: [first_megapixel, further_megapixel], megapixel: 1024x1024}',
            [FIRST],
            {},
            {"further_megapixel": "0.01", "megapixel": "1024x1024", "first_megapixel": "0.03", "third_party": ["further_megapixel"]},
        ),
        ('{per_image: "0.1"}', [SECONDS], {"pricingMeasured": MEASURED}, {"compute": True, "per_size": {"1024x1024": "0.002"}, "steps": 20}),
        ('{per_image: "0.1"}', [SECONDS], {}, {"per_image": "0.1"}),
        ('{per_image: "0.1"}', [], {}, {"per_image": "0.1"}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_published_holds_and_what_contradicts_it_goes(before, rates, page, after):
    found, notes, names = reprice(before, *rates, **page)
    assert (found, notes) == (after, [])
    assert names.index("pricing") in {5, 6}


@pytest.mark.parametrize(
    ("rates", "page", "note"),
    [
        ([{"amount": 1, "unit": "moonPhase"}], {}, "fit no kind of price"),
        ([FLAT], {"pricingExamples": [{"configuration": "1024x1024", "price": 0.05}]}, "1024x1024 costs 0.05, and would be 0.04"),
        ([FLAT], {"pricingExamples": [{"configuration": "1024x1024", "price": "0.1"}]}, "would be 0.04"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_told_and_leaves_the_price_as_it_was(rates, page, note):
    found, notes, _ = reprice('{per_image: "0.02"}', *rates, **page)
    assert found == {"per_image": "0.02"}
    assert note in notes[0]


def test_examples_are_met_to_the_digits_they_are_printed_with():
    example = [{"configuration": "1024x1024", "price": "0.0303"}]
    found, notes, _ = reprice(None, {"amount": 0.03025, "unit": "output"}, pricingExamples=example)
    assert (found, notes) == ({"per_image": "0.03025"}, [])


def test_a_new_member_stands_where_the_catalog_has_it_and_not_behind_the_blank_line():
    _, _, names = reprice(None, FLAT)
    assert names == ["id", "air", "name", "modes", "sizes", "pricing", "required"]
