"""Single members of Runware's answers, judged before anybody believes them. Pure.

What comes from outside may be a number beyond any machine, an endless text, a negative cost. Each is read here within
bounds, and what cannot be read is absent: never an error that would lose the paid image beside it.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import TypeAlias

import msgspec

Members = Mapping[str, msgspec.Raw]
JSONMember: TypeAlias = "bool | int | float | str | list[JSONMember] | dict[str, JSONMember] | None"

MAX_COST = Decimal(1000)
"""Dollars for one image; the dearest of the catalog costs less than one."""
_SMALLEST_EXPONENT = -18
"""Finer than that no price is, and the journal's columns hold no more."""
_LONGEST_NUMBER = 64
_LONGEST_TEXT = 8192
_LARGEST_INTEGER = 2**64 - 1
_MOST_BYTES = 16 * 1024
"""Of one member that is handed on as it is."""
_MOST_BYTES_TOGETHER = 64 * 1024
_DEEPEST = 32
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def read_text(members: Members, name: str) -> str | None:
    """A text that is not empty, None where there is none of a sensible length."""
    value = _read(members, name, _LONGEST_TEXT)
    return value if isinstance(value, str) and value else None


def read_words(members: Members, *names: str) -> str:
    """The first of these members that says anything, as text; an object as its JSON."""
    for name in names:
        value = _read(members, name, _MOST_BYTES)
        if isinstance(value, str) and value:
            return value
        if value not in (None, "", {}, []):
            return bytes(members[name]).decode()
    return ""


def read_integer(members: Members, name: str) -> int | None:
    """A whole number from 0 to 2^64, None where there is none."""
    value = _read(members, name, _LONGEST_NUMBER)
    # Compared before it is converted: int() of a number with a huge exponent takes for ever.
    if isinstance(value, Decimal) and 0 <= value <= _LARGEST_INTEGER and value == value.to_integral_value():
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_INTEGER
    return value if isinstance(value, int) and whole else None


def read_boolean(members: Members, name: str) -> bool | None:
    """True or false, None where it is neither."""
    value = _read(members, name, _LONGEST_NUMBER)
    return value if isinstance(value, bool) else None


def read_cost(members: Members) -> Decimal | None:
    """What an image cost, None where that is not said or cannot be believed: negative, endless, no number, too dear."""
    text = bytes(members.get("cost", b"null"))
    if len(text) > _LONGEST_NUMBER:
        return None
    try:
        cost = Decimal(text.decode("ascii").strip('"'))
    except (InvalidOperation, UnicodeDecodeError):
        return None
    if not (cost.is_finite() and 0 <= cost <= MAX_COST):
        return None
    exponent = cost.normalize().as_tuple().exponent
    too_fine = isinstance(exponent, int) and exponent < _SMALLEST_EXPONENT
    rounded = cost.quantize(Decimal((0, (1,), _SMALLEST_EXPONENT))) if too_fine else cost
    return None if rounded == 0 != cost else rounded


def read_others(members: Members, known: Collection[str]) -> dict[str, JSONMember]:
    """The members that have no meaning here, as they are; what is too large or cannot be read is left out.

    What is nested beyond what every reader follows is given as text.
    """
    others: dict[str, JSONMember] = {}
    left = _MOST_BYTES_TOGETHER
    for name, raw in members.items():
        size = len(name) + len(memoryview(raw))
        if name in known or size > min(_MOST_BYTES, left):
            continue
        left -= size
        try:
            others[name] = _to_plain(_decoder.decode(raw), _DEEPEST)
        except _TooDeepError:
            others[name] = bytes(raw).decode(errors="replace")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return others


def _read(members: Members, name: str, most_bytes: int) -> object:
    raw = members.get(name)
    if raw is None or len(memoryview(raw)) > most_bytes:
        return None
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _TooDeepError(Exception):
    """A value is nested deeper than every reader follows."""


def _to_plain(value: object, levels: int) -> JSONMember:
    """JSON that every reader takes: a number that no machine holds becomes its text."""
    if not levels:
        raise _TooDeepError
    if isinstance(value, dict):
        return {str(name): _to_plain(inner, levels - 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [_to_plain(inner, levels - 1) for inner in value]
    if isinstance(value, Decimal):
        number = float(value)
        return number if isfinite(number) else str(value)
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value <= _LARGEST_INTEGER else str(value)
    return str(value)
