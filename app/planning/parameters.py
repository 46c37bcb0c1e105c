"""The parameters aspect: what the caller set, in the provider's fields where the model has the thing. Pure.

A field that the caller passes through under the provider's own name wins over our translation of a parameter, and the
parameter is then dropped. The gateway's own fields cannot be set from outside. Leaves judging values to `validation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from app.catalog.field_rules import Scalar
from app.catalog.model import CatalogModel, Choice
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest
from app.domain.words import JSONValue
from app.planning.adjustments import dropped
from app.planning.validation import check_fields, expected, find_rule
from app.runware.tasks import OWN_FIELDS

_PADDINGS = frozenset({"white", "black"})
_Fields: TypeAlias = Mapping[str, JSONValue]


@dataclass(frozen=True, slots=True)
class _Decided:
    """What becomes of one parameter."""

    fields: _Fields = field(default_factory=dict)
    adjustments: tuple[Adjustment, ...] = ()
    is_exact: bool = False
    """It stands in the fields as it was asked for."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The task fields that the caller's parameters come to."""

    fields: _Fields
    transparent: bool
    """A transparent background was asked for, and the model makes one."""


def decide_parameters(request: ImageRequest, model: CatalogModel) -> tuple[Parameters, tuple[Adjustment, ...]]:
    """The fields, and every parameter that has no place in them."""
    choices = {name: _decide_choice(request, model, name, choice) for name, choice in model.choices.items()}
    chosen = {name: decided for name, decided in choices.items() if decided is not None}
    decided = [*chosen.values()]
    for name, value in request.parameters:
        target = model.parameters.fields.get(name)
        if target is not None:
            decided.append(_decide_target(request, model, name, value, target))
        elif name not in chosen:
            decided.append(_Decided(adjustments=(dropped(name, value, f"{model.id} has no equivalent."),)))
    if request.seed is not None and model.parameters.seed is None:
        decided.append(_Decided(adjustments=(dropped("seed", request.seed, f"{model.id} chooses its own seeds."),)))
    background = chosen.get("background")
    if background is None and request.background is not None:
        background = _decide_background(request, model, request.background)
        decided.append(background)
    fields: _Fields = {}
    for one in decided:
        fields = _merge_fields(fields, one.fields)
    # Neither a value near to it nor a field of the caller's own is a promise of transparency.
    transparent = request.background == "transparent" and background is not None and background.is_exact
    return Parameters(fields, transparent), tuple(one for each in decided for one in each.adjustments)


def decide_passthrough(passthrough: _Fields, fields: _Fields) -> tuple[_Fields, tuple[Adjustment, ...]]:
    """The task fields with the caller's own over them, save those that are the gateway's."""
    # A caller that sets `taskUUID` could collect another caller's image; one that sets `includeCost`, hide its bill.
    protected = passthrough.keys() & OWN_FIELDS
    own = {name: value for name, value in passthrough.items() if name not in protected}
    reason = "The gateway sets this field itself; it cannot be set from outside."
    adjustments = tuple(dropped(name, value, reason) for name, value in passthrough.items() if name in protected)
    return _merge_fields(fields, own), adjustments


def check_task(request: ImageRequest, model: CatalogModel, fields: _Fields, prompt: str | None) -> None:
    """Judge the task's fields, those that stand beside them included, by the rules of the model."""
    targets = model.parameters.fields
    names = {targets[name]: name for name, _ in request.parameters if targets.get(name) is not None}
    task = dict(fields)
    if request.seed is not None and model.parameters.seed is not None:
        task[model.parameters.seed] = request.seed
    # Images and prompt stand outside of the fields and exclude some of them: they join for the judgment only.
    if model.exclusive:
        given = fields.get("inputs")
        slots: dict[str, JSONValue] = {}
        if model.images and request.images:
            slots[model.images.slot] = ["given"] if model.images.slot == "referenceImages" else "given"
        task |= {"inputs": {**(given if isinstance(given, dict) else {}), **slots}}
        task |= {} if prompt is None else {"positivePrompt": prompt}
    if task:
        check_fields(task, model.fields, names)


def _decide_target(request: ImageRequest, model: CatalogModel, name: str, value: JSONValue, target: str) -> _Decided:
    """A parameter in the field that the model has for it; a number as the nearest legal one."""
    # The more exact name wins, and the other is dropped, so that nothing is lost in silence (0067).
    if target in request.passthrough:
        return _Decided(adjustments=(_overridden(name, value, target),))
    slot = f"inputs.{model.images.slot}" if model.images and request.images else None
    if any(target in group and slot in group for group in model.exclusive):
        return _Decided(adjustments=(dropped(name, value, f"{model.id} does not take it beside input images."),))
    rule = (model.fields.members or {}).get(target)
    # Only numbers have a nearest value; a word that is nearly right may mean something else, and is judged later.
    if rule is None or isinstance(value, bool) or not isinstance(value, int | float):
        return _Decided({target: value}, is_exact=True)
    nearest = rule.nearest(value)
    if nearest == value:
        return _Decided({target: nearest}, is_exact=True)
    reason = f"It is the nearest this model takes: {expected(rule)}."
    return _Decided({target: nearest}, (Adjustment(name, value, nearest, AdjustmentMode.CHANGED, reason),))


def _decide_background(request: ImageRequest, model: CatalogModel, background: str) -> _Decided:
    """The background on a model that has no choice of it."""
    if background in _PADDINGS and request.fit != "contain":
        return _Decided(
            adjustments=(dropped("background", background, "This color is for the padding of `fit` contain only."),)
        )
    if background != "transparent" or model.task == "removeBackground":
        return _Decided()
    placed = model.parameters.transparent_background
    if placed is None:
        return _Decided(
            adjustments=(dropped("background", background, f"{model.id} cannot make transparent backgrounds."),)
        )
    return _Decided({name: dict(members) for name, members in placed.items()}, is_exact=True)


def _decide_choice(request: ImageRequest, model: CatalogModel, name: str, choice: Choice) -> _Decided | None:
    """A parameter with fixed values in the field that the model has for it; None where there is nothing to send."""
    asked = request.background if name == "background" else request.parameter(name)
    value = asked if isinstance(asked, str) else choice.default
    if value is None:
        return None
    native = choice.values.get(value, choice.nearest.get(value, _find_native(model, choice, value)))
    if native is None:
        rule = find_rule(model.fields, choice.field)
        own = f" It takes {expected(rule)}." if rule is not None else ""
        return _Decided(adjustments=(dropped(name, value, f"{model.id} has no equivalent.{own}"),))
    if _sets(request.passthrough, choice.field):
        return _Decided(adjustments=() if asked is None else (_overridden(name, asked, choice.field),))
    placed = _nest(choice.field, native)
    if value not in choice.nearest:
        return _Decided(placed, is_exact=True)
    reason = f"It is the nearest {model.id} has."
    return _Decided(placed, (Adjustment(name, value, native, AdjustmentMode.CHANGED, reason),))


def _find_native(model: CatalogModel, choice: Choice, value: str) -> Scalar | None:
    """The value of the model's own setting that the caller named in the provider's word."""
    rule = find_rule(model.fields, choice.field)
    # Also what the catalog's map does not name: a model may have qualities of its own beside OpenAI's.
    natives = (*choice.values.values(), *(rule.values or () if rule else ()))
    return next((native for native in natives if str(native).lower() == value.lower()), None)


def _sets(passthrough: _Fields, path: str) -> bool:
    """Whether the caller set the field at a dotted path itself."""
    found: JSONValue = dict(passthrough)
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    return True


def _overridden(name: str, value: JSONValue, field: str) -> Adjustment:
    return dropped(name, value, f"Your own `{field}` says it already.")


def _nest(path: str, value: JSONValue) -> dict[str, JSONValue]:
    """A value at its dotted path."""
    first, _, rest = path.partition(".")
    return {first: _nest(rest, value) if rest else value}


def _merge_fields(fields: _Fields, over: _Fields) -> dict[str, JSONValue]:
    """The fields with others over them, member by member."""
    return {**fields, **{name: _merge(fields.get(name), value) for name, value in over.items()}}


def _merge(present: JSONValue, value: JSONValue) -> JSONValue:
    if isinstance(present, dict) and isinstance(value, dict):
        return _merge_fields(present, value)
    return value
