"""`scale_factor` on models that are no upscalers: the image's size times the factor, and always stated."""

import pytest

from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.domain.answer import AdjustmentMode
from app.domain.request import ImageRequest, LinkedImage, SizeRequest
from app.domain.words import Delivery
from app.planning.check import check
from app.planning.decide import decide
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
IMAGE = LinkedImage("image", "https://a.example/b.png")
MASK = LinkedImage("mask", "https://a.example/m.png")


def fit(name: str, factor: float, image_size=(640, 480), **fields):
    model = REGISTRY.find_model(name)
    request = ImageRequest(Mode.EDIT, "sharper", images=(IMAGE,), parameters=(("scale_factor", factor),), **fields)
    needs = check(request, model)
    return needs.first_size, decide(request, model, default_delivery=Delivery.LINK, image_size=image_size)


@pytest.mark.parametrize(
    ("name", "factor", "image", "size"),
    [
        ("riverflow-1-pro", 2, (640, 480), (1152, 864)),
        ("riverflow-1-pro", 1, (576, 432), (1152, 864)),
        ("riverflow-2-0-pro", 2, (1024, 1024), (2048, 2048)),
        ("riverflow-2-0-pro", 3.9, (1024, 1024), (4096, 4096)),
        ("riverflow-2-0-pro", 100, (1024, 1024), (4096, 4096)),
        ("flux.1-dev", 2, (500, 300), (1008, 608)),
        ("flux.1-dev", 4, (1000, 600), (2048, 1232)),
        ("alibaba:qwen-image@3.0", 2, (512, 512), (1024, 1024)),
        ("alibaba:qwen-image@3.0", 100, (512, 512), (2048, 2048)),
    ],
)
def test_the_size_is_the_nearest_legal_to_the_images_times_the_factor(name, factor, image, size):
    looks, spec = fit(name, factor, image)
    (stated,) = spec.adjustments
    assert (looks, spec.output.size) == (True, size)
    assert (stated.param, stated.requested, stated.applied) == ("scale_factor", factor, f"{size[0]}x{size[1]}")
    assert stated.mode is AdjustmentMode.EMULATED


@pytest.mark.parametrize(("factor", "tier"), [(1, "1K"), (2, "2K"), (4, "4K"), (50, "4K")])
def test_a_model_that_takes_a_tier_beside_images_gets_the_nearest_tier(factor, tier):
    looks, spec = fit("google-nano-banana-pro", factor, (1024, 1024))
    (stated,) = spec.adjustments
    assert (looks, spec.output.size, spec.fields["resolution"]) == (True, None, tier)
    assert (stated.param, stated.applied, stated.mode) == ("scale_factor", tier, AdjustmentMode.EMULATED)


def test_an_upscaler_keeps_its_own_field():
    spec = fit("real-esrgan", 4)[1]
    assert (spec.fields["upscaleFactor"], spec.output.size) == (4, None)
    assert "scale_factor" not in {one.param for one in spec.adjustments}


@pytest.mark.parametrize(
    ("name", "fields", "image_size", "reason"),
    [
        ("riverflow-1-pro", {"size": SizeRequest(exact=(1024, 1024), text="1024x1024")}, (640, 480), "says it already"),
        ("riverflow-1-pro", {"size": SizeRequest(ratio=1.0, text="1:1")}, (640, 480), "says it already"),
        ("riverflow-1-pro", {}, None, "not known"),
        ("boogu:image@0.1-edit", {}, (640, 480), "no equivalent"),
    ],
)
def test_a_factor_that_cannot_be_met_is_dropped_with_the_reason(name, fields, image_size, reason):
    spec = fit(name, 2, image_size, **fields)[1]
    stated = next(one for one in spec.adjustments if one.param == "scale_factor")
    assert (stated.mode, reason in stated.reason) == (AdjustmentMode.DROPPED, True)


def test_a_factor_without_an_image_is_dropped():
    request = ImageRequest(Mode.GENERATE, "a pear", parameters=(("scale_factor", 2),))
    spec = decide(request, REGISTRY.find_model("flux.1-dev"), default_delivery=Delivery.LINK)
    assert [(one.param, one.mode) for one in spec.adjustments] == [("scale_factor", AdjustmentMode.DROPPED)]


def test_a_pasted_result_has_the_scaled_size_and_the_mask_is_still_told():
    spec = fit("riverflow-1-pro", 2, mask=MASK)[1]
    assert (spec.output.composition.size, spec.output.composition.pastes) == ((1280, 960), True)
    assert {one.param for one in spec.adjustments} == {"scale_factor", "mask"}
