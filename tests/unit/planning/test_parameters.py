"""The parameters aspect: the caller's settings as the provider's fields, together with what has no place there."""

import pytest

from app.catalog.modes import Mode
from app.domain.request import ImageRequest
from app.planning.parameters import Parameters, decide_parameters, decide_passthrough
from tests.support.planning import IMAGE, in_short, model_of


def decide(model, *, images=(), **fields):
    mode = Mode.EDIT if images else Mode.GENERATE
    parameters, adjustments = decide_parameters(ImageRequest(mode, "a hat", images=images, **fields), model_of(model))
    return parameters.fields, parameters.transparent, in_short(adjustments)


@pytest.mark.parametrize(
    ("model", "asked", "sent", "adjusted"),
    [
        pytest.param("flux.1-dev", {"guidance_scale": 4}, {"CFGScale": 4}, [], id="in the model's own field"),
        pytest.param(
            "flux.1-dev-srpo",
            {"guidance_scale": 900},
            {"CFGScale": 20},
            ["guidance_scale changed 20"],
            id="the nearest number",
        ),
        pytest.param("flux.1-dev", {"negative_prompt": "fog"}, {"negativePrompt": "fog"}, [], id="a text as it is"),
        pytest.param("riverflow-1-pro", {"guidance_scale": 4}, {}, ["guidance_scale dropped None"], id="no such thing"),
        pytest.param(
            "riverflow-1-pro", {"negative_prompt": "fog"}, {}, ["negative_prompt dropped None"], id="no prompt"
        ),
        pytest.param(
            "openai-gpt-image-1",
            {"quality": "high"},
            {"providerSettings": {"openai": {"quality": "high"}}},
            [],
            id="one of fixed values, where it belongs",
        ),
        pytest.param(
            "openai-gpt-image-1",
            {"quality": "hd"},
            {"providerSettings": {"openai": {"quality": "high"}}},
            ["quality changed high"],
            id="the nearest of fixed values",
        ),
        pytest.param("openai-gpt-image-1", {"quality": "odd"}, {}, ["quality dropped None"], id="none of fixed values"),
        pytest.param("flux.1-schnell", {"quality": "high"}, {}, ["quality dropped None"], id="no quality at all"),
    ],
)
def test_a_parameter_goes_where_the_model_has_it_or_is_stated(model, asked, sent, adjusted):
    assert decide(model, parameters=tuple(asked.items())) == (sent, False, adjusted)


@pytest.mark.parametrize(
    ("model", "asked", "passthrough", "adjusted"),
    [
        pytest.param(
            "flux.1-dev", {"guidance_scale": 4}, {"CFGScale": 7}, ["guidance_scale dropped None"], id="a field"
        ),
        pytest.param(
            "openai-gpt-image-1",
            {"quality": "high"},
            {"providerSettings": {"openai": {"quality": "low"}}},
            ["quality dropped None"],
            id="a field inside another",
        ),
    ],
)
def test_a_field_of_the_callers_own_wins_over_a_parameter(model, asked, passthrough, adjusted):
    assert decide(model, parameters=tuple(asked.items()), passthrough=passthrough) == ({}, False, adjusted)


def test_a_parameter_that_images_exclude_is_dropped_beside_them():
    asked = {"negative_prompt": "fog"}
    assert decide("qwen-image-2-0", parameters=tuple(asked.items()))[0] == {"negativePrompt": "fog"}
    assert decide("qwen-image-2-0", parameters=tuple(asked.items()), images=(IMAGE,))[2] == [
        "negative_prompt dropped None"
    ]


@pytest.mark.parametrize(
    ("model", "background", "fields", "sent", "transparent", "adjusted"),
    [
        pytest.param(
            "flux.1-dev", "transparent", {}, {"advancedFeatures": {"layerDiffuse": True}}, True, [], id="layers"
        ),
        pytest.param(
            "openai-gpt-image-1",
            "transparent",
            {},
            {"providerSettings": {"openai": {"background": "transparent"}}},
            True,
            [],
            id="a choice of the model",
        ),
        pytest.param(
            "openai-gpt-image-1",
            "transparent",
            {"passthrough": {"providerSettings": {"openai": {"background": "opaque"}}}},
            {},
            False,
            ["background dropped None"],
            id="a choice the caller made itself",
        ),
        pytest.param("riverflow-1-pro", "transparent", {}, {}, False, ["background dropped None"], id="it cannot"),
        pytest.param("flux.1-dev", "white", {}, {}, False, ["background dropped None"], id="a color without padding"),
        pytest.param("flux.1-dev", "white", {"fit": "contain"}, {}, False, [], id="a color for padding"),
        pytest.param("flux.1-dev", "opaque", {}, {}, False, [], id="as every image is"),
        pytest.param("bria-rmbg-v2-0", "transparent", {"images": (IMAGE,)}, {}, False, [], id="what the tool is for"),
    ],
)
def test_a_background_is_decided_and_stated_together(model, background, fields, sent, transparent, adjusted):
    assert decide(model, background=background, **fields) == (sent, transparent, adjusted)


@pytest.mark.parametrize(
    ("model", "adjusted"),
    [
        pytest.param("flux.1-dev", [], id="a model with seeds"),
        pytest.param("openai-gpt-image-1", ["seed dropped None"], id="a model without"),
    ],
)
def test_a_seed_is_stated_where_the_model_chooses_its_own(model, adjusted):
    assert decide(model, seed=7)[2] == adjusted


@pytest.mark.parametrize(
    ("passthrough", "merged", "adjusted"),
    [
        pytest.param({"steps": 9}, {"a": {"b": 1}, "steps": 9}, [], id="beside ours"),
        pytest.param({"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}, [], id="into ours"),
        pytest.param({"a": {"b": 2}}, {"a": {"b": 2}}, [], id="over ours"),
        pytest.param({"a": 3}, {"a": 3}, [], id="in place of ours"),
        pytest.param(
            {"taskUUID": "t", "includeCost": False},
            {"a": {"b": 1}},
            ["taskUUID dropped None", "includeCost dropped None"],
            id="never the gateway's own",
        ),
    ],
)
def test_passed_fields_are_merged_into_new_ones(passthrough, merged, adjusted):
    ours = {"a": {"b": 1}}
    fields, adjustments = decide_passthrough(passthrough, ours)
    assert (fields, in_short(adjustments)) == (merged, adjusted)
    assert ours == {"a": {"b": 1}}


def test_a_decision_is_a_value():
    with pytest.raises(AttributeError):
        Parameters({}, transparent=False).transparent = True
