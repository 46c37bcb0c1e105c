"""The catalog's fields against those of Runware's own published client, name by name and type by type."""

import ast
import importlib.metadata
import inspect
from collections.abc import Iterator

import pytest
from runware.types import task_map

from app.catalog.field_rules import FieldRule
from app.catalog.loader import load_catalog, load_shared_fields
from app.settings.load import Settings

REGISTRY = load_catalog(Settings().models.catalog_dir)
MODELS = {model.air: model for model in REGISTRY.models}
EVERY_TASK = load_shared_fields(Settings().models.catalog_dir).every_task
TASKS = ("imageInference", "upscale", "removeBackground", "vectorize")
TYPES = {"int": "integer", "float": "number", "str": "string", "bool": "boolean"}
DOCUMENTED = {
    "runware:111@1": {"acePlusPlus", "layerDiffuse", "puLID", "promptWeighting"},
}
"""Where the printed documentation of a model has more than the client's types: the field, or values of it."""


def published() -> Iterator[tuple[str, str, dict[str, str]]]:
    """AIR id, task type, and the annotation of each field, of every model of the client that makes images."""
    tree = ast.parse(inspect.getsource(task_map))
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not node.name.endswith("Params"):
            continue
        fields = {
            one.target.id: ast.unparse(one.annotation)
            for one in node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        }
        if not (fields.get("model", "").startswith("Literal") and fields.get("taskType", "").startswith("Literal")):
            continue
        air, task = literal(fields["model"])[0], literal(fields["taskType"])[0]
        makes = fields.get("outputFormat", "")
        if task in TASKS and ("PNG" in makes or "SVG" in makes or "TIFF" in makes):
            yield air, task, fields


def literal(annotation: str) -> list:
    """The values of a Literal."""
    inner = annotation.removeprefix("NotRequired[").removesuffix("]") if "NotRequired" in annotation else annotation
    text = inner.removeprefix("Literal")
    return list(ast.literal_eval(text))


def says_the_same(rule: FieldRule, annotation: str) -> bool:
    """Whether a rule of the catalog is the type the client publishes."""
    inner = annotation[len("NotRequired[") : -1] if annotation.startswith("NotRequired[") else annotation
    if inner.startswith("Literal[") and "|" not in inner:
        return list(rule.values or ()) == literal(inner)
    if inner in TYPES:
        return rule.type == TYPES[inner] and rule.values is None
    if "|" in inner:
        return rule.type == "true_or_object"
    return rule.type == ("array" if inner.startswith("list") else "object")


PUBLISHED = list(published())


def test_the_client_publishes_all_that_is_compared():
    assert importlib.metadata.version("runware-sdk") == "1.8.0"
    assert len(PUBLISHED) > 160


def test_every_model_the_client_has_is_in_the_catalog_and_what_it_lacks_is_called_unlisted():
    assert sorted({air for air, _, _ in PUBLISHED} - set(MODELS)) == []
    gone = set(MODELS) - {air for air, _, _ in PUBLISHED}
    assert [air for air in sorted(gone) if not MODELS[air].unlisted] == []


@pytest.mark.parametrize(("air", "task", "fields"), PUBLISHED, ids=[air for air, _, _ in PUBLISHED])
def test_the_fields_of_a_model_are_those_the_client_publishes(air, task, fields):
    model, beyond = MODELS[air], DOCUMENTED.get(air, set())
    assert model.task == task
    own = {name for name in fields if name not in EVERY_TASK[task]}
    assert set(model.required) == {name for name in own if not fields[name].startswith("NotRequired")}
    assert {*(model.optional or ())} - beyond | (beyond & own) == {name for name in own if name not in model.required}
    for name, annotation in fields.items():
        if name in {"model", "taskType"} | beyond:
            continue
        assert says_the_same(model.fields.members[name], annotation), f"{air}: {name}: {annotation}"
