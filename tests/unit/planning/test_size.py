"""The size aspect: what a model is asked for, together with what that changes of the size the caller asked for."""

import pytest

from app.catalog.modes import Mode
from app.domain.request import ImageRequest, SizeRequest
from app.images.geometry import TargetShape
from app.planning.size import decide_size
from app.planning.sizing import SizeChoice
from tests.support.planning import IMAGE, MASK, in_short, model_of

EXACT = SizeRequest(exact=(1000, 700), text="1000x700")
LISTED = SizeRequest(exact=(1024, 1024), text="1024x1024")
WIDE = SizeRequest(ratio=16 / 9, text="16:9", ratio_field="aspect_ratio")
TALL_2K = SizeRequest(ratio=1 / 3, text="1:3", area=4_194_304, area_text="2K")
SCALE = SizeRequest(area=4_194_304, area_text="2K")
SAID_TWICE = SizeRequest(exact=(1024, 1024), text="1024x1024", ignored=(("resolution", "2K"),))


def decide(model, size, image_size=None, **fields):
    images = (IMAGE,) if image_size or "mask" in fields else ()
    mode = Mode.EDIT if images else Mode.GENERATE
    choice, adjustments = decide_size(
        ImageRequest(mode, "a hat", size=size, images=images, **fields), model_of(model), image_size
    )
    return choice, in_short(adjustments)


@pytest.mark.parametrize(
    ("model", "size", "image_size", "chosen", "adjusted"),
    [
        pytest.param("flux.1-schnell", SizeRequest(), None, (1024, 1024), [], id="nothing asked: the default"),
        pytest.param("flux.1-schnell", LISTED, None, (1024, 1024), [], id="a legal size"),
        pytest.param("flux.1-schnell", EXACT, None, (1008, 704), ["size changed 1008x704"], id="the nearest on a grid"),
        pytest.param("flux.1-schnell", WIDE, None, (1360, 768), [], id="a shape within a hundredth"),
        pytest.param(
            "riverflow-2-0-pro",
            TALL_2K,
            None,
            (1440, 2560),
            ["aspect_ratio changed 1440x2560"],
            id="the nearest of a table",
        ),
        pytest.param("flux.1-schnell", SAID_TWICE, None, (1024, 1024), ["resolution dropped None"], id="said twice"),
        pytest.param("alibaba:qwen-image@3.0", EXACT, None, (1000, 700), [], id="unpublished limits: as it is"),
        pytest.param("flux.1-dev", SizeRequest(), (1500, 1000), (1248, 832), [], id="like the first image"),
        pytest.param("flux.1-dev", LISTED, (1500, 1000), (1024, 1024), [], id="a size wins over the image"),
    ],
)
def test_dimensions_are_chosen_and_every_difference_is_stated(model, size, image_size, chosen, adjusted):
    choice, adjustments = decide(model, size, image_size)
    assert (choice.size, choice.blank, choice.reference_shape) == (chosen, None, None)
    assert adjustments == adjusted


@pytest.mark.parametrize(
    ("model", "size", "tier", "adjusted"),
    [
        pytest.param("google-nano-banana", WIDE, None, ["aspect_ratio dropped None"], id="no tier: the shape is lost"),
        pytest.param(
            "google-nano-banana",
            TALL_2K,
            None,
            ["aspect_ratio dropped None", "resolution dropped None"],
            id="both lost",
        ),
        pytest.param("google-nano-banana-pro", SCALE, "2K", [], id="the scale as a tier"),
        pytest.param("google-nano-banana-pro", TALL_2K, "2K", ["aspect_ratio dropped None"], id="tier without shape"),
        pytest.param("google-nano-banana-pro", EXACT, "1K", ["size changed 1K"], id="a size as a tier"),
        pytest.param("google-nano-banana-pro", SizeRequest(), None, [], id="nothing asked: nothing stated"),
    ],
)
def test_beside_images_a_model_may_take_a_tier_or_nothing(model, size, tier, adjusted):
    assert decide(model, size, (640, 480)) == (SizeChoice(None, tier), adjusted)


def test_a_shape_that_the_first_image_gets_is_emulated():
    choice, adjustments = decide("google-nano-banana", WIDE, (640, 480), fit="contain")
    assert choice.reference_shape == TargetShape(16 / 9, "contain")
    assert adjustments == ["aspect_ratio emulated 16:9"]


@pytest.mark.parametrize(
    ("model", "size", "chosen", "blank", "adjusted"),
    [
        pytest.param(
            "riverflow-1", WIDE, (1280, 720), (1280, 720), ["image emulated blank 1280x720"], id="of the size to make"
        ),
        pytest.param(
            "riverflow-1",
            EXACT,
            (1248, 832),
            (1248, 832),
            ["size changed 1248x832", "image emulated blank 1248x832"],
            id="of the nearest size",
        ),
        pytest.param(
            "boogu:image@0.1-edit",
            WIDE,
            None,
            (1360, 768),
            ["image emulated blank 1360x768", "aspect_ratio emulated 1360x768"],
            id="in place of a size",
        ),
    ],
)
def test_text_on_a_model_that_only_edits_starts_from_a_blank_image(model, size, chosen, blank, adjusted):
    choice, adjustments = decide(model, size)
    assert (choice.size, choice.blank) == (chosen, blank)
    assert adjustments == adjusted


@pytest.mark.parametrize(
    ("size", "fields"),
    [
        pytest.param(EXACT, {"fit": "cover"}, id="fitted afterwards"),
        pytest.param(EXACT, {"mask": MASK}, id="pasted afterwards"),
    ],
)
def test_an_exact_size_that_is_composed_afterwards_is_no_change(size, fields):
    assert decide("riverflow-1-pro", size, (640, 480), **fields)[1] == []


def test_a_blank_image_is_stated_where_the_result_is_fitted_too():
    assert decide("riverflow-1", EXACT, fit="cover")[1] == ["image emulated blank 1248x832"]


@pytest.mark.parametrize(
    ("model", "size", "adjusted"),
    [
        pytest.param("riverflow-2-0-pro", TALL_2K, ["aspect_ratio changed 1440x2560"], id="a shape it cannot make"),
        pytest.param("google-nano-banana", WIDE, ["aspect_ratio dropped None"], id="no shape at all"),
        pytest.param(
            "google-nano-banana-pro", SCALE, ["resolution dropped None"], id="no scale: the image keeps its own"
        ),
    ],
)
def test_a_result_that_is_pasted_states_what_is_lost_of_shape_and_scale(model, size, adjusted):
    assert decide(model, size, (640, 480), mask=MASK)[1] == adjusted


@pytest.mark.parametrize(
    ("outpaint", "size", "chosen", "adjusted"),
    [
        pytest.param({"left": 65}, SizeRequest(), (704, 480), ["outpaint changed 704x480"], id="to the grid"),
        pytest.param({"left": 128, "top": 32}, SizeRequest(), (768, 512), [], id="exactly"),
        pytest.param({"left": 128}, LISTED, (1024, 1024), [], id="a size of the caller's wins"),
        pytest.param({"left": True, "top": -1}, SizeRequest(), (640, 480), [], id="nonsense is judged elsewhere"),
    ],
)
def test_an_extended_image_has_its_size_and_what_is_added(outpaint, size, chosen, adjusted):
    choice, adjustments = decide("flux.1-dev", size, (640, 480), passthrough={"outpaint": outpaint})
    assert choice.size == chosen
    assert adjustments == adjusted
