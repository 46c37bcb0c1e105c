"""The documented bodies of requests: each form has the fields it takes, and what is documented is valid JSON Schema."""

import pytest
from jsonschema import Draft202012Validator

from app.openai_api.request_schemas import EDIT, EDIT_FORM, GENERATION, RUNWARE, describe_requests
from app.openai_api.vocabulary import OWN_NAMES, RUNWARE_NAMES

SCHEMAS = describe_requests()


@pytest.mark.parametrize(
    ("name", "fields", "required"),
    [
        (GENERATION, OWN_NAMES, ["prompt"]),
        (EDIT, OWN_NAMES, ["prompt"]),
        (EDIT_FORM, OWN_NAMES - {"images", "image_url", "reference_images"}, ["prompt", "image"]),
        (RUNWARE, RUNWARE_NAMES | {"model"}, []),
    ],
)
def test_a_body_has_the_fields_it_takes(name, fields, required):
    assert (set(SCHEMAS[name]["properties"]), SCHEMAS[name]["required"]) == (fields, required)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name):
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize(
    ("name", "body", "valid"),
    [
        (GENERATION, {"prompt": "a pear", "n": 2, "quality": "own word", "lora": [{"model": "x"}]}, True),
        (GENERATION, {"prompt": "a pear", "n": 11}, False),
        (GENERATION, {"prompt": "a pear", "background": "blue"}, False),
        (GENERATION, {"prompt": "a pear", "seed": None}, True),
        (GENERATION, {"n": 1}, False),
        (
            EDIT,
            {"prompt": "a pear", "image": ["https://a.example/x.png", {"image_url": "https://a.example/y.png"}]},
            True,
        ),
        (EDIT, {"prompt": "a pear", "image": 5}, False),
        (
            RUNWARE,
            {"positivePrompt": "a pear", "numberResults": 20, "referenceImages": ["https://a.example/x.png"]},
            True,
        ),
        (RUNWARE, {"positivePrompt": "a pear", "outputQuality": 10}, False),
    ],
)
def test_bodies_fit_or_not(name, body, valid):
    assert Draft202012Validator(SCHEMAS[name]).is_valid(body) is valid
