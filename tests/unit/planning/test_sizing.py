"""Sizes: worked examples, and properties over all rules and requested sizes."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.model import AutomaticSizes, FixedSizes, GridSizes, TierSizes
from app.domain.request import SizeRequest
from app.planning.sizing import area_error, choose_size, shape_error, tier_area

GRID = GridSizes(kind="range", min_side=128, max_side=2048, step=16)
TIERED = FixedSizes(
    kind="fixed",
    tiers={
        "1K": ["1024x1024", "1280x720", "720x1280"],
        "2K": ["2048x2048", "2560x1440", "1440x2560"],
        "4K": ["4096x4096", "5120x2880", "2880x5120"],
    },
)
SEEDREAM = GridSizes(
    kind="budget", max_side=16384, min_pixels=921_600, max_pixels=16_777_216, min_aspect=1 / 16, max_aspect=16
)


@pytest.mark.parametrize(
    ("requested", "size"),
    [
        (SizeRequest(exact=(1024, 1024)), (1024, 1024)),
        (SizeRequest(exact=(1000, 1000)), (1008, 1008)),
        (SizeRequest(exact=(3000, 1000)), (2048, 688)),
        (SizeRequest(exact=(128, 128)), (128, 128)),
        (SizeRequest(exact=(2048, 2048)), (2048, 2048)),
        (SizeRequest(exact=(1, 1)), (128, 128)),
        (SizeRequest(exact=(60000, 60000)), (2048, 2048)),
        (SizeRequest(exact=(100, 50)), (256, 128)),
        (SizeRequest(ratio=100.0), (2048, 128)),
        (SizeRequest(ratio=0.01), (128, 2048)),
        (SizeRequest(ratio=16 / 9), (1360, 768)),
        (SizeRequest(ratio=1.0, area=tier_area("4K")), (2048, 2048)),
        (SizeRequest(ratio=1.0, area=tier_area("0.5K")), (512, 512)),
        (SizeRequest(), (1024, 1024)),
    ],
    ids=str,
)  # fmt: skip
def test_a_range_on_a_grid_of_16_from_128_to_2048(requested, size):
    assert choose_size(GRID, requested).size == size


@pytest.mark.parametrize(
    ("requested", "size", "tier"),
    [
        (SizeRequest(), (1024, 1024), "1K"),
        (SizeRequest(ratio=16 / 9), (1280, 720), "1K"),
        (SizeRequest(ratio=16 / 9, area=tier_area("2K")), (2560, 1440), "2K"),
        (SizeRequest(ratio=1.0, area=tier_area("3K")), (4096, 4096), "4K"),
        (SizeRequest(area=tier_area("8K")), (4096, 4096), "4K"),
        (SizeRequest(area=tier_area("0.25MP")), (1024, 1024), "1K"),
        (SizeRequest(exact=(2560, 1440)), (2560, 1440), "2K"),
        (SizeRequest(exact=(1920, 1080)), (2560, 1440), "2K"),
        (SizeRequest(exact=(1366, 768)), (1280, 720), "1K"),
        (SizeRequest(exact=(3000, 3000)), (4096, 4096), "4K"),
        (SizeRequest(exact=(100, 100)), (1024, 1024), "1K"),
    ],
    ids=str,
)  # fmt: skip
def test_a_table_with_tiers(requested, size, tier):
    choice = choose_size(TIERED, requested)
    assert (choice.size, choice.tier) == (size, tier)


def test_without_a_1k_tier_the_lowest_is_the_default():
    rules = FixedSizes(kind="fixed", tiers={"4K": ["4096x4096"], "2K": ["2048x2048"]})
    assert choose_size(rules, SizeRequest()).size == (2048, 2048)


def test_a_shape_between_two_goes_to_the_nearer_in_ln_and_a_tie_to_the_larger():
    rules = FixedSizes(kind="fixed", tiers={"1K": ["400x100", "1600x200"]})
    assert choose_size(rules, SizeRequest(ratio=7.0)).size == (1600, 200)
    assert choose_size(rules, SizeRequest(ratio=5.0)).size == (400, 100)
    tie = FixedSizes(kind="fixed", tiers={"1K": ["1024x512", "512x1024", "600x1200"]})
    assert choose_size(tie, SizeRequest(ratio=1.0)).size == (600, 1200)


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ((16, 9), (1365, 768)), ((3, 2), (1254, 836)), ((4, 3), (1183, 887)), ((1, 1), (1024, 1024)),
        ((3, 4), (887, 1182)), ((2, 3), (836, 1254)), ((9, 16), (768, 1365)),
    ],
)  # fmt: skip
def test_a_tier_without_a_table_reproduces_every_size_lumenfall_publishes(ratio, size):
    assert choose_size(TierSizes(kind="tiers", tiers=("1K",)), SizeRequest(ratio=ratio[0] / ratio[1])).size == size


@pytest.mark.parametrize(
    ("requested", "size"),
    [
        (SizeRequest(exact=(1024, 1536)), (1024, 1536)),
        (SizeRequest(exact=(300, 300)), (960, 960)),
        (SizeRequest(exact=(8000, 8000)), (4096, 4096)),
        (SizeRequest(ratio=30.0), (4096, 256)),
        (SizeRequest(ratio=1.0, area=tier_area("4K")), (4096, 4096)),
    ],
    ids=str,
)
def test_a_pixel_budget_keeps_the_shape(requested, size):
    assert choose_size(SEEDREAM, requested).size == size


def test_a_model_that_chooses_is_not_asked_for_a_size():
    assert choose_size(AutomaticSizes(kind="automatic"), SizeRequest(exact=(100, 100))).size is None


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("1K", 1024**2), ("0.5k", 512**2), ("2K", 2048**2), ("3K", 3072**2), ("4K", 4096**2), ("1MP", 1_048_576),
        ("0.25mp", 262_144), ("K", None), ("1", None), ("-1K", None), ("0K", None), ("nanK", None), ("infK", None), ("1e99K", None), ("", None),
    ],
)  # fmt: skip
def test_tiers_are_read(text, area):
    assert tier_area(text) == area


def build_grid(**limits: object) -> GridSizes | None:
    try:
        return GridSizes(kind="range", **limits)
    except ValueError:  # no square fits between these pixel limits: no model is like that
        return None


grids = st.builds(
    lambda step, low, span, few, many: build_grid(
        step=step,
        min_side=low * step,
        max_side=(low + span) * step,
        min_pixels=None if few is None else int(((low + span * few) * step) ** 2),
        max_pixels=None if many is None else int(((low + span * (0.5 + many / 2)) * step) ** 2) + 1,
    ),
    st.sampled_from([1, 8, 16, 32, 64]),
    st.integers(2, 20),
    st.integers(4, 60),
    st.none() | st.floats(0, 0.4),
    st.none() | st.floats(0, 1),
).filter(bool)
tables = st.builds(
    lambda sizes: FixedSizes(kind="fixed", tiers={f"{tier}K": tuple(listed) for tier, listed in sizes.items()}),
    st.dictionaries(
        st.sampled_from([1, 2, 3, 4]),
        st.lists(st.tuples(st.integers(64, 4096), st.integers(64, 4096)), min_size=1, max_size=20),
        min_size=1,
    ),
)
requested = st.one_of(
    st.builds(lambda w, h: SizeRequest(exact=(w, h)), st.integers(1, 20000), st.integers(1, 20000)),
    st.builds(
        lambda ratio, area: SizeRequest(ratio=ratio, area=area),
        st.none() | st.floats(0.01, 100),
        st.none() | st.sampled_from([tier_area(name) for name in ("0.5K", "1K", "2K", "4K")]),
    ),
)


def is_legal(rules: GridSizes, width: int, height: int) -> bool:
    return all(rules.min_side <= side <= rules.max_side and side % rules.step == 0 for side in (width, height)) and (
        rules.min_pixels or 0
    ) <= width * height <= (rules.max_pixels or math.inf)


@settings(max_examples=400, deadline=None)
@given(grids, requested)
def test_a_size_on_a_grid_is_always_legal(rules, requested):
    width, height = choose_size(rules, requested).size
    assert is_legal(rules, width, height)


ranges = grids.filter(lambda rules: rules.min_pixels is None and rules.max_pixels is None)


@settings(max_examples=300, deadline=None)
@given(ranges, requested)
def test_no_legal_grid_point_around_the_chosen_one_has_a_better_shape_and_area(rules, requested):
    width, height = choose_size(rules, requested).size
    ratio = requested.exact[0] / requested.exact[1] if requested.exact else requested.ratio or 1.0
    ratio = min(max(ratio, rules.min_side / rules.max_side), rules.max_side / rules.min_side)
    area = requested.exact[0] * requested.exact[1] if requested.exact else requested.area or 1_048_576
    chosen = shape_error((width, height), ratio), area_error((width, height), area)
    around = [(width + i * rules.step, height + j * rules.step) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    for other in around:
        if other[0] > 0 and other[1] > 0 and is_legal(rules, *other):
            better_shape = shape_error(other, ratio) < chosen[0] - 1e-9
            better_area = area_error(other, area) < chosen[1] - 1e-9
            assert not (better_shape and better_area)


@settings(max_examples=400, deadline=None)
@given(tables, requested)
def test_a_size_from_a_table_is_in_it_and_no_other_of_its_tier_has_a_better_shape(rules, requested):
    choice = choose_size(rules, requested)
    sizes = rules.tiers[choice.tier]
    assert choice.size in sizes
    if requested.exact in [size for listed in rules.tiers.values() for size in listed]:
        assert choice.size == requested.exact
        return
    ratio = requested.exact[0] / requested.exact[1] if requested.exact else requested.ratio or 1.0
    assert shape_error(choice.size, ratio) <= min(shape_error(size, ratio) for size in sizes) + 1e-8


@settings(max_examples=200, deadline=None)
@given(st.floats(0.05, 20))
def test_without_limits_in_the_way_shape_and_area_are_kept(ratio):
    rules = GridSizes(kind="range", max_side=16384, step=1)
    size = choose_size(rules, SizeRequest(ratio=ratio)).size
    assert shape_error(size, ratio) < 0.005
    assert area_error(size, 1_048_576) < 0.01
