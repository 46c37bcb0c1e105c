"""Reads single values out of a request body, whether they came as JSON or as form text.

Each reader returns None for an absent, null or empty value and raises InvalidRequestError, naming the field and
the form it should have, for a wrong one. Images are `input_images`' affair.
"""

import re
from collections.abc import Collection, Mapping
from itertools import islice

from app.domain.request import SizeRequest
from app.domain.words import JSONValue
from app.errors import InvalidRequestError
from app.openai_api.vocabulary import MAX_SIDE, Field, Kind
from app.planning.sizing import tier_area
from app.settings.durations import FORMS, read_duration

Fields = Mapping[str, JSONValue]

_SCALE = re.compile(r"(\d{1,5}(?:\.\d{1,6})?)\s*(px|pixels)?", re.IGNORECASE)
_SMALLEST_SIDE, _LARGEST_SIDE = 100, 10_240
"""A bare number below is one of megapixels, one from here on the side of a square."""
_SHOWN = 60
# A word of a model's own is a word; anything longer is a mistake and would fill a message.
_LONGEST_CHOICE = 100
_NAMES_SHOWN = 5
# Forms and shells have no booleans.
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
# People type the sign for "times" and a star as well.
_EXACT = re.compile(r"(\d{1,6})\s*[xX\u00d7*]\s*(\d{1,6})")
_RATIO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*:\s*(\d{1,6}(?:\.\d{1,6})?)")


def show(value: JSONValue) -> str:
    """A value as it may appear in a message: short, and never a container's contents."""
    # Messages are logged and kept, and prompts and images must not be (0060).
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        names = ", ".join(f"`{name[:_SHOWN]}`" for name in islice(value, _NAMES_SHOWN))
        return f"an object with {names}" if names else "an empty object"
    text = repr(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def wrong(param: str, expected: str, value: JSONValue) -> InvalidRequestError:
    """The error for a value that is not what the field takes."""
    return InvalidRequestError(f"Invalid value for `{param}`: expected {expected}; got {show(value)}.", param=param)


def read_field(field: Field, fields: Fields) -> JSONValue | SizeRequest:
    """What a field says by its kind; a choice says what its word means."""
    name = field.name
    match field.kind:
        case Kind.TEXT:
            return read_text(fields, name)
        case Kind.CHOICE:
            word = read_choice(fields, name, field.choices)
            return None if word is None else field.choices[word]
        case Kind.OPEN_CHOICE:
            return _read_open_choice(fields, name, field.choices)
        case Kind.INTEGER | Kind.DURATION:
            read = read_integer if field.kind is Kind.INTEGER else read_seconds
            return read(fields, name, field.low, field.high)
        case Kind.NUMBER:
            return _read_number(fields, name, field.low, field.high)
        case Kind.BOOLEAN:
            return read_boolean(fields, name)
        case Kind.SIZE:
            return read_size(fields)
    return fields[name]


def read_text(fields: Fields, name: str) -> str | None:
    """A string; surrounding spaces and an empty string mean nothing."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong(name, "text", value)
    return value.strip() or None


def read_choice(fields: Fields, name: str, choices: Collection[str]) -> str | None:
    """One of `choices`, in any case."""
    text = read_text(fields, name)
    # Words are copied from pages in any case.
    if text is not None and text.lower() not in choices:
        raise wrong(name, f"one of {', '.join(choices)}", text)
    return None if text is None else text.lower()


def _read_open_choice(fields: Fields, name: str, usual: Collection[str]) -> str | None:
    """One of the usual values in any case, or any other that a model may have, numbers among them."""
    value = fields.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value) if is_number else read_text(fields, name)
    if text is not None and len(text) > _LONGEST_CHOICE:
        raise wrong(name, f"one of {', '.join(usual)}, or a word of the model's own", text)
    return text.lower() if text is not None and text.lower() in usual else text


def read_integer(fields: Fields, name: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, also as decimal text or with a zero fraction."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    number: int | None = None
    # Forms send numbers as text, and some SDKs send 1.0 for 1.
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,20}\s*", value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if number is None or not low <= number <= high:
        raise wrong(name, f"a whole number from {low} to {high}", value)
    return number


def _read_number(fields: Fields, name: str, low: float, high: float) -> float | int | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise wrong(name, "a number", value) from None
    # In Python true is also the number 1.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise wrong(name, f"a number from {low} to {high}", value)
    return value


def read_boolean(fields: Fields, name: str) -> bool | None:
    """A boolean, also as text in any case."""
    value = fields.get(name)
    if isinstance(value, str):
        text = value.strip().lower()
        if not text:
            return None
        if text in _TRUE | _FALSE:
            return text in _TRUE
    if value is None or isinstance(value, bool):
        return value
    raise wrong(name, "true or false", value)


def read_seconds(fields: Fields, name: str, low: int, high: int) -> int | None:
    """A duration in whole seconds from `low` to `high`, given as seconds or with a unit."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        seconds = -1.0 if isinstance(value, bool | list | dict) else read_duration(str(value))
    except ValueError:
        seconds = -1.0
    if not (seconds.is_integer() and low <= seconds <= high):
        raise wrong(name, f"{FORMS}, whole seconds from {low} to {high}", value)
    return int(seconds)


def read_size(fields: Fields) -> SizeRequest:
    """The size that `size`, `aspect_ratio` and `resolution` ask for together; `size` wins in what it says."""
    size = _read_measure(fields, "size") if "size" in fields else None
    aspect = _read_measure(fields, "aspect_ratio") if "aspect_ratio" in fields else None
    resolution = _read_measure(fields, "resolution") if "resolution" in fields else None
    exact, ratio, area = (None, None, None) if size is None else _parse_size(size)
    ignored = []
    if aspect is not None and (exact or ratio):
        ignored.append(("aspect_ratio", aspect))
    if resolution is not None and (exact or area):
        ignored.append(("resolution", resolution))
    says_shape = bool(exact or ratio)
    if not says_shape and aspect is not None:
        ratio = _parse_ratio(aspect)
    area_field = "resolution" if area is None else "size"
    # Judged only where it counts: what `size` overrides is reported, not refused.
    if not (exact or area) and resolution is not None:
        area = _parse_scale(resolution, bare_megapixels=True)
        if area is None:
            raise wrong("resolution", "a tier like 1K, 2K, 0.5K, megapixels like 1MP or 0.25, or a side", resolution)
    text = size if says_shape else aspect
    area_text = size if area_field == "size" else resolution if area else None
    ratio_field = "size" if says_shape else "aspect_ratio"
    return SizeRequest(exact, ratio, area, text or "", ratio_field, area_text or "", area_field, tuple(ignored))


def _read_measure(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    text = str(value) if is_number else read_text(fields, name)
    return None if text is None or text.lower() == "auto" else text


def _parse_size(text: str) -> tuple[tuple[int, int] | None, float | None, int | None]:
    """The dimensions, the shape or the area that a size is."""
    match = _EXACT.fullmatch(text)
    if match:
        width, height = int(match[1]), int(match[2])
        if 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE:
            return (width, height), None, None
    match = _RATIO.fullmatch(text)
    if match and float(match[1]) > 0 and float(match[2]) > 0:
        return None, float(match[1]) / float(match[2]), None
    area = _parse_scale(text, bare_megapixels=False)
    if area is None:
        raise wrong("size", "WIDTHxHEIGHT like 1024x1024, a ratio like 16:9, a tier like 2K, or auto", text)
    return None, None, area


def _parse_scale(text: str, *, bare_megapixels: bool) -> int | None:
    """The pixels of a tier, of a number of megapixels, or of a square whose side is given; None for anything else."""
    area = tier_area(text)
    match = _SCALE.fullmatch(text) if area is None else None
    if match is None:
        return area
    number = float(match[1])
    # A side is meant, as a unit or the size of the number says.
    if match[2] or number >= _SMALLEST_SIDE:
        return round(number * number) if _SMALLEST_SIDE <= number <= _LARGEST_SIDE else None
    return tier_area(f"{number}MP") if bare_megapixels else None


def _parse_ratio(text: str) -> float:
    match = _RATIO.fullmatch(text) or _EXACT.fullmatch(text)
    if match is None or float(match[1]) <= 0 or float(match[2]) <= 0:
        raise wrong("aspect_ratio", "a ratio like 16:9", text)
    return float(match[1]) / float(match[2])
