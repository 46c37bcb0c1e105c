"""Runware's own names for what has another name here: people move here with the requests they sent there. Pure.

`translate_body` puts them into OpenAI's, so that one parser reads both. Where both are given and differ, OpenAI's wins
and the other is reported. Names without a counterpart stay as they are, the gateway's own included (0015).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from app.domain.request import IgnoredField
from app.domain.words import Delivery, JSONValue
from app.errors import InvalidRequestError
from app.openai_api.input_images import FilePart, has_images, has_mask
from app.openai_api.readers import Fields, read_choice, read_integer, wrong
from app.openai_api.vocabulary import BY_NAME, SYNONYMS, Kind, names_of, natives_of

_OWN_IMAGES = names_of(Kind.IMAGES)
_IMAGES = natives_of(*_OWN_IMAGES)
_IMAGES_INSIDE = ("referenceImages", "seedImage", "image")
"""Members of `inputs` that are images here; with `maskImage` apart, any other goes along to Runware."""
_FORMATS = {word.lower(): meaning for word, meaning in BY_NAME["outputFormat"].choices.items()}
_OUTPUT_TYPES = {word.lower(): meaning for word, meaning in BY_NAME["outputType"].choices.items()}
_ONE_FORM = "An image comes in one form: the first."
_READ_HERE = frozenset({*SYNONYMS, "deliveryMethod", "inputs"})


@dataclass(frozen=True, slots=True)
class Translation:
    """A body in OpenAI's names; `images` and `masks` are those that stood under Runware's names, by these.

    `names` holds what the caller called a field of OpenAI's that came out of another.
    """

    fields: Fields
    images: Fields = field(default_factory=dict)
    masks: Fields = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[IgnoredField, ...] = ()
    delivery: Delivery | None = None
    in_background: bool = False


def translate_body(fields: Fields, files: Sequence[FilePart]) -> Translation:
    """A body in OpenAI's names, raising InvalidRequestError for an illegal value under one of Runware's."""
    if _READ_HERE.isdisjoint(fields):
        return Translation(fields, names=_names_of(files))
    translated = {name: value for name, value in fields.items() if name not in _READ_HERE}
    names: dict[str, str] = {}
    ignored: list[IgnoredField] = []
    for native, own, value in _read_values(fields):
        said = translated.get(own)
        # The name of OpenAI wins (0067).
        if said is None or said == "":
            translated[own], names[own] = value, native
        # Only a real contradiction is worth a report.
        elif not _are_same(said, value):
            ignored.append(_overridden(native, value, own))
    delivery, other_forms = _read_output_type(fields)
    ignored += other_forms
    rest, images, masks = _find_images(fields)
    translated |= {} if rest is None else {"inputs": rest}
    if has_images(files) or any(_is_given(fields, name) for name in _OWN_IMAGES):
        ignored += _other_images(fields, images)
        images = {}
    if has_mask(files) or _is_given(fields, "mask"):
        ignored += [_overridden(name, None, "mask") for name in masks if masks[name] != fields.get("mask")]
        masks = {}
    in_background = read_choice(fields, "deliveryMethod", BY_NAME["deliveryMethod"].choices) == "async"
    forms = {} if delivery is None else {"outputType": delivery}
    found = (("response_format", forms), ("image", images), ("mask", masks))
    names = {**_names_of(files), **names, **{own: next(iter(one)) for own, one in found if one}}
    return Translation(translated, images, masks, names, tuple(ignored), delivery, in_background)


def _names_of(files: Sequence[FilePart]) -> Mapping[str, str]:
    """What the caller called files that have another name here, where none has that name itself."""
    called = {part.name for part in files if part.content}
    return {SYNONYMS[name]: name for name in sorted(called & SYNONYMS.keys()) if SYNONYMS[name] not in called}


def _read_values(fields: Fields) -> list[tuple[str, str, JSONValue]]:
    """Runware's name, OpenAI's, and the value in OpenAI's form of every field that has a value.

    Texts are only passed on here: they are judged with OpenAI's.
    """
    format_ = read_choice(fields, "outputFormat", _FORMATS)
    values: tuple[tuple[str, JSONValue], ...] = (
        ("positivePrompt", fields.get("positivePrompt")),
        ("negativePrompt", fields.get("negativePrompt")),
        ("width", _read_dimensions(fields)),
        ("numberResults", _read_bounded(fields, "numberResults")),
        ("outputFormat", None if format_ is None else _FORMATS[format_]),
        ("outputQuality", _read_bounded(fields, "outputQuality")),
        ("webhookURL", fields.get("webhookURL")),
    )
    return [(name, SYNONYMS[name], value) for name, value in values if value is not None and value != ""]


def _read_bounded(fields: Fields, name: str) -> int | None:
    return read_integer(fields, name, BY_NAME[name].low, BY_NAME[name].high)


def _read_dimensions(fields: Fields) -> str | None:
    width, height = _read_bounded(fields, "width"), _read_bounded(fields, "height")
    if width is None and height is None:
        return None
    # Guessing the other side would buy an image of the wrong shape.
    if width is None or height is None:
        missing, given = ("width", "height") if width is None else ("height", "width")
        message = f"`{missing}` is missing: it must be given together with `{given}`."
        raise InvalidRequestError(message, param=missing, code="missing_required_parameter")
    return f"{width}x{height}"


def _read_output_type(fields: Fields) -> tuple[Delivery | None, list[IgnoredField]]:
    """How the caller wants to get images, and what it named beside that."""
    value = fields.get("outputType")
    # The first form of this field took a list, though an image comes in one form only.
    kinds = value if isinstance(value, list) else [value]
    expected = f"one of {', '.join(BY_NAME['outputType'].choices)}"
    # Each further form is reported, so their number is bounded.
    if len(kinds) > len(_OUTPUT_TYPES):
        raise wrong("outputType", expected, value)
    if not kinds or kinds[0] is None or kinds[0] == "":
        return None, []
    kind = kinds[0].strip().lower() if isinstance(kinds[0], str) else ""
    if kind not in _OUTPUT_TYPES:
        raise wrong("outputType", expected, kinds[0])
    delivery = cast("Delivery", _OUTPUT_TYPES[kind])
    said = fields.get("response_format")
    if said is None or said == "":
        return delivery, [IgnoredField("outputType", other, _ONE_FORM) for other in kinds[1:]]
    meant = BY_NAME["response_format"].choices.get(str(said).strip().lower())
    return None, [] if meant is delivery else [_overridden("outputType", kinds[0], "response_format")]


def _find_images(fields: Fields) -> tuple[JSONValue, dict[str, JSONValue], dict[str, JSONValue]]:
    """What else stands in `inputs`, None where nothing does, and the images and masks under Runware's names."""
    images = {name: fields[name] for name in _IMAGES if _is_given(fields, name)}
    masks = {"maskImage": fields["maskImage"]} if _is_given(fields, "maskImage") else {}
    inputs = fields.get("inputs")
    if not isinstance(inputs, dict):
        return inputs, images, masks
    # By the names they stood under, which errors must give back.
    images |= {f"inputs.{name}": inputs[name] for name in _IMAGES_INSIDE if _is_given(inputs, name)}
    masks |= {"inputs.maskImage": inputs["maskImage"]} if _is_given(inputs, "maskImage") else {}
    rest = {name: value for name, value in inputs.items() if name not in {*_IMAGES_INSIDE, "maskImage"}}
    return rest or None, images, masks


def _other_images(fields: Fields, images: Fields) -> list[IgnoredField]:
    """The images under Runware's names that OpenAI's do not repeat; a client may send both."""
    said = _flatten(fields.get(name) for name in _OWN_IMAGES)
    return [_overridden(name, None, "image") for name in images if said != _flatten(images.values())]


def _is_given(fields: Fields, name: str) -> bool:
    return fields.get(name) not in (None, "", [], {})


def _are_same(said: JSONValue, value: JSONValue) -> bool:
    # Two spellings of one format are no contradiction to report.
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
