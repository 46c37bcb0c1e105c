"""Price pages in the catalog's terms: every unit that was seen, and nothing guessed."""

from decimal import Decimal

import pytest

from app.catalog.loader import load_catalog
from app.catalog.prices import Pricing
from app.catalog.rates import read_examples, read_rates
from app.catalog.refresh import _to_name
from app.cli.refresh import price_example
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
QUALITIES = ("low", "medium", "high", "TURBO", "DEFAULT", "QUALITY", "very_low")


def rate(amount: object, unit: str, label: str | None = None, after: int | None = None) -> dict:
    return {"amount": amount, "unit": unit, "label": label, "after": after}


@pytest.mark.parametrize(
    ("rates", "pricing"),
    [
        ([rate(0.04, "output")], {"per_image": "0.04"}),
        ([rate("0.30", "output", "All resolutions")], {"per_image": "0.3"}),
        ([rate(0.02, "output", "1K"), rate(0.04, "output", "2k")], {"per_tier": {"1K": "0.02", "2K": "0.04"}}),
        ([rate(0.03, "output", "Turbo"), rate(0.1, "output", "Quality")], {"per_quality": {"TURBO": "0.03", "QUALITY": "0.1"}}),
        ([rate(0.008, "output", "Very low")], {"per_quality": {"very_low": "0.008"}}),
        ([rate(0.0013, "output", "512x512"), rate(0.0032, "output", "1024x1024")], {"per_size": {"512x512": "0.0013", "1024x1024": "0.0032"}}),
        ([rate(0.06, "output", "1024x1024"), rate(0.065, "output", "1024x1024 · reference image")], {"per_size": {"1024x1024": "0.06"}, "per_edit": "0.065"}),
        ([rate(0.07, "outputMegapixel", "First megapixel out"), rate(0.03, "outputMegapixel", after=1)], {"first_megapixel": "0.07", "further_megapixel": "0.03"}),
        ([rate(0.03, "outputMegapixel", "First megapixel out")], {"first_megapixel": "0.03"}),
        ([rate(0.005, "outputMegapixel")], {"per_output_megapixel": "0.005"}),
        ([rate(0.002, "inputImage")], {"per_reference": "0.002"}),
        ([rate(0.003, "inputImage", after=1)], {"per_extra_reference": "0.003"}),
        ([rate(0.03, "inputImage", "Megapixel in")], {"per_reference_megapixel": "0.03"}),
        ([rate(0.0375, "inputMegapixel"), rate(0.005, "inputMegapixel", after=1)], {"first_input_megapixel": "0.0375", "further_input_megapixel": "0.005"}),
        ([rate(1.5, "inputToken"), rate("0.00003", "outputToken")], {"tokens": {"input": "1.5", "output": "30"}}),
        ([rate(0.0009, "durationSecond")], {"compute": True}),
        ([rate(0.005, "output", "with LoRA")], {"with_lora": "0.005"}),
        ([], {}),
    ],
    ids=str,
)  # fmt: skip
def test_rates_become_the_kind_of_price_they_are(rates, pricing):
    found = read_rates({"pricingRates": rates}, QUALITIES)
    assert (found.pricing, found.unread) == (pricing, ())
    Pricing.model_validate(found.pricing)


@pytest.mark.parametrize(
    "page",
    [{}, {"pricingRates": None}, {"pricingRates": "free"}, {"pricingRates": [None, 3, {}]}, {"pricingRates": [rate("NaN", "output")]},
     {"pricingRates": [rate(-1, "output")]}, {"pricingRates": [rate("1e999999", "output")]}],
    ids=str,
)  # fmt: skip
def test_nonsense_is_no_price(page):
    assert read_rates(page).pricing == {}


def test_what_fits_nowhere_is_named():
    found = read_rates({"pricingRates": [rate(1, "moonPhase", "full"), rate(2, "output", "Moonlight")]})
    assert found.unread == ("1 per moonPhase (full)", "2 per output (Moonlight)")


def test_computing_time_is_priced_by_what_was_measured():
    page = {
        "pricingRates": [rate(0.0009, "durationSecond")],
        "pricingMeasured": [{"configuration": "1024x1024 · 28 steps", "price": 0.0038}],
    }
    assert read_rates(page).pricing == {"compute": True, "per_size": {"1024x1024": "0.0038"}, "steps": 28}


@pytest.mark.parametrize(
    ("model", "configuration", "price"),
    [
        ("bfl:7@1", "1024x1024", "0.07"),
        ("bfl:7@1", "1536 x 1024", "0.1"),
        ("bfl:7@1", "1920x1080", "0.13"),
        ("bfl:7@1", "1024x1024 · 1 reference 1920x1080", "0.16"),
        ("bfl:7@1", "1024x1024 · 3 references", "0.16"),
        ("google:4@3", "4K", "0.15295"),
        ("ideogram:4@0", "2048x2048 Turbo", "0.03"),
        ("luma:uni@1", "1024x1024, 3 reference images", "0.0494"),
        ("prunaai:1@1", "512x512", "0.0044"),
    ],
)
def test_printed_examples_cost_what_the_page_says(model, configuration, price):
    entry = REGISTRY.find_model(model)
    (example,) = read_examples({"pricingExamples": [{"configuration": configuration, "price": price}]}, QUALITIES)
    assert price_example(entry, example) == example.price == Decimal(price)


@pytest.mark.parametrize(
    ("slug", "air", "name"),
    [
        ("alibaba-qwen-image-2-1-pro", "alibaba:qwen-image@2.1-pro", "Alibaba Qwen Image 2.1 Pro"),
        ("boogu-image-0-1-edit", "boogu:image@0.1-edit", "Boogu Image 0.1 Edit"),
        ("acme-up", "acme:up@1", "Acme Up"),
        ("", "acme:up@1", "Acme Up 1"),
    ],
)
def test_a_name_made_of_a_slug_has_its_dots_again(slug, air, name):
    assert _to_name(slug or air, air) == name


def test_no_name_of_the_catalog_has_lost_its_dots():
    assert [
        model.name
        for model in REGISTRY.models
        if any(a.isdigit() and b.isdigit() for a, b in zip(model.name.split(), model.name.split()[1:], strict=False))
    ] == []
