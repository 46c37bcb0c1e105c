"""The composition aspect: what is done to an image after it was made, together with what is said of it."""

import pytest

from app.catalog.modes import Mode
from app.domain.request import ImageRequest, SizeRequest
from app.domain.spec import Composition
from app.domain.words import ImageFormat
from app.errors import InvalidRequestError
from app.planning.composition import check_fit, decide_composition
from app.planning.sizing import SizeChoice
from tests.support.planning import IMAGE, MASK, in_short, model_of

EXACT = SizeRequest(exact=(1000, 700), text="1000x700")
WIDE = SizeRequest(ratio=16 / 9, text="16:9")
MADE = SizeChoice((1008, 704))


def decide(model, choice, image_size=None, **fields):
    request = ImageRequest(Mode.EDIT if "mask" in fields else Mode.GENERATE, "a hat", **fields)
    composition, adjustments = decide_composition(request, model_of(model), choice, image_size)
    return composition, in_short(adjustments)


@pytest.mark.parametrize(
    ("fields", "fit", "pad"),
    [
        pytest.param({"fit": "cover"}, "cover", "transparent", id="cut"),
        pytest.param({"fit": "exact"}, "exact", "transparent", id="stretched"),
        pytest.param({"fit": "contain"}, "contain", "transparent", id="padded"),
        pytest.param({"fit": "contain", "background": "black"}, "contain", "black", id="padded in black"),
        pytest.param({"fit": "contain", "background": "opaque"}, "contain", "white", id="padded without holes"),
        pytest.param({"fit": "contain", "format": ImageFormat.JPEG}, "contain", "white", id="no holes in JPEG"),
    ],
)
def test_an_image_of_another_size_is_fitted_and_the_size_converted(fields, fit, pad):
    composition, adjustments = decide("flux.1-schnell", MADE, size=EXACT, **fields)
    assert composition == Composition((1000, 700), fit, pad, pastes=False)
    assert adjustments == ["size converted 1000x700"]


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        pytest.param(SizeChoice((1000, 700)), {"size": EXACT, "fit": "cover"}, id="made at the very size"),
        pytest.param(MADE, {"size": EXACT}, id="no fit asked for"),
        pytest.param(MADE, {"size": WIDE, "fit": "cover"}, id="no exact size to fit to"),
    ],
)
def test_nothing_is_composed_where_nothing_is_to_be_done(choice, fields):
    assert decide("flux.1-schnell", choice, **fields) == (None, [])


@pytest.mark.parametrize(
    ("choice", "size", "image_size", "pasted_at", "adjusted"),
    [
        pytest.param(MADE, SizeRequest(), (640, 480), (640, 480), [], id="as large as the image"),
        pytest.param(MADE, EXACT, (640, 480), (1000, 700), ["size converted 1000x700"], id="at the exact size"),
        pytest.param(MADE, WIDE, (640, 480), (1008, 704), [], id="as large as it was made"),
        pytest.param(SizeChoice(None), WIDE, (640, 480), (640, 480), [], id="the model chose the size"),
    ],
)
def test_a_mask_the_model_does_not_take_is_pasted(choice, size, image_size, pasted_at, adjusted):
    composition, adjustments = decide("riverflow-1-pro", choice, image_size, images=(IMAGE,), mask=MASK, size=size)
    assert composition == Composition(pasted_at, "exact", "transparent", pastes=True)
    assert adjustments == ["mask emulated pasted inside the mask", *adjusted]


def test_a_mask_the_model_takes_needs_no_composition():
    assert decide("flux.1-dev", MADE, (640, 480), images=(IMAGE,), mask=MASK) == (None, [])


@pytest.mark.parametrize(
    ("model", "fields", "is_refused"),
    [
        pytest.param("flux.1-schnell", {"size": EXACT}, False, id="an exact size"),
        pytest.param("flux.1-schnell", {"size": WIDE}, True, id="a shape on a model that is sent its size"),
        pytest.param("google-nano-banana", {"size": WIDE, "images": (IMAGE,)}, False, id="a shape for the first image"),
        pytest.param("google-nano-banana", {"images": (IMAGE,)}, True, id="nothing to fit to"),
    ],
)
def test_a_fit_needs_something_to_fit_to(model, fields, is_refused):
    request = ImageRequest(Mode.EDIT, "a hat", fit="contain", **fields)
    if not is_refused:
        check_fit(request, model_of(model))
        return
    with pytest.raises(InvalidRequestError, match="needs `size` as WIDTHxHEIGHT"):
        check_fit(request, model_of(model))
