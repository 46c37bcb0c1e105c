"""The caller's parameters in the provider's fields, where the model has the thing; every other is reported. Pure.

A field that the caller sets itself, under the provider's own name, wins over our translation of a parameter, and
the parameter is then reported. The gateway's own fields cannot be set from outside.
"""

from collections.abc import Mapping

from app.catalog.field_rules import FieldRule, Scalar
from app.catalog.model import CatalogModel, Choice
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest, JSONValue
from app.planning.adjustments import dropped
from app.planning.validation import expected, find_rule
from app.runware.tasks import OWN_FIELDS

_PADDINGS = frozenset({"white", "black"})


def translate_parameters(request: ImageRequest, model: CatalogModel, report: list[Adjustment]) -> dict[str, JSONValue]:
    """The task fields that the caller's parameters come to; what has no place is added to `report`."""
    fields: dict[str, JSONValue] = {}
    chosen = _translate_choices(request, model, fields, report)
    for name, value in request.parameters.items():
        target = getattr(model.parameters, name, None)
        # The more exact word wins, and the other is reported, so that nothing is lost in silence (0015).
        if target is not None and target in request.passthrough:
            report.append(_overridden(name, value, target))
        elif target is not None and _is_excluded(request, model, target):
            report.append(dropped(name, value, f"{model.id} does not take it beside input images."))
        elif target is not None:
            fields[target] = _clamp(name, value, model.fields.members, target, report)
        elif name not in chosen:
            report.append(dropped(name, value, f"{model.id} has no equivalent."))
    if request.seed is not None and model.parameters.seed is None:
        report.append(dropped("seed", request.seed, f"{model.id} chooses its own seeds."))
    if "background" not in chosen:
        _translate_background(request, model, fields, report)
    return fields


def _is_excluded(request: ImageRequest, model: CatalogModel, target: str) -> bool:
    """Whether the images of the request exclude this field."""
    slot = f"inputs.{model.images.slot}" if model.images and request.images else None
    return any(target in group and slot in group for group in model.exclusive)


def _clamp(
    name: str, value: JSONValue, rules: Mapping[str, FieldRule] | None, target: str, report: list[Adjustment]
) -> JSONValue:
    """A number brought to the nearest legal one; anything else as it is, to be judged with the other fields."""
    # Only numbers have a nearest value; a word that is nearly right may mean something else.
    rule = (rules or {}).get(target)
    if rule is None or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    nearest = rule.nearest(value)
    if nearest != value:
        reason = f"It is the nearest this model takes: {expected(rule)}."
        report.append(Adjustment(name, value, nearest, AdjustmentMode.CHANGED, reason))
    return nearest


def merge_passthrough(
    passthrough: Mapping[str, JSONValue], fields: dict[str, JSONValue], report: list[Adjustment]
) -> None:
    """Add the caller's own provider fields, save those that are the gateway's."""
    for name, value in passthrough.items():
        # A caller that sets `taskUUID` could collect another caller's image; one that sets `includeCost` could hide its
        # bill.
        if name in OWN_FIELDS:
            report.append(dropped(name, value, "The gateway sets this field itself; it cannot be set from outside."))
        else:
            fields[name] = _merge(fields.get(name), value)


def _translate_background(
    request: ImageRequest, model: CatalogModel, fields: dict[str, JSONValue], report: list[Adjustment]
) -> None:
    requested = request.background
    if requested in _PADDINGS and request.fit != "contain":
        report.append(dropped("background", requested, "This color is for the padding of `fit` contain only."))
    if requested != "transparent" or model.task == "removeBackground":
        return
    if model.parameters.transparent_background is None:
        report.append(dropped("background", requested, f"{model.id} cannot make transparent backgrounds."))
        return
    for name, members in model.parameters.transparent_background.items():
        fields[name] = dict(members)


def _translate_choices(
    request: ImageRequest, model: CatalogModel, fields: dict[str, JSONValue], report: list[Adjustment]
) -> set[str]:
    """Put the parameters with fixed values where the model takes them; the names of those that are settled so."""
    settled = set()
    for name, choice in model.choices.items():
        asked = request.background if name == "background" else request.parameters.get(name)
        value = asked if isinstance(asked, str) else choice.default
        if value is None:
            continue
        native = choice.values.get(value, choice.nearest.get(value, _find_native(model, choice, value)))
        settled.add(name)
        if native is None:
            report.append(_unknown_choice(name, value, model, choice))
            continue
        if _names_itself(request.passthrough, choice):
            if asked is not None:
                report.append(_overridden(name, asked, choice.field))
            continue
        if value in choice.nearest:
            reason = f"It is the nearest {model.id} has."
            report.append(Adjustment(name, value, native, AdjustmentMode.CHANGED, reason))
        _place(fields, choice.field, native)
    return settled


def _find_native(model: CatalogModel, choice: Choice, value: str) -> Scalar | None:
    """The value of the model's own setting that the caller named in the provider's word."""
    rule = find_rule(model.fields, choice.field)
    natives = (*choice.values.values(), *(rule.values or () if rule else ()))
    return next((native for native in natives if str(native).lower() == value.lower()), None)


def _unknown_choice(name: str, value: str, model: CatalogModel, choice: Choice) -> Adjustment:
    rule = find_rule(model.fields, choice.field)
    own = f" It takes {expected(rule)}." if rule is not None else ""
    return dropped(name, value, f"{model.id} has no equivalent.{own}")


def _names_itself(passthrough: Mapping[str, JSONValue], choice: Choice) -> bool:
    """Whether the caller set this very field under the provider's own name."""
    found: JSONValue = dict(passthrough)
    for part in choice.field.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True


def _overridden(name: str, value: JSONValue, field: str) -> Adjustment:
    return dropped(name, value, f"Your own `{field}` says it already.")


def _place(fields: dict[str, JSONValue], path: str, value: JSONValue) -> None:
    """Set a nested field by its dotted path."""
    *parents, last = path.split(".")
    for parent in parents:
        inner = fields.setdefault(parent, {})
        fields = inner if isinstance(inner, dict) else fields
    fields[last] = value


def _merge(present: JSONValue, value: JSONValue) -> JSONValue:
    """The caller's own value over ours, member by member."""
    if isinstance(present, dict) and isinstance(value, dict):
        return {**present, **{name: _merge(present.get(name), inner) for name, inner in value.items()}}
    return value
