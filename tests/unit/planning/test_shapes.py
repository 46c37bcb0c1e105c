"""The sizes worth offering: everything in them is made exactly as it is offered."""

from itertools import groupby

import pytest

from app.catalog.model import AutomaticSizes, FixedSizes, GridSizes, SizeRules, TierSizes, UnpublishedSizes
from app.domain.request import SizeRequest
from app.planning.shapes import name_ratio, offered_sizes
from app.planning.sizing import choose_size


def offered(sizes: SizeRules) -> list[tuple[str, str | None, tuple[int, int]]]:
    return [(one.ratio, one.resolution, one.size) for one in offered_sizes(sizes)]


def test_a_table_is_offered_whole_with_the_shape_of_each_size_by_name():
    table = FixedSizes(kind="fixed", tiers={"1K": ("768x1344", "1344x768", "1024x1024"), "2K": ("2048x2048",)})
    assert offered(table) == [
        ("1:1", "1K", (1024, 1024)),
        ("16:9", "1K", (1344, 768)),
        ("9:16", "1K", (768, 1344)),
        ("1:1", "2K", (2048, 2048)),
    ]


def test_limits_offer_the_usual_shapes_on_each_tier_they_hold():
    grid = GridSizes(kind="range", min_side=128, max_side=2048, step=16)
    found = {tier: [one[0] for one in group] for tier, group in groupby(offered(grid), lambda one: one[1])}
    assert {tier: ratios[:3] for tier, ratios in found.items()} == {
        "0.5K": ["1:1", "5:4", "4:3"],
        "1K": ["1:1", "5:4", "4:3"],
        # Any other shape of this area has a side beyond the limit.
        "2K": ["1:1"],
    }


def test_limits_without_any_usual_tier_offer_the_models_own_scale():
    assert {one[1] for one in offered(GridSizes(kind="range", min_side=1280, max_side=1536, step=64))} == {None}


@pytest.mark.parametrize(
    "sizes",
    [
        GridSizes(kind="range", min_side=256, max_side=1440, step=32),
        GridSizes(kind="budget", min_side=64, max_side=4096, step=16, max_pixels=4_194_304, max_aspect=2.0),
        TierSizes(kind="tiers", tiers=("1K", "2K")),
        UnpublishedSizes(kind="unpublished"),
    ],
    ids=["range", "budget", "tiers", "unpublished"],
)
def test_what_is_offered_is_made_as_it_is(sizes):
    made = offered(sizes)
    assert made
    for _, _, size in made:
        assert choose_size(sizes, SizeRequest(exact=size)).size == size


def test_nothing_is_offered_where_the_model_decides():
    assert offered(AutomaticSizes(kind="automatic")) == []


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((1024, 1024), "1:1"),
        ((1344, 768), "16:9"),
        ((1600, 640), "5:2"),
        ((1536, 672), "21:9"),
        ((1000, 100), "10:1"),
        ((1023, 410), "2.50:1"),
        ((410, 1023), "1:2.50"),
    ],
)
def test_a_shape_has_its_usual_name_else_the_smallest_numbers(size, name):
    assert name_ratio(size) == name
