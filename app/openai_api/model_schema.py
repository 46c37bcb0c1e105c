"""What one model accepts here, as a JSON Schema: every field with its range and its mode on this model. Pure.

Modes: `honored`, `converted` (made by us afterwards), `emulated` (same meaning by other means), `recorded`, and
`dropped` (and reported). They restate what `generation` decides; tests hold the two together.
"""

from app.catalog.model import CatalogModel, FixedSizes, GridSizes, Mode, SizeUse
from app.generation.normalize import MAX_PROMPT_CHARS
from app.generation.types import NATIVE_FORMATS, JSONValue, PictureFormat
from app.openai_api.parse import CHOICES, INTEGERS, MAX_COUNT, RECORDED
from app.openai_api.pictures import MAX_PICTURES
from app.openai_api.schemas import GenerationRequest

_SIZE_FIELDS = ("size", "aspect_ratio", "resolution")
_PICTURE_FIELDS = ("image", "images", "image_url", "reference_images")
_WORDS = ("seed", "negative_prompt", "guidance_scale", "num_inference_steps")
_MODE = "x-spillway-mode"


def describe_model(model: CatalogModel) -> dict[str, JSONValue]:
    """The schema of a request for `model`."""
    base = GenerationRequest.model_json_schema()["properties"]
    properties: dict[str, JSONValue] = {}
    for name, schema in base.items():
        properties[name] = {**schema, _MODE: field_mode(model, name), **_limits(model, name)}
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
    }


def field_mode(model: CatalogModel, name: str) -> str:
    """What happens to a field on this model."""
    if name in RECORDED:
        return "recorded"
    if name in {*_WORDS, *CHOICES, *INTEGERS, *_SIZE_FIELDS, "svg", "background", "prompt"}:
        return "honored" if _has_the_thing(model, name) else "dropped"
    if name in {"mask", "markup"}:
        takes_mask = name == "mask" and model.pictures is not None and model.pictures.mask
        return "honored" if takes_mask else "emulated"
    return {"n": "honored" if model.max_results > 1 else "emulated", "fit": "converted"}.get(name, "honored")


def _has_the_thing(model: CatalogModel, name: str) -> bool:
    """Whether the model has something that this word can be translated to."""
    if name in _SIZE_FIELDS:
        return model.sizes.kind != "automatic"
    if name == "prompt":
        return model.prompt.use != "none"
    if name == "background" and model.words.transparent_background:
        return True
    return name in model.choices or (name in _WORDS and getattr(model.words, name) is not None)


def _limits(model: CatalogModel, name: str) -> dict[str, JSONValue]:
    """What narrows the field on this model."""
    if name == "prompt":
        limits: dict[str, JSONValue] = {"maxLength": model.prompt.max_chars or MAX_PROMPT_CHARS}
        return limits | ({"minLength": model.prompt.min_chars} if model.prompt.min_chars else {})
    if name == "size":
        return _native_sizes(model)
    choice = model.choices.get(name)
    if choice is not None:
        return {"x-native": [*choice.values], "x-nearest": [*choice.nearest]}
    if name == "resolution" and isinstance(model.sizes, FixedSizes):
        return {"x-native": list(model.resolutions or model.sizes.tiers)}
    if name == "output_format":
        native = [kind.value for kind in PictureFormat if NATIVE_FORMATS.get(kind) in model.formats]
        return {"x-native": [*native]}
    if name == "n":
        return {"minimum": 1, "maximum": MAX_COUNT, "x-native-maximum": model.max_results}
    if name in _PICTURE_FIELDS and model.pictures is not None:
        most = min(model.pictures.maximum or MAX_PICTURES, MAX_PICTURES)
        return {"x-minimum-items": model.pictures.minimum, "x-maximum-items": most}
    return {}


def _native_sizes(model: CatalogModel) -> dict[str, JSONValue]:
    if isinstance(model.sizes, FixedSizes):
        return {"x-native": [f"{w}x{h}" for listed in model.sizes.tiers.values() for w, h in listed]}
    if isinstance(model.sizes, GridSizes):
        return {"x-native": model.sizes.model_dump(mode="json", exclude_none=True)}
    return {}


def capabilities_of(model: CatalogModel) -> list[str]:
    """Short words a client may choose by."""
    found = ["generation"] if Mode.GENERATE in model.modes else []
    if Mode.EDIT in model.modes:
        found.append("editing")
    if model.pictures is not None:
        found += ["inpainting"] if model.pictures.mask else []
        found += ["multiple-images"] if model.pictures.maximum != 1 else []
    if model.words.seed:
        found.append("seed")
    if model.words.transparent_background:
        found.append("transparency")
    if model.size_use is not SizeUse.REQUIRED and model.sizes.kind == "automatic":
        found.append("automatic-size")
    return found
