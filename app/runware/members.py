"""Images and single members of Runware's answers, judged before anybody believes them. Pure.

What comes from outside may be a number beyond any machine, an endless text, a negative cost. Each is read here within
bounds, and what cannot be read is absent: never an error that would lose the paid image beside it. Base64 stays a raw
slice of the answer, so that megabytes are neither decoded nor copied before somebody needs them.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from math import isfinite
from typing import TypeAlias

import msgspec
from msgspec import Struct, field

Members = Mapping[str, msgspec.Raw]
Written: TypeAlias = msgspec.Raw | memoryview | None
"""The JSON of a member."""
JSONMember: TypeAlias = "bool | int | float | str | list[JSONMember] | dict[str, JSONMember] | None"

MAX_COST = Decimal(1000)
"""Dollars for one image; the dearest of the catalog costs less than one."""
# Nano-dollars, as the tables keep them: rounded here once, so that answer, record, ledger and webhook show one bill
# (0125). Runware's own prices have six digits.
_SMALLEST_EXPONENT = -9
_MAX_BALANCE = Decimal(10**12)
MAX_NUMBER_CHARS = 64
_MAX_TEXT_CHARS = 8192
MAX_INTEGER = 2**64 - 1
# Of one member that is handed on as it is.
_MAX_BYTES = 16 * 1024
_MAX_BYTES_TOGETHER = 64 * 1024
_MAX_DEPTH = 32
_MAX_SHOWN_CHARS = 80
_REMEMBERED_COSTS = 512
_IMAGE_MEMBERS = frozenset({"imageURL", "imageBase64Data", "imageDataURI"})
_PROGRESS_MEMBERS = frozenset({"taskType", "taskUUID", "status", "progress", "error"})
# What the caller sent is nothing that Runware says, and must not stand in the journal.
_ECHOED_MEMBERS = frozenset({"positivePrompt", "negativePrompt", "inputs", "webhookURL", "uploadEndpoint"})
NOT_OTHERS = _PROGRESS_MEMBERS | _IMAGE_MEMBERS | _ECHOED_MEMBERS
"""Members that are read for what they mean, or repeat the request; all others are handed on."""
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Image(Struct, frozen=True):
    """One finished image: an address, or base64 (a slice of the answer, without quotes).

    `nsfw` is there where it was checked; `others` has what else Runware said of it.
    """

    image_uuid: str | None
    url: str | None
    base64: memoryview | None
    seed: int | None
    cost: Decimal | None
    nsfw: bool | None = None
    others: Mapping[str, JSONMember] = field(default_factory=dict)


def read_text(members: Members, name: str) -> str | None:
    """A text that is not empty, None where there is none of a sensible length."""
    value = _read(members, name, _MAX_TEXT_CHARS)
    return value if isinstance(value, str) and value else None


def read_words(members: Members, *names: str) -> str:
    """The first of these members that says anything, as text; an object as its JSON."""
    for name in names:
        value = _read(members, name, _MAX_BYTES)
        if isinstance(value, str) and value:
            return value
        if value not in (None, "", {}, []):
            return bytes(members[name]).decode()
    return ""


def read_integer(members: Members, name: str) -> int | None:
    """A whole number from 0 to 2^64, None where there is none."""
    value = _read(members, name, MAX_NUMBER_CHARS)
    # Compared before it is converted: int() of a number with a huge exponent never ends.
    if isinstance(value, Decimal) and 0 <= value <= MAX_INTEGER and value == value.to_integral_value():
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INTEGER
    return value if isinstance(value, int) and whole else None


def read_boolean(members: Members, name: str) -> bool | None:
    """True or false, None where it is neither."""
    value = _read(members, name, MAX_NUMBER_CHARS)
    return value if isinstance(value, bool) else None


def read_cost(members: Members) -> Decimal | None:
    """What an image cost, None where that is not said or cannot be believed: negative, endless, no number, too dear."""
    text = bytes(members.get("cost", b"null"))
    # Before parsing: a number may be as long as the whole answer.
    return believe_cost(text) if len(text) <= MAX_NUMBER_CHARS else None


@lru_cache(maxsize=_REMEMBERED_COSTS)
def believe_cost(text: bytes) -> Decimal | None:
    """The same of a short text; images of one kind cost the same, so it is remembered."""
    try:
        cost = Decimal(text.decode("ascii").strip('"'))
    except (InvalidOperation, UnicodeDecodeError):
        return None
    # A negative or absurd cost would spoil every sum it goes into; unknown spoils none.
    if not (cost.is_finite() and 0 <= cost <= MAX_COST):
        return None
    exponent = cost.normalize().as_tuple().exponent
    too_fine = isinstance(exponent, int) and exponent < _SMALLEST_EXPONENT
    rounded = cost.quantize(Decimal((0, (1,), _SMALLEST_EXPONENT))) if too_fine else cost
    return None if rounded == 0 != cost else rounded


def read_balance(members: Members) -> Decimal | None:
    """The balance of an account, which may be below zero; None where none is said that can be believed."""
    text = bytes(members.get("balance", b"null"))
    if len(text) > MAX_NUMBER_CHARS:
        return None
    try:
        balance = Decimal(text.decode("ascii").strip('"'))
    except (InvalidOperation, UnicodeDecodeError):
        return None
    # Bounded before it is written out: a short text may be a number of a million digits.
    if not (balance.is_finite() and balance.copy_abs() <= _MAX_BALANCE):
        return None
    return round(balance, -_SMALLEST_EXPONENT).normalize() + 0


def quote_cost(item: Members) -> str | None:
    """The cost as it is written, None where nothing is said."""
    text = bytes(item.get("cost", b"null"))[: _MAX_SHOWN_CHARS * 4].decode(errors="replace")[:_MAX_SHOWN_CHARS]
    return None if text == "null" else text


def has_image(item: Members) -> bool:
    """Whether an entry gives an image at all, readable or not."""
    return any(len(memoryview(item[name])) > len('""') for name in _IMAGE_MEMBERS if name in item)


def read_image(item: Members) -> Image | None:
    """The image that an entry describes; None where it has neither an address nor base64."""
    base64 = read_base64(item.get("imageBase64Data"), item.get("imageDataURI"))
    url = read_text(item, "imageURL")
    if url is None and base64 is None:
        return None
    uuid, seed, nsfw = read_text(item, "imageUUID"), read_integer(item, "seed"), read_boolean(item, "NSFWContent")
    understood = {"imageUUID": uuid, "seed": seed, "NSFWContent": nsfw}
    known = {name for name, value in understood.items() if value is not None} | {"cost"}
    others = read_others(item, known | NOT_OTHERS)
    return Image(uuid, url, base64, seed, read_cost(item), nsfw, others)


def read_base64(data: Written, uri: Written) -> memoryview | None:
    """The base64 in a text or a data URI, as they are written; None where neither has any."""
    return _unquote(data) or _strip_data_uri(_unquote(uri))


def _unquote(raw: Written) -> memoryview | None:
    view = memoryview(raw or b"")
    if len(view) <= len('""') or view[0] != ord('"'):
        return None
    inner = view[1:-1]
    if b"\\" in bytes(inner[:256]):  # a server that escapes slashes does it early and often
        return memoryview(msgspec.json.decode(view, type=str).encode())
    return inner


def _strip_data_uri(view: memoryview | None) -> memoryview | None:
    if view is None:
        return None
    header, comma, _ = bytes(view[:128]).partition(b",")
    return view[len(header) + 1 :] if comma else view


def read_others(members: Members, known: Collection[str]) -> dict[str, JSONMember]:
    """The members that have no meaning here, as they are; what is too large or cannot be read is left out.

    What is nested beyond what every reader follows is given as text.
    """
    others: dict[str, JSONMember] = {}
    remaining = _MAX_BYTES_TOGETHER
    for name, raw in members.items():
        size = len(name) + len(memoryview(raw))
        # Bounded each and together: these are handed to the caller and stored with the answer.
        if name in known or size > min(_MAX_BYTES, remaining):
            continue
        remaining -= size
        try:
            others[name] = _to_plain(_decoder.decode(raw), _MAX_DEPTH)
        except _TooDeepError:
            others[name] = bytes(raw).decode(errors="replace")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return others


def _read(members: Members, name: str, max_bytes: int) -> object:
    raw = members.get(name)
    if raw is None or len(memoryview(raw)) > max_bytes:
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
        return value if -(2**63) <= value <= MAX_INTEGER else str(value)
    return str(value)
