"""A key's allow list of models."""

import pytest

from app.access.model_access import check_model, is_allowed
from app.catalog.loader import load_catalog
from app.catalog.registry import unlisted_model
from app.domain.caller import ApiKey, Limits
from app.errors import ForbiddenError
from app.settings.load import Settings

CATALOG = load_catalog(Settings().models.catalog_dir)
SCHNELL = CATALOG.find_model("flux.1-schnell")


def key(*models: str) -> ApiKey:
    return ApiKey("key_a", "a", "abcd", 1.0, limits=Limits(models=models))


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        pytest.param((), SCHNELL, True, id="no list"),
        pytest.param(("flux.1-schnell",), SCHNELL, True, id="an id"),
        pytest.param(("FLUX.1-*",), SCHNELL, True, id="a glob in another case"),
        pytest.param(("runware:100@*",), SCHNELL, True, id="an AIR"),
        pytest.param(("riverflow-*",), SCHNELL, False, id="another model"),
        pytest.param(("flux",), SCHNELL, False, id="no glob matches a part only"),
        pytest.param(("riverflow-*", "*schnell"), SCHNELL, True, id="any of several"),
        pytest.param(("civitai:*",), unlisted_model("civitai:1@1"), True, id="a model that is not listed"),
    ],
)
def test_a_model_is_allowed_by_its_id_or_its_air(patterns, model, allowed):
    assert is_allowed(key(*patterns), model) == allowed


def test_a_caller_without_a_key_of_the_database_may_use_all():
    check_model(None, SCHNELL)


def test_the_refusal_names_the_field_and_what_may_be_used():
    with pytest.raises(ForbiddenError, match="it may use `riverflow-\\*`") as refused:
        check_model(key("riverflow-*"), SCHNELL)
    assert (refused.value.status, refused.value.code, refused.value.param) == (403, "model_not_allowed", "model")
