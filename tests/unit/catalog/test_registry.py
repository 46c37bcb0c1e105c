"""Models are found by every name they have, and a catalog that is none says where."""

import pytest

from app.catalog.loader import InvalidCatalogError, load_catalog
from app.catalog.registry import Registry, UnknownModelError
from app.settings.load import Settings

FOUNDING = {
    "sourceful:1@1": ["riverflow-1", "riverflow-1.1", "riverflow-1-standard", "riverflow-1-base"],
    "sourceful:1@0": ["riverflow-1-mini", "riverflow-1.1-mini"],
    "sourceful:1@2": ["riverflow-1-pro", "riverflow-1.1-pro"],
    "runware:111@1": ["flux.1-dev-srpo"],
    "runware:100@1": ["flux.1-schnell"],
    "runware:101@1": ["flux.1-dev"],
    "bfl:5@1": ["flux.2-pro"],
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_catalog(Settings().models.catalog_dir)


@pytest.mark.parametrize(("air", "name"), [(air, name) for air, names in FOUNDING.items() for name in [air, *names]])
@pytest.mark.parametrize("write", [str, str.upper, "runware/{}".format, "Runware/{}".format])
def test_the_founding_models_answer_to_all_their_names_in_any_case(registry, air, name, write):
    assert registry.find_model(write(name)).air == air


@pytest.mark.parametrize(
    ("air", "slot", "maximum"),
    [
        ("civitai:618692@691639", "seedImage", 1),
        ("runware:9999@1", "seedImage", 1),
        ("google:9@9", "referenceImages", None),
    ],
)
def test_any_well_formed_air_id_is_a_model(registry, air, slot, maximum):
    model = registry.find_model(air)
    assert (model.listed, model.max_results, model.images.slot, model.images.maximum) == (False, 1, slot, maximum)


def test_an_unlisted_air_id_keeps_its_case(registry):
    assert registry.find_model("runware/Civitai:ABC@1").air == "Civitai:ABC@1"


@pytest.mark.parametrize("name", ["", "no", "a:b", "a@b", ":1@1", "a:1@", "a b:1@1", "riverflow", "../etc/passwd"])
def test_what_is_no_name_is_no_model(registry, name):
    with pytest.raises(UnknownModelError):
        registry.find_model(name)


def test_clashing_names_and_dangling_aliases_are_faults(tmp_path):
    entry = "  - {{id: {0}, air: 'a:{1}@1', name: A, modes: [generate], sizes: {{kind: automatic}}, aliases: [same]}}\n"
    (tmp_path / "a.yaml").write_text("creator: A\nmodels:\n" + entry.format("a", 1) + entry.format("b", 2))
    with pytest.raises(InvalidCatalogError) as caught:
        load_catalog(tmp_path, {"m": "nothing"})
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["a.yaml", "SPILLWAY_MODEL_ALIASES"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: [", 1),
        ("creator: A\nmodels:\n  - id: [\n", 4),
        ("models: []\n", 1),
        ("- a\n", 1),
        ("creator: A\nmodels:\n  - text\n", 3),
    ],
    ids=["broken", "broken later", "no creator", "a list", "not a model"],
)
def test_a_file_that_is_no_catalog_is_told_with_its_line(tmp_path, text, line):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InvalidCatalogError) as caught:
        load_catalog(tmp_path)
    assert caught.value.faults[0].startswith(f"a.yaml:{line}:")


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(InvalidCatalogError):
        load_catalog(tmp_path)
