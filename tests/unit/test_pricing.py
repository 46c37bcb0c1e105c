"""Prices by the catalog: exact, and unknown where nobody can know."""

from decimal import Decimal

import pytest

from app.catalog.loader import load_catalog
from app.ledger.pricing import estimate, megapixels
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().catalog_dir)


@pytest.mark.parametrize(
    ("model", "count", "size", "resolution", "references", "total"),
    [
        ("bfl:3@1", 2, (1024, 1024), None, [], "0.08"),
        ("riverflow-1-mini", 3, (1024, 1024), None, [(640, 480)], "0.09075"),
        ("riverflow-1", 1, (1280, 720), None, [None], "0.039"),
        ("bfl:7@1", 1, (1024, 1024), None, [], "0.07"),
        ("bfl:7@1", 1, (1536, 1024), None, [], "0.10"),
        ("bfl:7@1", 1, (1920, 1080), None, [], "0.13"),
        ("bfl:7@1", 1, (1024, 1024), None, [(1920, 1080)], "0.16"),
        ("bfl:7@1", 1, (1024, 1024), None, [(1024, 1024)] * 3, "0.16"),
        ("bfl:7@1", 3, (1024, 1024), None, [(1024, 1024)] * 3, "0.48"),
        ("google:4@3", 1, (512, 512), None, [], "0.04657"),
        ("google:4@3", 2, (2048, 2048), None, [], "0.2051"),
        ("google:4@3", 1, None, "4K", [(640, 480)], "0.15295"),
        ("luma:uni@1", 1, (1024, 1024), None, [], "0.0404"),
        ("luma:uni@1", 1, (1024, 1024), None, [(9, 9)], "0.0434"),
        ("luma:uni@1", 2, (1024, 1024), None, [(9, 9)] * 3, "0.0988"),
        ("xai:grok-imagine@image", 1, (1024, 1024), None, [(9, 9)], "0.022"),
    ],
)
def test_published_prices_and_examples_are_met_to_the_last_digit(model, count, size, resolution, references, total):
    found = estimate(REGISTRY.find(model), count, size, resolution, references)
    assert found.total == Decimal(total)
    assert sum(part.total for part in found.components) == found.total


@pytest.mark.parametrize(
    ("model", "size", "quality", "total"),
    [
        ("openai:gpt-image@2", (1024, 1024), "high", "0.422"),
        ("openai:gpt-image@2", (1024, 1024), "low", "0.012"),
        ("openai:gpt-image@2", (1536, 1024), "high", None),
        ("openai:gpt-image@2", (1024, 1024), None, None),
        ("ideogram:4@0", (2048, 2048), "QUALITY", "0.2"),
        ("ideogram:4@0", (1440, 2880), "TURBO", "0.06"),
    ],
)
def test_prices_by_quality_are_those_of_the_quality_that_is_asked_for(model, size, quality, total):
    found = estimate(REGISTRY.find(model), 2, size, None, [], quality)
    assert found.total == (None if total is None else Decimal(total))
    assert (found.reason is None) == (total is not None)


@pytest.mark.parametrize(
    ("model", "size", "references", "reason"),
    [
        ("flux.1-dev-srpo", (1024, 1024), [], "no price"),
        ("civitai:1@1", (1024, 1024), [], "no price"),
        ("openai:gpt-image@2", (1024, 1024), [], "quality"),
        ("bfl:7@1", (1024, 1024), [None], "only addresses"),
        ("bfl:7@1", None, [], "size"),
        ("google:4@3", None, [], "resolution"),
    ],
)
def test_an_unknown_price_is_none_with_a_reason_and_never_zero(model, size, references, reason):
    found = estimate(REGISTRY.find(model), 1, size, None, references)
    assert (found.total, found.components) == (None, ())
    assert reason in found.reason


@pytest.mark.parametrize(
    ("size", "units"),
    [((64, 64), 1), ((1024, 1024), 1), ((1025, 1024), 2), ((1536, 1024), 2), ((1920, 1080), 3), ((4096, 4096), 17)],
)
def test_megapixels_are_billed_as_the_examples_show(size, units):
    assert megapixels(size) == units


@pytest.mark.parametrize("model", REGISTRY.models, ids=lambda model: model.air)
def test_every_model_has_a_price_or_a_reason(model):
    found = estimate(model, 1, (1024, 1024), None, [])
    assert (found.total is None) == (found.reason is not None)
    assert found.total is None or found.total > 0
