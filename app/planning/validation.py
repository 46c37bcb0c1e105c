"""Judges the fields a caller sets under the provider's own names, before anything is sent. Pure.

Errors name the exact place, like `lora[1].weight`, and say what it takes. Fields and members that no rule knows pass:
lists age, and Runware judges.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from app.catalog.field_rules import FieldRule
from app.domain.words import JSONValue
from app.errors import InvalidRequestError

_Object = Mapping[str, JSONValue]
_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "true_or_object": (dict,),
}
_NAMES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "true_or_object": "true or an object",
}
_MAX_VALUES_SHOWN = 12


def check_fields(fields: _Object, root: FieldRule, names: Mapping[str, str]) -> None:
    """Raise InvalidRequestError for the first field that breaks its rule.

    `names` holds the caller's own name of a field where it is another, like `negative_prompt`.
    """
    members = root.members or {}
    for name, value in fields.items():
        rule = members.get(name)
        # Unknown fields pass: our lists age, and only Runware knows its newest ones.
        if rule is not None:
            _check(names.get(name, name), value, rule, fields)
    _check_members("", fields, root, fields)


def find_value(fields: _Object, path: str) -> JSONValue:
    """The value at a dotted path, or None."""
    found: JSONValue = dict(fields)
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def find_rule(root: FieldRule, path: str) -> FieldRule | None:
    """The rule at a dotted path, or None."""
    rule: FieldRule | None = root
    for part in path.split("."):
        rule = (rule.members or {}).get(part) if rule is not None else None
    return rule


def expected(rule: FieldRule) -> str:
    """What a field takes, in words."""
    if rule.values is not None:
        shown = ", ".join(str(value) for value in rule.values[:_MAX_VALUES_SHOWN])
        more = f" and {len(rule.values) - _MAX_VALUES_SHOWN} more" if len(rule.values) > _MAX_VALUES_SHOWN else ""
        return f"one of {shown}{more}"
    text = _NAMES[rule.type or "string"]
    low, high = rule.minimum, rule.maximum
    if low is not None or high is not None:
        text += f" from {low} to {high}" if None not in {low, high} else f" {_bound(low, high)}"
    if rule.step is not None:
        text += f" in steps of {rule.step}"
    if rule.min_chars is not None or rule.max_chars is not None:
        text += f" of {_span(rule.min_chars, rule.max_chars)} characters"
    if rule.min_items is not None or rule.max_items is not None:
        text += f" of {_span(rule.min_items, rule.max_items)} items"
    return text + (" in the documented form" if rule.pattern is not None else "")


def _bound(low: float | None, high: float | None) -> str:
    return f"up to {high}" if low is None else f"of at least {low}"


def _span(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return f"up to {high}" if low is None else f"at least {low}"
    return str(low) if low == high else f"{low} to {high}"


def _check(place: str, value: JSONValue, rule: FieldRule, task: _Object) -> None:
    if rule.only_on is not None:
        message = f"`{place}` works with the model {rule.only_on} only: name that one in `model`."
        raise InvalidRequestError(message, param=place, code="unsupported_model")
    if not _is_legal(value, rule):
        _refuse(place, f"expected {expected(rule)}; got {_show(value)}.")
    if isinstance(value, list):
        for index, item in enumerate(value):
            if rule.items is not None:
                _check(f"{place}[{index}]", item, rule.items, task)
    elif isinstance(value, dict):
        for name, inner in value.items():
            member = (rule.members or {}).get(name)
            if member is not None and inner is not None:
                _check(f"{place}.{name}", inner, member, task)
        _check_members(f"{place}.", value, rule, task)


def _is_legal(value: JSONValue, rule: FieldRule) -> bool:
    if rule.values is not None:
        return any(value == legal and isinstance(value, bool) == isinstance(legal, bool) for legal in rule.values)
    if rule.type == "true_or_object" and value is True:
        return True
    # In Python true is also the number 1; for Runware it is not.
    if isinstance(value, bool) and rule.type != "boolean":
        return False
    if not isinstance(value, _TYPES[rule.type or "string"]):
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _is_in_range(value, rule)
    if isinstance(value, str):
        # Whole texts only: a pattern that matches a part would let the rest of an id through.
        fits = rule.pattern is None or re.fullmatch(rule.pattern, value) is not None
        return fits and (rule.min_chars or 0) <= len(value) <= (rule.max_chars or len(value))
    if isinstance(value, list):
        return (rule.min_items or 0) <= len(value) <= (rule.max_items or len(value))
    return True


def _is_in_range(value: float, rule: FieldRule) -> bool:
    if (rule.minimum is not None and value < rule.minimum) or (rule.maximum is not None and value > rule.maximum):
        return False
    # In decimals: 0.07 is a multiple of 0.01, and in binary fractions it is not.
    try:
        return rule.step is None or Decimal(str(value)) % rule.step == 0
    except InvalidOperation:  # more digits than any field can mean
        return False


def _check_members(prefix: str, value: _Object, rule: FieldRule, task: _Object) -> None:
    """What the members of an object owe each other."""
    for name in rule.required:
        if find_value(value, name) is None:
            message = f"`{prefix}{name}` is missing."
            raise InvalidRequestError(message, param=f"{prefix}{name}", code="missing_required_parameter")
    for group in rule.exclusive:
        given = [name for name in group if find_value(value, name) is not None]
        if len(given) > 1:
            _refuse(f"{prefix}{given[1]}", f"it cannot be combined with `{prefix}{given[0]}`.")
    for name, other, needed in rule.iff:
        if (find_value(value, name) is not None) != (find_value(value, other) == needed):
            _refuse(f"{prefix}{name}", f"it must be given with {_name(prefix, other)} {needed}, and only then.")
    _check_order(prefix, value, rule, task)


def _check_order(prefix: str, value: _Object, rule: FieldRule, task: _Object) -> None:
    for name, other in rule.less:
        limit = _value_at(value, other, task)
        if _difference(_value_at(value, name, task), limit) >= 0:
            _refuse(f"{prefix}{name}", f"it must be smaller than {_name(prefix, other)}, which is {limit}.")
    for name, other in rule.at_most:
        limit = _value_at(value, other, task)
        if _difference(_value_at(value, name, task), limit) > 0:
            _refuse(f"{prefix}{name}", f"it must be at most {_name(prefix, other)}, which is {limit}.")


def _value_at(value: _Object, path: str, task: _Object) -> JSONValue:
    """What stands at a path of an object, or of the whole task where the path begins with a slash."""
    return find_value(task, path[1:]) if path.startswith("/") else find_value(value, path)


def _difference(first: JSONValue, second: JSONValue) -> float:
    """How much larger the first is; minus one where there is nothing to compare."""
    # A member that is absent or of another type is judged by its own rule; here it offends nothing.
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first - second
    return -1


def _name(prefix: str, path: str) -> str:
    return f"`{path[1:]}`" if path.startswith("/") else f"`{prefix}{path}`"


def _refuse(place: str, reason: str) -> NoReturn:
    raise InvalidRequestError(f"Invalid value for `{place}`: {reason}", param=place)


def _show(value: JSONValue) -> str:
    if isinstance(value, list | dict):
        return f"a list of {len(value)}" if isinstance(value, list) else "an object"
    # Short and escaped: the message goes into logs and headers, whatever the caller sent.
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - enough to recognize it
