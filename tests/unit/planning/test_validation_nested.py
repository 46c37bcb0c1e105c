"""What lies inside adapters, guides and ACE++ is judged by what is published, on every model that takes them."""

import pytest

from app.catalog.loader import load_catalog
from app.catalog.modes import Mode
from app.domain.request import ImageRequest
from app.domain.words import Delivery
from app.errors import InvalidRequestError
from app.planning.check import check
from app.planning.decide import decide
from app.planning.validation import check_fields
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
UUID = "c64351d5-4c59-42f7-95e1-eace013eddab"
LORA = {"model": "civitai:1@2"}
GUIDE = {"model": "runware:20@1", "guideImage": UUID}
ADAPTER = {"model": "runware:55@1", "guideImages": [UUID]}


def fit(model: str, ace: object):
    """The spec of a request with ACE++, or the refusal."""
    request = ImageRequest(Mode.GENERATE, "a portrait", passthrough={"acePlusPlus": ace})
    return decide(request, REGISTRY.find_model(model), default_delivery=Delivery.LINK, image_size=(640, 480))


PUBLISHED = {
    "lora[0].transformer": ("high", "low", "both"),
    "controlNet[0].controlMode": ("balanced", "prompt", "controlnet"),
    "ipAdapters[0].combineMethod": ("concat", "add", "subtract", "average", "norm_average"),
    "ipAdapters[0].embedScaling": ("only_v", "kv", "kv_penalty_c", "k_mean_v_penalty_c"),
    "ipAdapters[0].weightType": (
        "normal", "ease_in", "ease_out", "ease_in_out", "weak_input", "weak_output", "weak_middle", "strong_middle",
        "style_transfer", "composition", "strong_style_transfer", "style_and_composition", "strong_style_and_composition",
    ),
}  # fmt: skip
SMALLEST = {"lora": LORA, "controlNet": GUIDE, "ipAdapters": ADAPTER | {"model": "runware:56@1"}}
WITH_ADAPTERS = [model for model in REGISTRY.models if model.optional is not None and {*SMALLEST} & {*model.optional}]


@pytest.mark.parametrize("model", WITH_ADAPTERS, ids=lambda model: model.air)
def test_values_inside_lists_are_judged_alike_on_every_model_that_has_the_list(model):
    for place, values in PUBLISHED.items():
        field, member = place.split("[0].")
        if field not in model.optional:
            continue
        rule = model.fields.members[field].items
        assert set(rule.members[member].values) == set(values)
        for value in (*values, "nonsense"):
            entry = SMALLEST[field] | {member: value}
            if field == "ipAdapters" and rule.members["model"].values is not None:
                entry["model"] = rule.members["model"].values[0]
            if value != "nonsense":
                check_fields({field: [entry]}, model.fields, {})
                continue
            with pytest.raises(InvalidRequestError, match="expected one of") as refusal:
                check_fields({field: [entry]}, model.fields, {})
            assert refusal.value.param == place


@pytest.mark.parametrize(
    ("model", "known", "unknown"),
    [
        ("runware:101@1", "runware:56@1", "runware:55@1"),
        ("runware:107@1", "runware:56@4", "runware:55@10"),
        ("civitai:101055@128078", "runware:55@4", "runware:55@5"),
        ("srpo", "runware:55@10", "runware:55@9"),
    ],
)
def test_image_prompts_are_steered_by_the_adapters_of_the_architecture(model, known, unknown):
    rules = REGISTRY.find_model(model).fields
    check_fields({"ipAdapters": [ADAPTER | {"model": known}]}, rules, {})
    with pytest.raises(InvalidRequestError, match=r"ipAdapters\[0\].model"):
        check_fields({"ipAdapters": [ADAPTER | {"model": unknown}]}, rules, {})


ACE_LEGAL = [
    {"type": "portrait", "images": [UUID], "repaintingScale": 0.5},
    {"type": "local_editing", "images": [UUID], "masks": [UUID], "repaintingScale": 0.7},
    {"images": [UUID]},
    {"type": "subject", "images": [UUID], "repaintingScale": 0},
    {"images": [UUID], "repaintingScale": 1},
]
ACE_ILLEGAL = [
    ("acePlusPlus.images", {}), ("acePlusPlus.images", {"images": []}), ("acePlusPlus.images", {"images": [UUID, UUID]}),
    ("acePlusPlus.images", {"images": UUID}), ("acePlusPlus.images[0]", {"images": [""]}), ("acePlusPlus.images[0]", {"images": [3]}),
    ("acePlusPlus.masks", {"images": [UUID], "masks": [UUID]}), ("acePlusPlus.masks", {"images": [UUID], "masks": [UUID], "type": "subject"}),
    ("acePlusPlus.masks", {"images": [UUID], "type": "local_editing"}),
    ("acePlusPlus.masks", {"images": [UUID], "masks": [UUID, UUID], "type": "local_editing"}),
    ("acePlusPlus.masks", {"images": [UUID], "masks": [], "type": "local_editing"}),
    ("acePlusPlus.type", {"images": [UUID], "type": "face"}), ("acePlusPlus.type", {"images": [UUID], "type": True}),
    ("acePlusPlus.repaintingScale", {"images": [UUID], "repaintingScale": -0.1}),
    ("acePlusPlus.repaintingScale", {"images": [UUID], "repaintingScale": 1.01}),
    ("acePlusPlus.repaintingScale", {"images": [UUID], "repaintingScale": 0.505}),
    ("acePlusPlus", []), ("acePlusPlus", True), ("acePlusPlus", "portrait"),
]  # fmt: skip


@pytest.mark.parametrize("ace", ACE_LEGAL, ids=str)
def test_ace_goes_to_flux_fill_with_its_own_images_and_no_others(ace):
    model = REGISTRY.find_model("runware:102@1")
    request = ImageRequest(Mode.GENERATE, "a portrait", passthrough={"acePlusPlus": ace})
    check(request, model)
    spec = decide(request, model, default_delivery=Delivery.LINK)
    assert (spec.fields["acePlusPlus"], spec.blank, spec.adjustments) == (ace, None, ())


@pytest.mark.parametrize(("place", "ace"), ACE_ILLEGAL, ids=[f"{row[0]}={row[1]!s:.60}" for row in ACE_ILLEGAL])
def test_ace_is_judged_by_every_limit_of_its_page(place, ace):
    if isinstance(ace, dict):
        check(
            ImageRequest(Mode.GENERATE, "a portrait", passthrough={"acePlusPlus": ace}),
            REGISTRY.find_model("runware:102@1"),
        )
    with pytest.raises(InvalidRequestError) as refusal:
        fit("runware:102@1", ace)
    assert refusal.value.param == place


def test_ace_does_not_stand_in_for_the_image_another_model_needs():
    request = ImageRequest(Mode.EDIT, "a portrait", passthrough={"acePlusPlus": ACE_LEGAL[0]})
    with pytest.raises(InvalidRequestError, match="needs at least 1 `image`"):
        check(request, REGISTRY.find_model("riverflow-1"))


@pytest.mark.parametrize("model", ["srpo", "flux.1-dev", "krea-flux-1-krea-dev"])
@pytest.mark.parametrize("ace", [*ACE_LEGAL, {}, []], ids=str)
def test_ace_on_the_models_known_not_to_have_it_is_refused_with_the_one_it_needs(ace, model):
    with pytest.raises(InvalidRequestError, match=r"runware:102@1 only") as refusal:
        fit(model, ace)
    assert refusal.value.param == "acePlusPlus"
