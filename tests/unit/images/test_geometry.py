"""Where input images land: arithmetic only."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.images.geometry import ImageLimits, Placement, TargetShape, place

RIVERFLOW = ImageLimits(64_000_000, 300, 2048)
SEEDREAM = ImageLimits(64_000_000, 14, 6000, max_aspect=16)
FREE = ImageLimits(64_000_000)


@pytest.mark.parametrize(
    ("size", "limits", "inner", "outer"),
    [
        ((400, 300), RIVERFLOW, (400, 300), (400, 300)),
        ((3000, 1500), RIVERFLOW, (2048, 1024), (2048, 1024)),
        ((100, 200), RIVERFLOW, (300, 600), (300, 600)),
        ((6000, 400), RIVERFLOW, (2048, 137), (2048, 300)),
        ((400, 6000), RIVERFLOW, (137, 2048), (300, 2048)),
        ((2048, 299), RIVERFLOW, (2048, 299), (2048, 300)),
        ((2048, 300), RIVERFLOW, (2048, 300), (2048, 300)),
        ((100, 10), RIVERFLOW, (2048, 205), (2048, 300)),
        ((64_000_000, 1), RIVERFLOW, (2048, 1), (2048, 300)),
        ((1, 1), RIVERFLOW, (300, 300), (300, 300)),
        ((6000, 100), SEEDREAM, (6000, 100), (6000, 375)),
        ((100, 6000), SEEDREAM, (100, 6000), (375, 6000)),
        ((1600, 100), SEEDREAM, (1600, 100), (1600, 100)),
        ((5000, 7), FREE, (5000, 7), (5000, 7)),
    ],
)
def test_images_are_scaled_into_the_limits_and_padded_where_no_scaling_helps(size, limits, inner, outer):
    assert place(size, limits) == Placement(inner, outer)


@pytest.mark.parametrize(
    ("size", "fit", "ratio", "inner", "outer"),
    [
        ((1000, 1000), "contain", 2.0, (1000, 1000), (2000, 1000)),
        ((1000, 1000), "cover", 2.0, (1000, 1000), (1000, 500)),
        ((1000, 1000), "contain", 0.5, (1000, 1000), (1000, 2000)),
        ((1000, 1000), "cover", 0.5, (1000, 1000), (500, 1000)),
        ((1600, 900), "contain", 16 / 9, (1600, 900), (1600, 900)),
        ((4000, 4000), "contain", 2.0, (1024, 1024), (2048, 1024)),
        ((4000, 4000), "cover", 2.0, (2048, 2048), (2048, 1024)),
        ((400, 400), "cover", 4.0, (1200, 1200), (1200, 300)),
    ],
)
def test_a_shape_is_given_by_padding_or_cutting(size, fit, ratio, inner, outer):
    assert place(size, RIVERFLOW, TargetShape(ratio, fit)) == Placement(inner, outer)


sides = st.integers(1, 70_000)
shapes = st.none() | st.builds(TargetShape, st.floats(0.05, 20), st.sampled_from(["contain", "cover"]))


@given(sides, sides, st.sampled_from([RIVERFLOW, SEEDREAM]), shapes)
@example(2048, 299, RIVERFLOW, None)
def test_whatever_comes_lands_within_the_limits(width, height, limits, target):
    placement = place((width, height), limits, target)
    assert limits.min_side <= min(placement.outer)
    assert max(placement.outer) <= limits.max_side
    assert max(placement.outer) / min(placement.outer) <= (limits.max_aspect or math.inf)


@given(sides, sides, shapes)
def test_a_canvas_never_has_more_pixels_than_this_machine_takes(width, height, target):
    outer = place((width, height), ImageLimits(1_000_000), target).outer
    assert outer[0] * outer[1] <= 1_000_000 + sum(outer)


@given(st.integers(100, 4000), st.integers(100, 4000), st.floats(0.3, 3), st.sampled_from(["contain", "cover"]))
def test_padding_loses_nothing_and_cutting_adds_nothing(width, height, ratio, fit):
    placement = place((width, height), FREE, TargetShape(ratio, fit))
    assert not (placement.cuts if fit == "contain" else placement.pads)
    assert abs(math.log(placement.outer[0] / placement.outer[1] / ratio)) < 0.02
