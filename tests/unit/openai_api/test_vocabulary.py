"""The table of the caller's fields: what it says of itself holds."""

import pytest

from app.catalog.model import CHOICE_NAMES, USUAL_FIELDS, ParameterMap
from app.catalog.modes import Mode
from app.domain.request import ImageRequest
from app.errors import InvalidRequestError
from app.openai_api.parse import parse_request
from app.openai_api.vocabulary import (
    BY_NAME,
    FIELDS,
    PARAMETERS,
    RUNWARE_FIELDS,
    RUNWARE_NAMES,
    SYNONYMS,
    Kind,
    names_of,
)
from app.runware.tasks import OWN_FIELDS

ATTRIBUTES = set(ImageRequest.__struct_fields__)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_fills_an_attribute_of_a_request(field):
    assert field.attribute in ATTRIBUTES


@pytest.mark.parametrize("field", [*FIELDS, *RUNWARE_FIELDS], ids=lambda field: field.name)
def test_bounds_and_choices_stand_where_the_kind_has_them(field):
    assert (field.low < field.high) == (field.kind in {Kind.INTEGER, Kind.NUMBER, Kind.PROMPT, Kind.DURATION})
    assert bool(field.choices) == (field.kind in {Kind.CHOICE, Kind.OPEN_CHOICE})
    assert field.description.endswith(".")


def test_no_name_stands_twice_and_every_synonym_leads_to_a_field():
    assert len(BY_NAME) == len(FIELDS) + len(RUNWARE_FIELDS)
    assert set(SYNONYMS.values()) <= {one.name for one in FIELDS}


def test_the_catalog_maps_only_parameters_that_callers_have():
    assert set(USUAL_FIELDS) <= PARAMETERS | {"seed"}
    assert set(ParameterMap.model_fields) - set(USUAL_FIELDS) == {"transparent_background"}


@pytest.mark.parametrize("name", CHOICE_NAMES)
def test_the_catalog_has_fixed_values_of_fields_with_words_only(name):
    assert BY_NAME[name].kind in {Kind.CHOICE, Kind.OPEN_CHOICE}


@pytest.mark.parametrize("field", [one for one in FIELDS if one.unset is not None], ids=lambda field: field.name)
def test_a_value_that_asks_for_nothing_leaves_the_request_as_it_is(field):
    plain, unset = (
        parse_request(Mode.GENERATE, {"prompt": "a pear", **extra}) for extra in ({}, {field.name: field.unset})
    )
    ours = {one: getattr(unset, one) for one in ATTRIBUTES - {"given"}}
    assert ours == {one: getattr(plain, one) for one in ATTRIBUTES - {"given"}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("response_format", "output_format"),
        ("output_format", "background"),
        ("background", "size"),
        ("size", "aspect_ratio"),
        ("resolution", "stream"),
        ("stream", "fit"),
        ("fit", "n"),
        ("n", "output_compression"),
        ("output_compression", "mask"),
        ("mask", "seed"),
        ("seed", "moderation"),
        ("partial_images", "guidance_scale"),
        ("guidance_scale", "scale_factor"),
        ("scale_factor", "user"),
        ("user", "webhook_url"),
    ],
)
def test_of_two_wrong_fields_the_error_names_the_one_that_comes_first_in_the_table(first, second):
    wrong = {"wrong": True}
    with pytest.raises(InvalidRequestError) as caught:
        parse_request(Mode.GENERATE, {second: wrong, first: wrong, "prompt": "a pear"})
    assert caught.value.param.split(".")[0] == first


def test_every_field_that_the_gateway_sets_itself_is_one_of_runwares_that_are_known_here():
    assert OWN_FIELDS - {"model"} <= RUNWARE_NAMES


def test_names_are_found_by_kind():
    assert names_of(Kind.IMAGE) == ("mask", "markup")
    assert names_of(Kind.SIZE) == ("size", "aspect_ratio", "resolution")
