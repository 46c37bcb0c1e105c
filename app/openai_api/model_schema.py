"""What one model accepts here, as a JSON Schema: every field with its range and its mode on this model. Pure.

Fields and what they take on any model are the vocabulary's; what becomes of a field on a model is asked of `planning`.
A field of Runware's that is another name of one here says so in `x-same-as`.
"""

from app.catalog.field_rules import FieldRule
from app.catalog.model import CatalogModel, Dimensions, FixedSizes, GridSizes, SizeUse
from app.catalog.modes import Mode
from app.domain.spec import NATIVE_FORMATS
from app.domain.words import ImageFormat, JSONValue
from app.openai_api.request_schemas import describe_field
from app.openai_api.vocabulary import BY_NAME, FIELDS, MAX_IMAGES, OWN_NAMES, SYNONYMS, Field, Kind
from app.planning.decide import MAX_PROMPT_CHARS
from app.planning.field_modes import mode_of, mode_of_parameter, mode_of_passthrough
from app.planning.output import makes_vectors
from app.planning.shapes import offered_sizes
from app.planning.validation import find_rule

_MODE, _FIELD, _SAME = "x-spillway-mode", "x-runware-field", "x-same-as"
_JSON_TYPES = {"true_or_object": ["boolean", "object"]}


def describe_model(model: CatalogModel) -> dict[str, JSONValue]:
    """The schema of a request for `model`."""
    properties: dict[str, JSONValue] = {
        field.name: {**describe_field(field), _MODE: field_mode(model, field.name), **_limits(model, field)}
        for field in FIELDS
    }
    for name, rule in (model.fields.members or {}).items():
        # Under a name of ours it is described above already.
        if name not in OWN_NAMES:
            same: dict[str, JSONValue] = {_SAME: SYNONYMS[name]} if name in SYNONYMS else {}
            properties[name] = {**_to_schema(rule), _MODE: field_mode(model, name), **same}
    required: list[JSONValue] = ["prompt"] if model.prompt.use == "required" else []
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": model.name,
        "description": f"What {model.id} ({model.air}) accepts. Other fields go to Runware under their own names.",
        "type": "object",
        "properties": properties,
        "required": required,
        # Lists of fields age; what nobody here knows, Runware judges.
        "additionalProperties": True,
        "x-sizes": model.sizes.model_dump(mode="json", exclude_none=True),
        "x-exclusive": [[*group] for group in model.exclusive],
    }


def field_mode(model: CatalogModel, name: str) -> str:
    """What happens to a field on this model, by whichever of its names."""
    name = SYNONYMS.get(name, name)
    if name not in OWN_NAMES:
        return mode_of_passthrough(model, name)
    attribute = BY_NAME[name].attribute
    return mode_of_parameter(model, name) if attribute == "parameters" else mode_of(model, attribute)


def _limits(model: CatalogModel, field: Field) -> dict[str, JSONValue]:
    """What narrows the field on this model."""
    if field.kind is Kind.PROMPT:
        limits: dict[str, JSONValue] = {"maxLength": model.prompt.max_chars or MAX_PROMPT_CHARS}
        return limits | ({"minLength": model.prompt.min_chars} if model.prompt.min_chars else {})
    if field.name in model.parameters.fields:
        return _parameter_limits(model, model.parameters.fields[field.name])
    choice = model.choices.get(field.name)
    if choice is not None:
        # Of other choices only OpenAI's words are taken, so the model's own are not shown.
        rule = find_rule(model.fields, choice.field) if field.kind is Kind.OPEN_CHOICE else None
        native = [*choice.values, *(rule.values or () if rule else ())]
        return {_FIELD: choice.field, "x-native": [*dict.fromkeys(native)], "x-nearest": [*choice.nearest]}
    if field.name == "size":
        return _native_sizes(model)
    if field.attribute == "count":
        return {"minimum": field.low, "maximum": field.high, "x-native-maximum": model.max_results}
    return _native_choices(model, field)


def _native_choices(model: CatalogModel, field: Field) -> dict[str, JSONValue]:
    """What the model does by itself, where we do the rest."""
    if field.name == "resolution" and isinstance(model.sizes, FixedSizes):
        return {"x-native": list(model.resolutions or model.sizes.tiers)}
    if field.attribute == "format":
        native = [kind.value for kind in ImageFormat if NATIVE_FORMATS.get(kind) in model.formats]
        return {"x-native": [*native]}
    if field.kind is Kind.IMAGES and model.images is not None:
        maximum = min(model.images.maximum or MAX_IMAGES, MAX_IMAGES)
        return {"x-minimum-items": model.images.minimum, "x-maximum-items": maximum}
    return {}


def _parameter_limits(model: CatalogModel, target: str) -> dict[str, JSONValue]:
    """The field a parameter goes to, and that field's range."""
    rule = (model.fields.members or {}).get(target)
    limits = _to_schema(rule) if rule is not None else {}
    return {_FIELD: target, **{key: value for key, value in limits.items() if key != "type"}}


def _native_sizes(model: CatalogModel) -> dict[str, JSONValue]:
    offered: list[JSONValue] = [
        {"ratio": one.ratio, **({"resolution": one.resolution} if one.resolution else {}), "size": _name(one.size)}
        for one in offered_sizes(model.sizes, model.default_pixels)
    ]
    shapes: dict[str, JSONValue] = {"x-shapes": offered} if offered else {}
    if isinstance(model.sizes, FixedSizes):
        return {"x-native": [_name(size) for listed in model.sizes.tiers.values() for size in listed], **shapes}
    if isinstance(model.sizes, GridSizes):
        return {"x-native": model.sizes.model_dump(mode="json", exclude_none=True), **shapes}
    return shapes


def _name(size: Dimensions) -> str:
    return f"{size[0]}x{size[1]}"


def _to_schema(rule: FieldRule) -> dict[str, JSONValue]:
    """A rule in the terms of JSON Schema; what these cannot say stays in `x-` members."""
    type_: JSONValue = [*_JSON_TYPES[rule.type]] if rule.type in _JSON_TYPES else rule.type
    schema: dict[str, JSONValue] = {
        "type": type_,
        "enum": None if rule.values is None else [*rule.values],
        "pattern": None if rule.pattern is None else f"^{rule.pattern}$",
        "minimum": rule.minimum,
        "maximum": rule.maximum,
        # JSON has no decimals.
        "multipleOf": None if rule.step is None else float(rule.step),
        "default": rule.default,
        "minLength": rule.min_chars,
        "maxLength": rule.max_chars,
        "minItems": rule.min_items,
        "maxItems": rule.max_items,
        "items": None if rule.items is None else _to_schema(rule.items),
        "required": [*rule.required] or None,
        "x-only-on": rule.only_on,
        "x-exclusive": [[*group] for group in rule.exclusive] or None,
        "x-less": [[*pair] for pair in rule.less] or None,
        "x-at-most": [[*pair] for pair in rule.at_most] or None,
        "x-only-with": [[*three] for three in rule.iff] or None,
    }
    if rule.members:
        schema["properties"] = {name: _to_schema(member) for name, member in rule.members.items()}
    # Absent is what is not known; null would be a statement.
    return {name: value for name, value in schema.items() if value is not None}


def capabilities_of(model: CatalogModel) -> list[str]:
    """Tags a client may choose by."""
    if model.task in _TOOLS:
        return [_TOOLS[model.task]]
    found = ["generation"] if Mode.GENERATE in model.modes else []
    if Mode.EDIT in model.modes:
        found.append("editing")
    if makes_vectors(model):
        found.append("vector-graphics")
    if model.images is not None:
        found += ["inpainting"] if model.images.mask else []
        found += ["multiple-images"] if model.images.maximum != 1 else []
    if model.parameters.seed:
        found.append("seed")
    if model.parameters.transparent_background:
        found.append("transparency")
    if model.size_use is not SizeUse.REQUIRED and model.sizes.kind == "automatic":
        found.append("automatic-size")
    return found


_TOOLS = {"upscale": "upscaling", "removeBackground": "background-removal"}
