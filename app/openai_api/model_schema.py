"""What one model accepts here, as a JSON Schema: every field with its range and its mode on this model. Pure.

Modes: `honored`, `converted` (made by us afterwards), `emulated` (same meaning by other means), `recorded`, `dropped`
(and reported), `refused`, `passed` (Runware's own field, sent as it is) and `protected` (the gateway's own, dropped and
reported). They restate what `planning` decides; tests hold the two together, field by field on every model. A field of
Runware's that is another name of one here says so in `x-same-as`.
"""

from collections.abc import Mapping
from functools import lru_cache

from app.catalog.field_rules import FieldRule
from app.catalog.model import CatalogModel, FixedSizes, GridSizes, Mode, SizeUse
from app.domain.request import ImageFormat, JSONValue
from app.domain.spec import NATIVE_FORMATS
from app.openai_api.input_images import IMAGE_FIELDS, MAX_IMAGES
from app.openai_api.parse import CHOICES, INTEGERS, MAX_COUNT, NUMBERS, OPEN_CHOICES, OWN_NAMES, RECORDED
from app.openai_api.runware_parameters import SYNONYMS
from app.openai_api.schemas import GenerationRequest
from app.planning.decide import MAX_PROMPT_CHARS
from app.planning.derived_size import scales_by_size
from app.planning.output import makes_vectors
from app.planning.validation import find_rule
from app.runware.tasks import OWN_FIELDS

_SIZE_FIELDS = ("size", "aspect_ratio", "resolution")
_SINGLE_IMAGES = ("mask", "markup")
_PARAMETERS = ("seed", "negative_prompt", "guidance_scale", "num_inference_steps", "scale_factor")
_MODE, _FIELD, _SAME = "x-spillway-mode", "x-runware-field", "x-same-as"
_RASTER_ONLY = {"output_compression": "dropped", "fit": "refused"}
"""What becomes of these on models of vector graphics."""
_WHERE_CONVERTED = {"ttl": "dropped", "uploadEndpoint": "refused"}
"""What becomes of these where every image of the model is converted: they are for images as Runware makes them."""
_JSON_TYPES = {"true_or_object": ["boolean", "object"]}


def describe_model(model: CatalogModel) -> dict[str, JSONValue]:
    """The schema of a request for `model`."""
    base = _common_properties()
    properties: dict[str, JSONValue] = {}
    for name, schema in base.items():
        properties[name] = {**schema, _MODE: field_mode(model, name), **_limits(model, name)}
    for name, rule in (model.fields.members or {}).items():
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
        "additionalProperties": True,
        "x-sizes": model.sizes.model_dump(mode="json", exclude_none=True),
        "x-exclusive": [[*group] for group in model.exclusive],
    }


@lru_cache(maxsize=1)
def _common_properties() -> Mapping[str, Mapping[str, JSONValue]]:
    """The schema of every field a request has on all models."""
    properties: Mapping[str, Mapping[str, JSONValue]] = GenerationRequest.model_json_schema()["properties"]
    return properties


def field_mode(model: CatalogModel, name: str) -> str:
    """What happens to a field on this model."""
    name = SYNONYMS.get(name, name)
    if name in RECORDED:
        return "recorded"
    if name in IMAGE_FIELDS:
        return _image_mode(model, name)
    if name in {
        *_PARAMETERS,
        *OPEN_CHOICES,
        *CHOICES,
        *INTEGERS,
        *NUMBERS,
        *_SIZE_FIELDS,
        "svg",
        "background",
        "prompt",
    }:
        return _parameter_mode(model, name)
    if makes_vectors(model) and name in _RASTER_ONLY:
        return _RASTER_ONLY[name]
    if name == "n":
        return "honored" if model.max_results > 1 else "emulated"
    if name in _WHERE_CONVERTED and not set(NATIVE_FORMATS.values()) & set(model.formats):
        return _WHERE_CONVERTED[name]
    if name not in OWN_NAMES:
        return _passthrough_mode(model, name)
    return "converted" if name == "fit" else "honored"


def _parameter_mode(model: CatalogModel, name: str) -> str:
    if name == "scale_factor" and scales_by_size(model):
        return "emulated"
    return "honored" if _has_the_thing(model, name) else "dropped"


def _passthrough_mode(model: CatalogModel, name: str) -> str:
    rule = (model.fields.members or {}).get(name)
    if rule is not None and rule.only_on is not None:
        return "refused"
    return "protected" if name in OWN_FIELDS - {"deliveryMethod"} else "passed"


def _image_mode(model: CatalogModel, name: str) -> str:
    if model.images is None or (name == "mask" and model.task != "imageInference"):
        return "refused"
    return "emulated" if name == "markup" or (name == "mask" and not model.images.mask) else "honored"


def _has_the_thing(model: CatalogModel, name: str) -> bool:
    """Whether the model has something that this field can be translated to."""
    if name in _SIZE_FIELDS:
        never = model.size_use is SizeUse.WITHOUT_IMAGES and Mode.GENERATE not in model.modes
        return model.sizes.kind != "automatic" and not (never and not model.resolutions)
    if name == "prompt":
        return model.prompt.use != "none"
    if name == "background" and (model.parameters.transparent_background or model.task == "removeBackground"):
        return True
    return name in model.choices or (name in _PARAMETERS and getattr(model.parameters, name) is not None)


def _limits(model: CatalogModel, name: str) -> dict[str, JSONValue]:
    """What narrows the field on this model."""
    if name == "prompt":
        limits: dict[str, JSONValue] = {"maxLength": model.prompt.max_chars or MAX_PROMPT_CHARS}
        return limits | ({"minLength": model.prompt.min_chars} if model.prompt.min_chars else {})
    if name in _PARAMETERS:
        return _parameter_limits(model, name)
    choice = model.choices.get(name)
    if choice is not None:
        rule = find_rule(model.fields, choice.field) if name in OPEN_CHOICES else None
        native = [*choice.values, *(rule.values or () if rule else ())]
        return {_FIELD: choice.field, "x-native": [*dict.fromkeys(native)], "x-nearest": [*choice.nearest]}
    if name == "size":
        return _native_sizes(model)
    if name == "n":
        return {"minimum": 1, "maximum": MAX_COUNT, "x-native-maximum": model.max_results}
    return _native_choices(model, name)


def _native_choices(model: CatalogModel, name: str) -> dict[str, JSONValue]:
    """What the model does by itself, where we do the rest."""
    if name == "resolution" and isinstance(model.sizes, FixedSizes):
        return {"x-native": list(model.resolutions or model.sizes.tiers)}
    if name == "output_format":
        native = [kind.value for kind in ImageFormat if NATIVE_FORMATS.get(kind) in model.formats]
        return {"x-native": [*native]}
    if name in IMAGE_FIELDS and name not in _SINGLE_IMAGES and model.images is not None:
        most = min(model.images.maximum or MAX_IMAGES, MAX_IMAGES)
        return {"x-minimum-items": model.images.minimum, "x-maximum-items": most}
    return {}


def _parameter_limits(model: CatalogModel, name: str) -> dict[str, JSONValue]:
    """The field a parameter goes to, and that field's range."""
    target = getattr(model.parameters, name)
    rule = (model.fields.members or {}).get(target or "")
    if target is None:
        return {}
    limits = _to_schema(rule) if rule is not None else {}
    return {_FIELD: target, **{key: value for key, value in limits.items() if key != "type"}}


def _native_sizes(model: CatalogModel) -> dict[str, JSONValue]:
    if isinstance(model.sizes, FixedSizes):
        return {"x-native": [f"{w}x{h}" for listed in model.sizes.tiers.values() for w, h in listed]}
    if isinstance(model.sizes, GridSizes):
        return {"x-native": model.sizes.model_dump(mode="json", exclude_none=True)}
    return {}


def _to_schema(rule: FieldRule) -> dict[str, JSONValue]:
    """A rule in the terms of JSON Schema; what these cannot say stays in `x-` members."""
    type_: JSONValue = [*_JSON_TYPES[rule.type]] if rule.type in _JSON_TYPES else rule.type
    schema: dict[str, JSONValue] = {
        "type": type_,
        "enum": None if rule.values is None else [*rule.values],
        "pattern": None if rule.pattern is None else f"^{rule.pattern}$",
        "minimum": rule.minimum,
        "maximum": rule.maximum,
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
