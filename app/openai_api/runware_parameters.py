"""Runware's own words for what OpenAI's API has words for: people move here with the requests they sent there. Pure.

`translate_fields` puts them into OpenAI's, so that one parser reads both. Where both are given and differ, OpenAI's
wins and the other is reported. Words without a counterpart stay as they are, those that are the gateway's own included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.domain.request import Delivery, IgnoredField, JSONValue
from app.errors import InvalidRequestError
from app.openai_api.readers import MAX_SIDE, Fields, read_choice, read_integer, wrong

MAX_RESULTS = 20
"""What one task of Runware's can make, and `n` where it is called `numberResults`."""
QUALITIES = (20, 99)
SYNONYMS: Mapping[str, str] = {
    "positivePrompt": "prompt",
    "negativePrompt": "negative_prompt",
    "width": "size",
    "height": "size",
    "numberResults": "n",
    "outputFormat": "output_format",
    "outputQuality": "output_compression",
    "outputType": "response_format",
    "webhookURL": "webhook_url",
    "referenceImages": "image",
    "seedImage": "image",
    "inputImage": "image",
    "maskImage": "mask",
}
"""Runware's names of what has another name here. `deliveryMethod` is a header here."""
_IMAGES = ("referenceImages", "seedImage", "inputImage")
_IMAGES_INSIDE = ("referenceImages", "seedImage", "image")
"""Members of `inputs` that are images here; with `maskImage` apart, any other goes along to Runware."""
_OWN_IMAGES = ("image", "images", "image_url", "reference_images")
_FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "svg": "svg"}
_OUTPUT_TYPES = {"url": Delivery.LINK, "base64data": Delivery.EMBEDDED, "datauri": Delivery.DATA_URI}
_RESPONSE_FORMATS = {"url": Delivery.LINK, "b64_json": Delivery.EMBEDDED}
_READ_HERE = frozenset({*SYNONYMS, "deliveryMethod", "inputs"})
RUNWARE_NAMES = _READ_HERE | {"taskType", "taskUUID", "includeCost", "apiKey"}
"""Every name of Runware's that has a meaning here, be it that the gateway sets it itself."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A body in OpenAI's words; `images` and `masks` are those that stood under Runware's names, by these.

    `names` holds what the caller called a word of OpenAI's that came out of another.
    """

    fields: Fields
    images: Fields = field(default_factory=dict)
    masks: Fields = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[IgnoredField, ...] = ()
    delivery: Delivery | None = None
    in_background: bool = False


def translate_fields(fields: Fields, *, has_images: bool, has_mask: bool) -> Translation:
    """The fields in OpenAI's words, raising InvalidRequestError for an illegal value of one of Runware's.

    `has_images` and `has_mask` say that the files of a form are some.
    """
    # The usual request has none of these words and pays nothing for them.
    if _READ_HERE.isdisjoint(fields):
        return Translation(fields)
    translated = {name: value for name, value in fields.items() if name not in _READ_HERE}
    names: dict[str, str] = {}
    ignored: list[IgnoredField] = []
    for native, own, value in _read_values(fields):
        said = translated.get(own)
        if said is None or said == "":
            translated[own], names[own] = value, native
        # Only a real contradiction is worth a report.
        elif not _are_same(said, value):
            ignored.append(_overridden(native, value, own))
    delivery = _read_output_type(fields, ignored)
    if delivery is not None:
        names["response_format"] = "outputType"
    rest, images, masks = _find_images(fields)
    if rest is not None:
        translated["inputs"] = rest
    if has_images or any(_is_given(fields, name) for name in _OWN_IMAGES):
        said = _flatten(fields.get(name) for name in _OWN_IMAGES)
        ignored += [_overridden(name, None, "image") for name in images if said != _flatten(images.values())]
        images = {}
    if has_mask or _is_given(fields, "mask"):
        ignored += [_overridden(name, None, "mask") for name, value in masks.items() if value != fields.get("mask")]
        masks = {}
    names |= {own: next(iter(found)) for own, found in (("image", images), ("mask", masks)) if found}
    in_background = read_choice(fields, "deliveryMethod", ("sync", "async")) == "async"
    return Translation(translated, images, masks, names, tuple(ignored), delivery, in_background)


def _read_values(fields: Fields) -> Iterable[tuple[str, str, JSONValue]]:
    """Runware's name, OpenAI's, and the value in OpenAI's form of every field that has a value."""
    format_ = read_choice(fields, "outputFormat", _FORMATS)
    values: tuple[tuple[str, JSONValue], ...] = (
        ("positivePrompt", fields.get("positivePrompt")),
        ("negativePrompt", fields.get("negativePrompt")),
        ("width", _read_dimensions(fields)),
        ("numberResults", read_integer(fields, "numberResults", 1, MAX_RESULTS)),
        ("outputFormat", None if format_ is None else _FORMATS[format_]),
        ("outputQuality", read_integer(fields, "outputQuality", *QUALITIES)),
        ("webhookURL", fields.get("webhookURL")),
    )
    return [(name, SYNONYMS[name], value) for name, value in values if value is not None and value != ""]


def _read_dimensions(fields: Fields) -> str | None:
    width, height = (read_integer(fields, name, 1, MAX_SIDE) for name in ("width", "height"))
    if width is None and height is None:
        return None
    if width is None or height is None:
        missing, given = ("width", "height") if width is None else ("height", "width")
        message = f"`{missing}` is missing: it must be given together with `{given}`."
        raise InvalidRequestError(message, param=missing, code="missing_required_parameter")
    return f"{width}x{height}"


def _read_output_type(fields: Fields, ignored: list[IgnoredField]) -> Delivery | None:
    """How the caller wants to get images; the older list of forms means its first."""
    value = fields.get("outputType")
    kinds = value if isinstance(value, list) else [value]
    if len(kinds) > len(_OUTPUT_TYPES):
        raise wrong("outputType", "one of URL, base64Data, dataURI", value)
    if not kinds or kinds[0] is None or kinds[0] == "":
        return None
    kind = kinds[0].strip().lower() if isinstance(kinds[0], str) else ""
    if kind not in _OUTPUT_TYPES:
        raise wrong("outputType", "one of URL, base64Data, dataURI", kinds[0])
    said = fields.get("response_format")
    if said is not None and said != "":
        if _RESPONSE_FORMATS.get(str(said).strip().lower()) is not _OUTPUT_TYPES[kind]:
            ignored.append(_overridden("outputType", kinds[0], "response_format"))
        return None
    ignored += [IgnoredField("outputType", other, "An image comes in one form: the first.") for other in kinds[1:]]
    return _OUTPUT_TYPES[kind]


def _find_images(fields: Fields) -> tuple[JSONValue, dict[str, JSONValue], dict[str, JSONValue]]:
    """What else stands in `inputs`, None where nothing does, and the images and masks under Runware's names."""
    images = {name: fields[name] for name in _IMAGES if _is_given(fields, name)}
    masks = {"maskImage": fields["maskImage"]} if _is_given(fields, "maskImage") else {}
    inputs = fields.get("inputs")
    if not isinstance(inputs, dict):
        return inputs, images, masks
    images |= {f"inputs.{name}": inputs[name] for name in _IMAGES_INSIDE if _is_given(inputs, name)}
    masks |= {"inputs.maskImage": inputs["maskImage"]} if _is_given(inputs, "maskImage") else {}
    rest = {name: value for name, value in inputs.items() if name not in {*_IMAGES_INSIDE, "maskImage"}}
    return rest or None, images, masks


def _is_given(fields: Fields, name: str) -> bool:
    return fields.get(name) not in (None, "", [], {})


def _are_same(said: JSONValue, value: JSONValue) -> bool:
    first, second = (str(one).strip().lower().replace("jpg", "jpeg") for one in (said, value))
    return first == second


def _flatten(values: Iterable[JSONValue]) -> list[JSONValue]:
    """The addresses and texts of images, however they are wrapped."""
    found: list[JSONValue] = []
    for value in values:
        if isinstance(value, list):
            found += _flatten(value)
        elif isinstance(value, dict):
            found += _flatten([value.get("image_url", value.get("url"))])
        elif value not in (None, ""):
            found.append(value)
    return found


def _overridden(name: str, value: JSONValue, own: str) -> IgnoredField:
    return IgnoredField(name, value, f"Your own `{own}` says it already.")
