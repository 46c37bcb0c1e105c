"""What becomes of fields on models of each kind, before there is a request."""

import pytest

from app.catalog.loader import load_catalog
from app.planning.field_modes import FieldMode, mode_of, mode_of_parameter, mode_of_passthrough
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)


@pytest.mark.parametrize(
    ("model", "attribute", "mode"),
    [
        ("flux.1-schnell", "prompt", FieldMode.HONORED),
        ("bria-rmbg-v2-0", "prompt", FieldMode.DROPPED),
        ("flux.1-schnell", "seed", FieldMode.HONORED),
        ("riverflow-1", "seed", FieldMode.DROPPED),
        ("riverflow-1", "mask", FieldMode.EMULATED),
        ("bria-rmbg-v2-0", "mask", FieldMode.REFUSED),
        ("riverflow-1", "markup", FieldMode.EMULATED),
        ("google-imagen-4-fast", "images", FieldMode.REFUSED),
        ("google-imagen-4-fast", "markup", FieldMode.REFUSED),
        ("bria-rmbg-v2-0", "background", FieldMode.HONORED),
        ("flux.1-schnell", "fit", FieldMode.CONVERTED),
        ("flux.1-schnell", "user", FieldMode.RECORDED),
        ("flux.1-schnell", "delivery", FieldMode.HONORED),
    ],
)
def test_an_attribute_of_a_request(model, attribute, mode):
    assert mode_of(REGISTRY.find_model(model), attribute) is mode


def test_models_of_vector_graphics_refuse_fit_and_drop_compression():
    vectors = [model for model in REGISTRY.models if model.formats == ("SVG",)]
    assert vectors
    assert {(mode_of(model, "fit"), mode_of(model, "compression")) for model in vectors} == {
        (FieldMode.REFUSED, FieldMode.DROPPED)
    }


@pytest.mark.parametrize(
    ("model", "name", "mode"),
    [
        ("flux.1-schnell", "num_inference_steps", FieldMode.HONORED),
        ("riverflow-1", "num_inference_steps", FieldMode.DROPPED),
        ("flux.1-schnell", "frame_count", FieldMode.DROPPED),
        ("flux.2-pro", "scale_factor", FieldMode.EMULATED),
        ("google-imagen-4-fast", "scale_factor", FieldMode.DROPPED),
    ],
)
def test_a_parameter_is_honored_where_the_model_has_the_thing(model, name, mode):
    assert mode_of_parameter(REGISTRY.find_model(model), name) is mode


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("lora", FieldMode.PASSED),
        ("nobody_knows_this", FieldMode.PASSED),
        ("taskUUID", FieldMode.PROTECTED),
        ("includeCost", FieldMode.PROTECTED),
        ("deliveryMethod", FieldMode.PASSED),
    ],
)
def test_a_field_of_runwares_is_passed_unless_the_gateway_sets_it(name, mode):
    assert mode_of_passthrough(REGISTRY.find_model("flux.1-schnell"), name) is mode
