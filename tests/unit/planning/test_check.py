"""The first step: what is refused before anything is opened, and what has to be looked at."""

import pytest

from app.catalog.modes import Mode
from app.domain.request import ImageRequest, LinkedImage, SizeRequest
from app.domain.words import ImageFormat
from app.errors import InvalidRequestError
from app.planning.check import NO_NEEDS, InputNeeds, check
from tests.support.planning import IMAGE, MARKUP, MASK, model_of

EXACT = SizeRequest(exact=(1024, 1024), text="1024x1024")
WIDE = SizeRequest(ratio=16 / 9, text="16:9")
NATIVE_MASK = LinkedImage("mask", "c64351d5-4c59-42f7-95e1-eace013eddab")


def request(**fields):
    return ImageRequest(fields.pop("mode", Mode.EDIT if "images" in fields else Mode.GENERATE), "a hat", **fields)


@pytest.mark.parametrize(
    ("model", "fields", "needs"),
    [
        pytest.param("flux.1-dev", {}, NO_NEEDS, id="no image"),
        pytest.param("flux.1-dev", {"size": EXACT}, NO_NEEDS, id="an image of a size that is said"),
        pytest.param("flux.1-dev", {"size": SizeRequest()}, InputNeeds(first_size=True), id="a size that follows it"),
        pytest.param("google-nano-banana", {}, NO_NEEDS, id="a model that follows it by itself"),
        pytest.param("flux.1-dev", {"size": EXACT, "mask": MASK}, NO_NEEDS, id="a mask of ours"),
        pytest.param(
            "flux.1-dev", {"size": EXACT, "mask": NATIVE_MASK}, InputNeeds(mask_as_is=True), id="a mask at the provider"
        ),
        pytest.param(
            "flux.1-dev",
            {"size": EXACT, "mask": MASK, "mask_is_native": True},
            InputNeeds(mask_as_is=True),
            id="a mask under the provider's name",
        ),
        pytest.param(
            "riverflow-1-pro", {"size": EXACT, "mask": MASK}, InputNeeds(first_pixels=True), id="a mask to paste inside"
        ),
        pytest.param("flux.1-dev", {"size": EXACT, "markup": MARKUP}, InputNeeds(first_pixels=True), id="an overlay"),
        pytest.param(
            "google-nano-banana", {"size": WIDE, "fit": "cover"}, InputNeeds(first_pixels=True), id="a shape it gets"
        ),
        pytest.param(
            "riverflow-2-0-pro",
            {"parameters": (("scale_factor", 2),)},
            InputNeeds(first_size=True),
            id="a factor of its size",
        ),
    ],
)
def test_only_what_a_decision_needs_is_looked_at(model, fields, needs):
    images = {} if model == "flux.1-dev" and not fields else {"images": (IMAGE,)}
    assert check(request(**images, **fields), model_of(model)) == needs


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        pytest.param(
            "bfl-flux-1-1-pro", {"images": (IMAGE,)}, "does not edit them. Models that do: a, b, c.", id="edit"
        ),
        pytest.param("bfl-flux-erase", {}, "does not make them from text alone. Models that do: a", id="from text"),
        pytest.param("bfl-flux-1-1-pro", {"mask": MASK}, "`mask` needs an `image`", id="mask alone"),
        pytest.param("flux.1-dev", {"images": (IMAGE, IMAGE)}, "takes at most 1 image; got 2", id="too many images"),
        pytest.param("bfl-flux-1-fill-pro", {"images": (IMAGE,)}, "needs a `mask`", id="a mask is required"),
        pytest.param("bria-rmbg-v2-0", {"images": (IMAGE,), "mask": MASK}, "takes no `mask`", id="a tool and a mask"),
        pytest.param("flux.1-dev", {"format": ImageFormat.SVG}, "makes no vector graphics", id="vectors"),
        pytest.param("recraft-v4-vector", {"fit": "cover", "size": EXACT}, "need no `fit`", id="vectors and fit"),
        pytest.param("flux.1-dev", {"fit": "cover"}, "needs `size`", id="a fit to nothing"),
    ],
)
def test_what_a_model_cannot_do_is_refused_before_anything_is_opened(model, fields, message):
    with pytest.raises(InvalidRequestError, match=message):
        check(request(**fields), model_of(model), iter("abcd"))
