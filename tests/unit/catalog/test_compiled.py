"""A compiled catalog is its YAML, said faster: never another one, never an unchecked one, never in the way."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from app.catalog.compiled import CompiledCatalog
from app.catalog.loader import InvalidCatalogError, load_catalog
from app.catalog.registry import Registry
from app.settings.load import Settings

MODEL = "  - {id: %s, air: 'a:1@1', name: A, modes: [generate], sizes: {kind: automatic}%s}\n"


@pytest.fixture
def copy(tmp_path) -> Path:
    return tmp_path / "catalog.json"


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "catalog"
    made.mkdir()
    (made / "a.yaml").write_text("creator: A\nmodels:\n" + MODEL % ("one", ""))
    return made


def load(folder: Path, copy: Path) -> Registry:
    return load_catalog(folder, compiled=CompiledCatalog(copy))


def names(folder: Path, copy: Path) -> list[str]:
    return [model.id for model in load(folder, copy).models]


def test_the_whole_catalog_is_the_same_from_its_copy(copy):
    folder = Settings().models.catalog_dir
    plain = load_catalog(folder)
    assert load(folder, copy).models == plain.models
    assert copy.stat().st_mode & 0o777 == 0o600
    compiled = json.loads(copy.read_bytes())["documents"]
    assert compiled == {file.name: yaml.safe_load(file.read_text()) for file in folder.glob("*.yaml")}
    assert load(folder, copy).models == plain.models


def test_a_copy_is_read_and_not_the_files(folder, copy):
    assert names(folder, copy) == ["one"]
    copy.write_text(copy.read_text().replace('"one"', '"two"'))
    assert names(folder, copy) == ["two"]


def test_a_changed_renamed_added_or_removed_file_is_read_anew(folder, copy):
    assert names(folder, copy) == ["one"]
    (folder / "a.yaml").write_text("creator: A\nmodels:\n" + MODEL % ("two", ""))
    assert names(folder, copy) == ["two"]
    (folder / "b.yaml").write_text(("creator: B\nmodels:\n" + MODEL % ("three", "")).replace("a:1@1", "b:1@1"))
    assert names(folder, copy) == ["two", "three"]
    (folder / "a.yaml").unlink()
    assert names(folder, copy) == ["three"]
    copy.write_text(copy.read_text().replace('"three"', '"stale"'))
    (folder / "b.yaml").rename(folder / "c.yaml")
    assert names(folder, copy) == ["three"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[: len(data) // 2], id="cut"),
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"[" * 100_000, id="deep"),
        pytest.param(lambda data: b"\xff\xfe" + data, id="no text"),
        pytest.param(lambda data: b'{"of": 1, "documents": []}', id="another form"),
        pytest.param(lambda data: data.replace(b'"automatic"', b'"magic"'), id="a model that is none"),
        pytest.param(lambda data: data.replace(b'"models"', b'"model"'), id="no models"),
        pytest.param(lambda data: data.replace(b'"a.yaml"', b'"_fields.yaml"'), id="another file"),
    ],
)
def test_a_damaged_copy_is_no_copy_and_is_mended(folder, copy, damage):
    assert names(folder, copy) == ["one"]
    whole = copy.read_bytes()
    copy.write_bytes(damage(whole))
    assert names(folder, copy) == ["one"]
    assert copy.read_bytes() == whole


def test_a_fault_has_its_line_and_leaves_no_copy(folder, copy):
    (folder / "a.yaml").write_text("creator: A\nmodels:\n" + MODEL % ("one", ", oddity: 1"))
    with pytest.raises(InvalidCatalogError) as caught:
        load(folder, copy)
    assert caught.value.faults == ["a.yaml:3: one: oddity: there is no such field"]
    assert not copy.exists()


def test_a_fault_of_the_settings_is_told_beside_a_copy_too(folder, copy):
    load(folder, copy)
    with pytest.raises(InvalidCatalogError) as caught:
        load_catalog(folder, {"m": "nothing"}, compiled=CompiledCatalog(copy))
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["SPILLWAY_MODEL_ALIASES"]


class Changing(CompiledCatalog):
    """One beside which somebody changes a file, `before` or after it is parsed."""

    def __init__(self, place: Path, file: Path, *, before: bool) -> None:
        super().__init__(place)
        self.file, self.before = file, before

    def find(self, key):
        if self.before:
            self.change()
        return super().find(key)

    def keep(self, key, documents):
        if not self.before:
            self.change()
        super().keep(key, documents)

    def change(self) -> None:
        self.file.write_text("creator: A\nmodels:\n" + MODEL % ("two", ""))


@pytest.mark.parametrize("before", [True, False], ids=["before it is parsed", "after it is parsed"])
def test_a_file_that_is_changed_while_it_is_read_is_read_anew(folder, copy, before):
    first = load_catalog(folder, compiled=Changing(copy, folder / "a.yaml", before=before))
    assert [model.id for model in first.models] == ["two" if before else "one"]
    original = (folder / "a.yaml").read_text().replace("two", "one")
    assert names(folder, copy) == ["two"]
    (folder / "a.yaml").write_text(original)
    assert names(folder, copy) == ["one"]


def test_values_that_json_has_not_are_read_from_yaml_each_time(folder, copy):
    assert names(folder, copy) == ["one"]
    kept = copy.read_bytes()
    compiled = CompiledCatalog(copy)
    for document in ({1: "a number as a key"}, yaml.safe_load("when: 2026-11-27"), yaml.safe_load("many: .inf")):
        compiled.keep("a key", {"a.yaml": document})
        assert copy.read_bytes() == kept


def test_without_a_place_for_the_copy_everything_works(folder, tmp_path):
    nowhere = tmp_path / "missing" / "catalog.json"
    assert names(folder, nowhere) == ["one"]
    in_the_way = tmp_path / "catalog.json"
    in_the_way.mkdir()
    assert names(folder, in_the_way) == ["one"]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    shutil.rmtree(folder)
    with pytest.raises(InvalidCatalogError, match=r"there is no \*\.yaml file here"):
        load(folder, in_the_way)
