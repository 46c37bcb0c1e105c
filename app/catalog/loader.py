"""Reads the catalog folder and reports every fault in it with file and line."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from app.catalog.compiled import CompiledCatalog, key_of
from app.catalog.field_rules import FieldRule, resolve_fields
from app.catalog.model import CatalogModel
from app.catalog.registry import Registry

FIELDS_FILE = "_fields.yaml"
"""What holds of Runware's fields on every model, beside the files of the creators."""
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
"""Every start reads the whole catalog: libyaml takes a tenth of the time."""
_Location = tuple[int | str, ...]
_Located = tuple[CatalogModel, str]
"""A model, and `file:line` where it stands."""
_REASONS = {"extra_forbidden": "there is no such field", "missing": "this field is missing"}


class SharedFields(BaseModel):
    """The shared rules of fields, and which fields every task of a type has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_task: dict[str, tuple[str, ...]] = {}
    fields: dict[str, FieldRule] = {}


class InvalidCatalogError(Exception):
    """The catalog is wrong; `faults` holds one `file:line: text` for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Source(NamedTuple):
    """What a file says. `root` knows the lines; a copy has none."""

    name: str
    document: object
    root: yaml.Node | None = None


def load_catalog(
    folder: Path,
    operator_aliases: dict[str, str] | None = None,
    defaults: Iterable[str] = (),
    compiled: CompiledCatalog | None = None,
) -> Registry:
    """The registry of all models in `folder/*.yaml`, raising InvalidCatalogError with every fault at once.

    Where `compiled` holds what the files say they are not parsed; where it does not, it does afterwards.
    """
    files = sorted(folder.glob("*.yaml"))
    key = None if compiled is None else key_of(files)
    kept = None if compiled is None else compiled.find(key)
    if kept is not None:
        # A fault is told with its line, which only the files have.
        with contextlib.suppress(InvalidCatalogError):
            copies = [_Source(name, document) for name, document in kept.items()]
            return _to_registry(folder, copies, operator_aliases or {}, defaults)
    read = [_read_source(file) for file in files]
    registry = _to_registry(folder, read, operator_aliases or {}, defaults)
    # Not what was changed while it was parsed: under the key of what it says now it would stay for good.
    if compiled is not None and key is not None and key == key_of(files):
        compiled.keep(key, {one.name: one.document for one in read if isinstance(one, _Source)})
    return registry


def load_shared_fields(folder: Path) -> SharedFields:
    """The shared rules of `folder`, raising InvalidCatalogError; none where there is no such file."""
    file = folder / FIELDS_FILE
    return _to_shared_fields(_read_source(file)) if file.is_file() else SharedFields()


def _to_registry(
    folder: Path, sources: Sequence[_Source | str], operator_aliases: dict[str, str], defaults: Iterable[str]
) -> Registry:
    rules = next((one for one in sources if _name_of(one) == FIELDS_FILE), None)
    shared = SharedFields() if rules is None else _to_shared_fields(rules)
    files = [one for one in sources if one is not rules]
    if not files:
        raise InvalidCatalogError([f"{folder}: there is no *.yaml file here; set SPILLWAY_CATALOG_DIR."])
    read = [one for file in files for one in ([file] if isinstance(file, str) else _to_models(file))]
    located = [one for one in read if not isinstance(one, str)]
    resolved = [_with_fields(model, place, shared) for model, place in located]
    models = [one for one in resolved if not isinstance(one, str)]
    # All faults at once: an operator should not fix a file line by line.
    faults = [one for one in (*read, *resolved) if isinstance(one, str)] + _find_clashes(located)
    # Built even from a faulty catalog, so that wrong aliases are reported in the same run.
    registry = Registry(models, operator_aliases, defaults)
    faults += [f"SPILLWAY_MODEL_ALIASES: {fault}" for fault in registry.alias_faults()]
    if faults:
        raise InvalidCatalogError(faults)
    return registry


def _name_of(source: _Source | str) -> str:
    """The file that a source or a fault is about."""
    return source.partition(":")[0] if isinstance(source, str) else source.name


def _to_shared_fields(source: _Source | str) -> SharedFields:
    if isinstance(source, str):
        raise InvalidCatalogError([source])
    try:
        return SharedFields.model_validate(source.document)
    except ValidationError as error:
        raise InvalidCatalogError(
            [f"{source.name}:1: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        ) from None


def _with_fields(model: CatalogModel, place: str, shared: SharedFields) -> CatalogModel | str:
    """The model with the rules of all its fields resolved, or what is wrong with it."""
    names = [*shared.every_task.get(model.task, ()), *model.required, *(model.optional or ())]
    try:
        members = resolve_fields(names, shared.fields, model.limits)
    except KeyError as error:
        return f"{place}: {model.id}: the field {error.args[0]} has no type here and none in {FIELDS_FILE}"
    # Once, at the start: every request is judged by it.
    rule = FieldRule(type="object", members=members, exclusive=model.exclusive)
    return model.model_copy(update={"fields": rule})


def _read_source(file: Path) -> _Source | str:
    """What a file says, or why it cannot be read."""
    try:
        root, document = _read(file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return f"{file.name}:{line}: not valid YAML: {error.problem}"
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return f"{file.name}:1: cannot be read as YAML in UTF-8"
    return _Source(file.name, document, root)


def _to_models(source: _Source) -> Iterator[_Located | str]:
    """Every model of a file with its place, and what is wrong with the others."""
    name, document, root = source
    entries = document.get("models") if isinstance(document, dict) else None
    # Nothing else: a misspelled `model:` would silently be a file without models.
    if not isinstance(document, dict) or not isinstance(entries, list) or set(document) != {"creator", "models"}:
        yield f"{name}:1: expected `creator: NAME` and `models:` with a list, and nothing else"
        return
    for index, entry in enumerate(entries):
        place = f"{name}:{_line_of(root, ('models', index))}"
        if not isinstance(entry, dict):
            yield f"{place}: expected a model, like `id: riverflow-1`"
            continue
        try:
            yield CatalogModel.model_validate({"creator": document["creator"], **entry}), place
        except ValidationError as error:
            for problem in error.errors():
                line = _line_of(root, ("models", index, *problem["loc"]))
                field = ".".join(str(part) for part in problem["loc"]) or "model"
                reason = _REASONS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
                yield f"{name}:{line}: {entry.get('id', '?')}: {field}: {reason}"


def _read(file: Path) -> tuple[yaml.Node | None, object]:
    """A file's YAML as nodes, which know their lines, and as values."""
    text = file.read_text(encoding="utf-8")
    try:
        return _parse(text, _LOADER)
    except yaml.YAMLError:
        return _parse(text, yaml.SafeLoader)  # says better than libyaml what is wrong, and where


def _parse(text: str, kind: type[yaml.SafeLoader | yaml.CSafeLoader]) -> tuple[yaml.Node | None, object]:
    loader = kind(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _find_clashes(located: Iterable[_Located]) -> list[str]:
    owners: dict[str, tuple[str, str]] = {}
    clashes: list[str] = []
    for model, place in located:
        for name in model.names:
            owner = owners.setdefault(name.lower(), (model.id, place))
            if owner[1] != place:
                clashes.append(f"{place}: {model.id}: the name {name} already belongs to {owner[0]} ({owner[1]})")
    return clashes


def _line_of(root: yaml.Node | None, location: _Location) -> int:
    """The line of the deepest node that `location` reaches, counted from 1."""
    node = root
    for step in location:
        node = _child(node, step) or node  # steps that name no node are the tags of pydantic's unions
    return cast("int", node.start_mark.line) + 1 if node is not None else 1


def _child(node: yaml.Node | None, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return cast("yaml.Node", node.value[step])
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return cast("yaml.Node", value)
    return None
