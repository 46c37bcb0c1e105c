"""What a model can be asked for: an edit-only model starts from a blank image where that makes sense, and only there."""

import pytest

from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.domain.answer import AdjustmentMode
from app.domain.request import ImageRequest, SizeRequest
from app.domain.words import Delivery
from app.errors import InvalidRequestError
from app.planning.capabilities import emulated_modes, starts_from_blank, supported_modes
from app.planning.check import check
from app.planning.decide import decide
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
EDIT_ONLY = [model for model in REGISTRY.models if Mode.GENERATE not in model.modes]


def spec_of(name: str, **fields):
    model = REGISTRY.find_model(name)
    request = ImageRequest(Mode.GENERATE, "a pear on a plate", **fields)
    check(request, model)
    return decide(request, model, default_delivery=Delivery.LINK)


@pytest.mark.parametrize("model", EDIT_ONLY, ids=lambda model: model.air)
def test_an_edit_only_model_gets_a_blank_image_of_a_real_size_or_a_refusal(model):
    if not starts_from_blank(model):
        with pytest.raises(InvalidRequestError, match="does not make them from text alone"):
            spec_of(model.id)
        assert supported_modes(model) == (Mode.EDIT,)
        return
    spec = spec_of(model.id)
    (stated,) = [one for one in spec.adjustments if one.param == "image"]
    assert min(spec.blank) >= 256
    assert (stated.applied, stated.mode) == (f"blank {spec.blank[0]}x{spec.blank[1]}", AdjustmentMode.EMULATED)
    assert (emulated_modes(model), supported_modes(model)) == ((Mode.GENERATE,), (Mode.GENERATE, Mode.EDIT))


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("riverflow-1-mini", True),
        ("alibaba:qwen-image-edit@2511", True),
        ("boogu:image@0.1-edit", True),
        ("bfl:flux@vto", False),  # dresses a person who must be there
        ("alibaba:qwen-image@layered", False),
        ("bfl:flux@erase", False),  # takes no prompt
        ("bfl:flux@outpainting", False),
        ("bfl:1@2", False),  # needs a mask
        ("runware:504@1", False),
        ("flux.1-schnell", False),  # makes images by itself
    ],
)
def test_only_models_that_a_prompt_can_steer_start_from_a_blank_image(name, starts):
    assert starts_from_blank(REGISTRY.find_model(name)) is starts


@pytest.mark.parametrize(
    ("name", "requested", "size", "blank"),
    [
        ("boogu:image@0.1-edit", SizeRequest(), None, (1024, 1024)),
        ("boogu:image@0.1-edit", SizeRequest(ratio=16 / 9, text="16:9"), None, (1360, 768)),
        ("boogu:image@0.1-edit", SizeRequest(exact=(600, 900), text="600x900"), None, (600, 900)),
        ("alibaba:qwen-image-edit@2511", SizeRequest(), None, (1024, 1024)),
        ("alibaba:qwen-image-edit@2511", SizeRequest(exact=(640, 960), text="640x960"), (640, 960), (640, 960)),
        (
            "prunaai:2@1",
            SizeRequest(exact=(1376, 768), text="x"),
            None,
            (1376, 768),
        ),  # size and images exclude each other
        ("riverflow-1", SizeRequest(ratio=9 / 16, text="9:16"), (720, 1280), (720, 1280)),
    ],
)
def test_the_blank_image_has_the_size_that_was_asked_for(name, requested, size, blank):
    spec = spec_of(name, size=requested)
    assert (spec.output.size, spec.blank) == (size, blank)
    stated = {one.param: one.mode for one in spec.adjustments}
    asked = "size" if requested.exact else requested.ratio_field
    assert stated.get(asked) is (AdjustmentMode.EMULATED if requested.text and size is None else None)
