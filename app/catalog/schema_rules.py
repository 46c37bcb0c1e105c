"""Reads what a field's JSON Schema states, in the catalog's terms. Pure."""

import re
from collections.abc import Mapping

Facts = Mapping[str, object]

_RULE_KEYWORDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "multipleOf": "step",
    "minLength": "min_chars",
    "maxLength": "max_chars",
    "minItems": "min_items",
    "maxItems": "max_items",
    "default": "default",
}


def to_rule(schema: Facts) -> dict[str, object]:
    """The facts of a field's schema in the catalog's terms."""
    rule: dict[str, object] = {}
    type_ = _type_of(schema)
    if type_ is not None:
        rule["type"] = type_
    values = values_of(schema)
    # There the constant belongs to the type and is no list of values.
    if values and type_ != "true_or_object":
        rule["values"] = values
    rule |= {ours: schema[theirs] for theirs, ours in _RULE_KEYWORDS.items() if is_scalar(schema.get(theirs))}
    # Whole numbers go by ones in any case.
    if type_ == "integer" and rule.get("step") == 1:
        del rule["step"]
    pattern = _to_pattern(schema.get("pattern"))
    if pattern is not None:
        rule["pattern"] = pattern
    # Whichever alternative applies, its members have these rules.
    parts = [schema, *objects(schema.get("oneOf")), *objects(schema.get("anyOf"))]
    members = {name: to_rule(mapping(one)) for part in parts for name, one in mapping(part.get("properties")).items()}
    if members:
        # What has neither type nor values could not be judged.
        rule["members"] = {name: member for name, member in members.items() if "type" in member or "values" in member}
    needed = [name for part in parts for name in texts(part.get("required"))]
    if needed and members:
        rule["required"] = needed
    items = mapping(schema.get("items"))
    if items:
        rule["items"] = to_rule(items)
    return rule


def _to_pattern(stated: object) -> str | None:
    """A schema's pattern, which may match anywhere, as one that matches the whole; None for what we cannot read."""
    if not isinstance(stated, str):
        return None
    # Patterns of JSON Schema search in a text, ours match all of it.
    start = "" if stated.startswith("^") else ".*"
    end = "" if stated.endswith("$") and not stated.endswith("\\$") else ".*"
    pattern = f"{start}{stated.removeprefix('^')}{end}"
    pattern = pattern if end else pattern.removesuffix("$")
    # Not every expression of JavaScript is one of Python: no rule is better than a wrong one.
    try:
        re.compile(pattern)
    except re.error:
        return None
    return pattern


def _type_of(schema: Facts) -> str | None:
    parts = [*objects(schema.get("oneOf")), *objects(schema.get("anyOf"))]
    if any(part.get("const") is True for part in parts) and any(part.get("type") == "object" for part in parts):
        return "true_or_object"
    type_ = schema.get("type") or next((part["type"] for part in parts if "type" in part), None)
    if isinstance(type_, list):
        # Null is how a schema says that a field may be left out.
        type_ = next((one for one in type_ if one != "null"), None)
    return type_ if isinstance(type_, str) else None


def values_of(schema: Facts) -> list[object]:
    """The values a schema allows, empty where it lists none."""
    listed = schema.get("enum")
    if isinstance(listed, list):
        return [value for value in listed if is_scalar(value)]
    return [part["const"] for part in objects(schema.get("oneOf")) if is_scalar(part.get("const"))]


def is_scalar(value: object) -> bool:
    """Whether a value can stand in a rule."""
    return isinstance(value, str | int | float | bool)


def mapping(value: object) -> Facts:
    """The value as a mapping, empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def objects(value: object) -> list[Facts]:
    """The mappings of a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """A list as texts."""
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
