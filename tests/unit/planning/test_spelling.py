"""Misspelled fields: told before anything is sent, unless somebody may know them."""

import pytest

from app.catalog.loader import load_catalog
from app.errors import InvalidRequestError
from app.openai_api.vocabulary import KNOWN_NAMES
from app.planning.spelling import refuse_misspelled
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)


def refuse(name: str, model: str = "flux.1-schnell") -> None:
    """Judge one field."""
    found = REGISTRY.find_model(model)
    refuse_misspelled([name], KNOWN_NAMES, REGISTRY.fields_of_family(found), found.id)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("apsect_ratio", "aspect_ratio"),
        ("aspectRatio", "aspect_ratio"),
        ("aspect-ratio", "aspect_ratio"),
        ("promt", "prompt"),
        ("Prompt", "prompt"),
        ("szie", "size"),
        ("response_fromat", "response_format"),
        ("respnse_fromat", "response_format"),
        ("outputformat", "outputFormat"),
        ("out_put_format", "outputFormat"),
        ("num_inference_step", "num_inference_steps"),
        ("image_urls", "image_url"),
        ("CFGscale", "CFGScale"),
        ("shceduler", "scheduler"),
        ("positvePrompt", "positivePrompt"),
        ("numberResult", "numberResults"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(name, meant):
    with pytest.raises(InvalidRequestError) as caught:
        refuse(name)
    assert (caught.value.param, caught.value.code) == (name, "unknown_parameter")
    assert f"Did you mean `{meant}`?" in caught.value.message


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("scheduler", "flux.1-schnell"),
        ("someday", "flux.1-schnell"),
        ("watermark", "flux.1-schnell"),
        ("extra_body", "flux.1-schnell"),
        ("x", "flux.1-schnell"),
        ("zz", "civitai:1@2"),
        ("ab" * 5000, "flux.1-schnell"),
    ],
    ids=lambda value: value[:12],
)
def test_a_name_that_is_no_slip_passes_since_lists_age(name, model):
    refuse(name, model)


def test_a_field_of_any_model_of_the_family_is_no_slip():
    for model in REGISTRY.models:
        for name in model.fields.members or {}:
            refuse(name, model.id)


def test_what_is_given_too_was_not_meant():
    found = REGISTRY.find_model("riverflow-1")
    refuse_misspelled(["model", "mode", "prompt", "prompts"], KNOWN_NAMES, REGISTRY.fields_of_family(found), found.id)
    with pytest.raises(InvalidRequestError, match="`model`"):
        refuse_misspelled(["mode", "prompt"], KNOWN_NAMES, REGISTRY.fields_of_family(found), found.id)


def test_many_unknown_fields_cost_little():
    found = REGISTRY.find_model("flux.1-schnell")
    refuse_misspelled([f"nonsense{index}" for index in range(50_000)], KNOWN_NAMES, frozenset(), found.id)
