"""Reads single values out of a request body, whether they came as JSON or as form text.

Each reader returns None for an absent, null or empty value and raises InvalidRequestError, naming the field and
the form it should have, for a wrong one.
"""

import re
from collections.abc import Collection, Mapping
from itertools import islice

from app.domain.request import JSONValue, SizeRequest
from app.errors import InvalidRequestError
from app.planning.sizing import tier_area

Fields = Mapping[str, JSONValue]

MAX_SEED = 2**63 - 1
MAX_SIDE = 65_536
_SHOWN = 60
_NAMES_SHOWN = 5
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_EXACT = re.compile(r"(\d{1,6})\s*[xX\u00d7*]\s*(\d{1,6})")
_RATIO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*:\s*(\d{1,6}(?:\.\d{1,6})?)")


def show(value: JSONValue) -> str:
    """A value as it may appear in a message: short, and never a container's contents."""
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
    if text is not None and text.lower() not in choices:
        raise wrong(name, f"one of {', '.join(choices)}", text)
    return None if text is None else text.lower()


def read_integer(fields: Fields, name: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, also as decimal text or with a zero fraction."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    number: int | None = None
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,20}\s*", value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if number is None or not low <= number <= high:
        raise wrong(name, f"a whole number from {low} to {high}", value)
    return number


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


def read_size(fields: Fields) -> SizeRequest:
    """The wish that `size`, `aspect_ratio` and `resolution` express together; `size` wins."""
    size, aspect, resolution = (_read_wish(fields, name) for name in ("size", "aspect_ratio", "resolution"))
    exact, ratio, ratio_field, ignored = None, None, "aspect_ratio", []
    if size is not None:
        exact, ratio = _parse_size(size)
        ratio_field = "size"
        ignored = [("aspect_ratio", aspect)] if aspect is not None else []
        if exact and resolution is not None:
            ignored.append(("resolution", resolution))
            resolution = None
    elif aspect is not None:
        ratio = _parse_ratio(aspect)
    area = None
    if resolution is not None:
        area = tier_area(resolution)
        if area is None:
            raise wrong("resolution", "a tier like 1K, 2K, 0.5K or 1MP", resolution)
    text = size if size is not None else aspect or ""
    return SizeRequest(exact, ratio, area, text, ratio_field, resolution or "", tuple((k, v) for k, v in ignored if v))


def _read_wish(fields: Fields, name: str) -> str | None:
    text = read_text(fields, name)
    return None if text is None or text.lower() == "auto" else text


def _parse_size(text: str) -> tuple[tuple[int, int] | None, float | None]:
    match = _EXACT.fullmatch(text)
    if match:
        width, height = int(match[1]), int(match[2])
        if 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE:
            return (width, height), None
    match = _RATIO.fullmatch(text)
    if match and float(match[1]) > 0 and float(match[2]) > 0:
        return None, float(match[1]) / float(match[2])
    raise wrong("size", "WIDTHxHEIGHT like 1024x1024, a ratio like 16:9, or auto", text)


def _parse_ratio(text: str) -> float:
    match = _RATIO.fullmatch(text) or _EXACT.fullmatch(text)
    if match is None or float(match[1]) <= 0 or float(match[2]) <= 0:
        raise wrong("aspect_ratio", "a ratio like 16:9", text)
    return float(match[1]) / float(match[2])
