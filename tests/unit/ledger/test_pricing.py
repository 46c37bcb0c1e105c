"""Prices by the catalog: exact, marked where others only saw them, and unknown where nobody can know."""

from decimal import Decimal

import pytest

from app.catalog.loader import load_catalog
from app.ledger.order import Order, megapixels
from app.ledger.pricing import estimate_price
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
ONE = (1024, 1024)


def price(model: str, count: int = 1, size=None, references=(), **fields):
    return estimate_price(Order(REGISTRY.find_model(model), count, size, references, fields))


@pytest.mark.parametrize(
    ("model", "count", "size", "references", "fields", "total"),
    [
        ("bfl:3@1", 2, ONE, [], {}, "0.08"),
        ("riverflow-1-mini", 3, ONE, [(640, 480)], {}, "0.09075"),
        ("riverflow-1", 1, (1280, 720), [None], {}, "0.039"),
        ("bfl:7@1", 1, ONE, [], {}, "0.07"),
        ("bfl:7@1", 1, (1536, 1024), [], {}, "0.10"),
        ("bfl:7@1", 1, (1920, 1080), [], {}, "0.13"),
        ("bfl:7@1", 1, ONE, [(1920, 1080)], {}, "0.16"),
        ("bfl:7@1", 1, ONE, [ONE] * 3, {}, "0.16"),
        ("bfl:7@1", 3, ONE, [ONE] * 3, {}, "0.48"),
        ("google:4@3", 1, (512, 512), [], {}, "0.04657"),
        ("google:4@3", 2, (2048, 2048), [], {}, "0.2051"),
        ("google:4@3", 1, None, [(640, 480)], {"resolution": "4K"}, "0.15323"),
        ("luma:uni@1", 1, ONE, [], {}, "0.0404"),
        ("luma:uni@1", 1, ONE, [(9, 9)], {}, "0.0434"),
        ("luma:uni@1", 2, ONE, [(9, 9)] * 3, {}, "0.0988"),
        ("xai:grok-imagine@image", 1, ONE, [(9, 9)], {}, "0.022"),
        ("xai:grok-imagine@image", 1, ONE, [None, (9, 9)], {}, "0.024"),
        ("prunaai:1@1", 2, ONE, [], {}, "0.0088"),
        ("prunaai:1@1", 2, ONE, [], {"lora": [{"model": "a:1@1"}]}, "0.01"),
        ("runware:z-image@turbo", 1, (2048, 2048), [], {}, "0.0141"),
        ("runware:z-image@turbo", 4, ONE, [], {}, "0.0128"),
        ("runware:97@1", 1, ONE, [], {"steps": 30}, "0.009"),
    ],
)
def test_published_prices_and_examples_are_met_to_the_last_digit(model, count, size, references, fields, total):
    found = price(model, count, size, references, **fields)
    assert found.total == Decimal(total)
    assert sum(part.total for part in found.components) == found.total
    assert (found.confidence, found.lowest, found.reason) == ("published", found.total, None)


@pytest.mark.parametrize(
    ("references", "fields", "total"),
    [
        ([(1024, 1024)], {}, "0.1"),
        ([(1024, 1024)], {"outpaint": {"left": 1}}, "0.2"),
        ([(1024, 1024)], {"outpaint": {"top": 512, "bottom": 512}}, "0.2"),
        ([(2048, 2048)], {"outpaint": {"right": 2048}}, "0.4"),
    ],
)
def test_outpainting_is_billed_by_the_extended_image_in_whole_megapixels_up_to_four(references, fields, total):
    assert price("bfl:flux@outpainting", references=references, **fields).total == Decimal(total)


@pytest.mark.parametrize(
    ("references", "total"),
    [
        ([(1024, 1024)], "0.034"),
        ([(1024, 1025)], "0.042"),  # two megapixels in, two out
        ([(4096, 4096)], "0.058"),  # brought to four
    ],
)
def test_an_eraser_is_billed_by_what_goes_in_and_comes_out_again(references, total):
    assert price("bfl:flux@erase", references=references).total == Decimal(total)


@pytest.mark.parametrize(("count", "total"), [(1, "0.0425"), (2, "0.0475"), (3, "0.0525")])
def test_first_and_further_input_megapixels_and_those_of_the_result_add_up_as_the_page_says(count, total):
    assert price("bfl:flux@vto", references=[ONE] * count).total == Decimal(total)


@pytest.mark.parametrize(("garments", "total"), [(1, "0.015"), (2, "0.023"), (3, "0.031")])
def test_the_first_and_each_further_reference_have_a_price(garments, total):
    found = price("prunaai:p-image@try-on", references=[(9, 9)] * garments)
    assert found.total == Decimal(total)
    assert found.confidence == "estimated"
    assert "garments" in found.reason


@pytest.mark.parametrize(
    ("model", "size", "fields", "total"),
    [
        ("openai:gpt-image@2", ONE, {"settings": {"quality": "high"}}, "0.422"),
        ("openai:gpt-image@2", ONE, {"settings": {"quality": "low"}}, "0.012"),
        ("openai:gpt-image@2", (1536, 1024), {"settings": {"quality": "high"}}, None),
        ("openai:gpt-image@2", ONE, {"settings": {"quality": "auto"}}, None),
        ("openai:gpt-image@2", ONE, {}, None),
        ("ideogram:4@0", (2048, 2048), {"settings": {"renderingSpeed": "QUALITY"}}, "0.2"),
        ("ideogram:4@0", (1440, 2880), {}, "0.12"),
        ("openai:4@1", (1536, 1024), {"providerSettings": {"openai": {"quality": "high"}}}, "0.398"),
        ("openai:4@1", (512, 512), {"providerSettings": {"openai": {"quality": "high"}}}, None),
        ("riverflow-2-5-fast", ONE, {"settings": {"thinkingLevel": "medium"}}, "0.044"),
        ("riverflow-2-5-fast", (2048, 2048), {"settings": {"thinkingLevel": "medium"}}, None),
    ],
)
def test_prices_by_quality_are_those_of_the_quality_and_size_that_is_asked_for(model, size, fields, total):
    found = price(model, 2, size, **fields)
    assert found.total == (None if total is None else Decimal(total))
    assert total is not None or found.reason


@pytest.mark.parametrize(
    ("model", "size", "references", "fields", "lowest", "total"),
    [
        ("flux.2-pro", ONE, [], {}, None, None),
        ("flux.2-pro", (2048, 1024), [], {}, "0.06", "0.06"),
        ("flux.2-pro", ONE, [ONE, ONE], {}, "0.09", "0.09"),
        ("flux.1-schnell", (512, 512), [], {}, "0.0006", "0.0006"),
        ("krea:krea@2-large", ONE, [], {}, "0.06", "0.06"),
        ("krea:krea@2-large", ONE, [None], {}, "0.065", "0.065"),
        ("alibaba:qwen-image@3.0-pro", None, [], {}, "0.04", "0.075"),
        ("openai:gpt-image@2.5-flare", None, [], {}, "0.004", "0.047"),
        ("runware:106@1", ONE, [ONE], {}, "0.0105", "0.0105"),
    ],
)
def test_what_others_saw_is_an_estimate_and_says_so(model, size, references, fields, lowest, total):
    found = price(model, 1, size, references, **fields)
    if total is None:  # the first megapixel alone is Runware's own figure
        assert (found.confidence, found.total) == ("published", Decimal("0.03"))
        return
    assert (found.confidence, found.lowest, found.total) == ("estimated", Decimal(lowest), Decimal(total))


@pytest.mark.parametrize(
    ("model", "size", "references", "fields", "reason"),
    [
        ("flux.1-dev-srpo", ONE, [], {}, "no price"),
        ("civitai:1@1", ONE, [], {}, "no price"),
        ("openai:gpt-image@2", ONE, [], {}, "quality"),
        ("bfl:7@1", ONE, [None], {}, "only addresses"),
        ("bfl:7@1", None, [], {}, "size"),
        ("google:4@3", None, [], {}, "resolution"),
        ("google:4@3", ONE, [], {"providerSettings": {"google": {"webSearch": True}}}, "webSearch"),
        ("flux.1-schnell", ONE, [], {}, "512x512 only"),
        ("runware:97@1", ONE, [], {"steps": 40}, "30 steps only"),
        ("runware:101@1", ONE, [], {"lora": [{"model": "a:1@1"}]}, "lora"),
        ("runware:101@1", ONE, [], {"hiresFix": True}, "hiresFix"),
        ("krea:krea@2-medium", ONE, [], {}, "edits only"),
        ("google:nano-banana@2.1", ONE, [], {}, "tokens"),
    ],
)
def test_an_unknown_price_is_none_with_a_reason_and_never_zero(model, size, references, fields, reason):
    found = price(model, 1, size, references, **fields)
    assert (found.total, found.components, found.confidence, found.lowest) == (None, (), "unknown", None)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("size", "units"),
    [((64, 64), 1), ((1024, 1024), 1), ((1025, 1024), 2), ((1536, 1024), 2), ((1920, 1080), 3), ((4096, 4096), 17)],
)
def test_megapixels_are_billed_as_the_examples_show(size, units):
    assert megapixels(size) == units


@pytest.mark.parametrize("model", REGISTRY.models, ids=lambda model: model.air)
def test_every_model_has_a_price_or_a_reason(model):
    found = estimate_price(Order(model, 1, ONE))
    assert (found.total is None) == (found.confidence == "unknown")
    assert found.total is not None or found.reason
    assert found.total is None or found.total > 0
