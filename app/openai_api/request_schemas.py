"""The bodies of requests as documentation, in JSON Schema: what the vocabulary says of each field. Pure.

/openapi.json and the schema of a model are made of these; what a model narrows is `model_schema`'s.
"""

from collections.abc import Mapping

from app.domain.words import JSONValue
from app.openai_api.vocabulary import BY_NAME, FIELDS, RUNWARE_FIELDS, Field, Kind

Schema = dict[str, JSONValue]

GENERATION, EDIT, EDIT_FORM, RUNWARE = "GenerationRequest", "EditRequest", "EditForm", "RunwareRequest"
"""The names of the schemas in the OpenAPI document."""
_IN_FORMS: Mapping[str, str] = {"model": "riverflow-1-mini", "prompt": "Give it a red hat"}
_NEEDS_IMAGE = "At least one image is required, in any of the image fields."
_NESTING = "Nested fields may use brackets: `lora[][model]`."
_BESIDE = "OpenAI's names may stand beside these and win; any other field goes to Runware."

_TEXT: Schema = {"type": "string"}
_DURATION: Schema = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? *[smhdSMHD]?$"}
_OBJECT_WITH_IMAGE: Schema = {"type": "object", "additionalProperties": _TEXT}
_IMAGES: Schema = {
    "anyOf": [_TEXT, _OBJECT_WITH_IMAGE, {"type": "array", "items": {"anyOf": [_TEXT, _OBJECT_WITH_IMAGE]}}],
    "description": "An http(s) address, a data URI, base64, a Runware image id, `{image_url}`, or a list of these.",
}
_FILE: Schema = {"type": "string", "format": "binary"}
_TYPES: Mapping[Kind, Schema] = {
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.OBJECT: {"type": "object", "additionalProperties": True},
    Kind.IMAGES: _IMAGES,
    Kind.IMAGE: _IMAGES,
}
_NATIVE_TYPES: Mapping[Kind, Schema] = {
    Kind.IMAGES: {"anyOf": [{"type": "array", "items": _TEXT}, _TEXT]},
    Kind.IMAGE: _TEXT,
}
"""Of Runware's fields, which take no objects."""


def describe_requests() -> dict[str, Schema]:
    """The schema of each form of a request body, under its name in the OpenAPI document."""
    fields: Schema = {field.name: describe_field(field) for field in FIELDS}
    files: Schema = {field.name: _describe_file(field) for field in FIELDS if field.as_file}
    texts: Schema = {
        field.name: _describe_text(field) for field in FIELDS if field.kind not in {Kind.IMAGES, Kind.IMAGE}
    }
    native: Schema = {field.name: describe_field(field) for field in (BY_NAME["model"], *RUNWARE_FIELDS)}
    bodies: tuple[tuple[str, str, Schema, list[JSONValue]], ...] = (
        (GENERATION, "An image from text, on some models guided by other images.", fields, ["prompt"]),
        (EDIT, f"Images changed as the prompt says. {_NEEDS_IMAGE}", fields, ["prompt"]),
        (EDIT_FORM, f"The same as a form, with images as files. {_NESTING}", {**texts, **files}, ["prompt", "image"]),
        (RUNWARE, f"A task as Runware prints it. {_BESIDE}", native, []),
    )
    return {
        # Other fields are the provider's and pass, so each schema allows them.
        name: {
            "title": name,
            "type": "object",
            "description": description,
            "properties": properties,
            "required": required,
            "additionalProperties": True,
        }
        for name, description, properties, required in bodies
    }


def describe_field(field: Field) -> Schema:
    """The schema of one field: what it takes on any model."""
    described: Schema = {"title": _title(field), "description": field.description}
    if field.kind is Kind.PROMPT:
        return {**_TEXT, **described}
    examples: list[JSONValue] = [*(field.choices if field.kind is Kind.OPEN_CHOICE else field.examples)]
    # SDKs send null for what was not set, so every field may be null.
    schema: Schema = {"anyOf": [_type_of(field), {"type": "null"}], "default": None, **described}
    return {**schema, "examples": examples} if examples else schema


def _describe_text(field: Field) -> Schema:
    """A field of a form, which has no null: a page that tries one out would send the word."""
    # Empty is as good as absent here; without an example such a page makes up a value, and sends it.
    shown: list[JSONValue] = [_IN_FORMS.get(field.name, "")]
    return {**_type_of(field), "title": _title(field), "description": field.description, "examples": shown}


def _type_of(field: Field) -> Schema:
    if field.kind is Kind.CHOICE:
        return {**_TEXT, "enum": [*field.choices]}
    if field.kind is Kind.DURATION:
        return {"anyOf": [{"type": "integer", "minimum": field.low, "maximum": field.high}, _DURATION]}
    if field.kind in {Kind.INTEGER, Kind.NUMBER}:
        return {**_TYPES[field.kind], "minimum": field.low, "maximum": field.high}
    native = _NATIVE_TYPES.get(field.kind) if field in RUNWARE_FIELDS else None
    return native or _TYPES.get(field.kind, _TEXT)


def _describe_file(field: Field) -> Schema:
    described: Schema = {"title": _title(field), "description": field.as_file}
    # The one part of a form that an edit cannot do without.
    if field.kind is Kind.IMAGES:
        return {"type": "array", "items": _FILE, **described}
    return {**_FILE, **described}


def _title(field: Field) -> str:
    return field.name.replace("_", " ").title()
