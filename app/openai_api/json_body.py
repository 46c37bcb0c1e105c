"""Decodes JSON from strangers within bounds: how many values, how deep, how much of it beside long texts. Pure.

`StructureGuard` counts while the bytes arrive, so that a bomb is refused before it is whole; objects are built only of
what passed. Long texts (images in base64) are cut out first: decoding them at once would hold the interpreter for a
tenth of a second, finding their ends does not. What fields mean is `parse`'s affair.
"""

import json
import re
from functools import partial
from math import isfinite
from typing import NoReturn

import msgspec

from app.domain.words import JSONValue
from app.errors import InvalidRequestError

MAX_STRUCTURE = 100_000
"""Commas, brackets, braces and quotation marks of one body, those within texts included. Every value costs at least
one, and no honest request has a tenth of it."""
MAX_DEPTH = 64
INLINE_BYTES = 256 * 1024
"""Larger bodies are decoded in a thread."""
_LONG_TEXT = 4096
_MAX_REST = 4 * 1024 * 1024
"""What may remain beside the long texts: one call decodes it."""
_MAX_ESCAPED = 1024 * 1024
_AT_ONCE = 1024 * 1024
"""Of a long text with escapes: one call on all of it would hold the interpreter for as long as it takes."""
_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'",{[')))
_BACKSLASH = 0x5C
_ESCAPES = ((rb"\/", b"/"), (rb"\r", b"\r"), (rb"\n", b"\n"), (rb"\u002B", b"+"), (rb"\u002b", b"+"))
"""What serializers write in base64: PHP its slashes, .NET its plus signs, some wrap lines."""
_MARK = re.compile("\x00text (\\d+)\x00")


class StructureGuard:
    """Feed it a body as it arrives: it raises InvalidRequestError as soon as there is too much structure in it."""

    def __init__(self) -> None:
        self._count = 0

    def feed(self, chunk: bytes | bytearray, param: str = "body") -> None:
        """Take the next bytes."""
        # Nearly all of a large body is base64, which has none of these; to see that costs a tenth of counting.
        if not (b'"' in chunk or b"," in chunk or b"{" in chunk or b"[" in chunk):
            return
        # Counted, not parsed: it must be cheaper than what it protects from (0016).
        self._count += len(chunk.translate(None, _NOT_STRUCTURE))
        if self._count > MAX_STRUCTURE:
            message = f"The request holds too many values: more than {MAX_STRUCTURE} commas, brackets and quotes."
            raise _too_complex(message, param)


def decode_object(body: bytes | bytearray) -> dict[str, JSONValue]:
    """The object in a JSON body that passed the guard, raising InvalidRequestError for anything else.

    A list of one object is that object: Runware's clients send it so.
    """
    if not body or body.isspace():
        raise InvalidRequestError("The request body is empty: send a JSON object with a `prompt`.", param="body")
    value = decode_value(body)
    if isinstance(value, dict):
        return value
    # Several purchases under one id and one key could not be distinguished afterwards.
    if isinstance(value, list) and len(value) > 1:
        message = f"The request body is a list of {len(value)} requests: send them one by one."
        raise InvalidRequestError(message, param="body")
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        raise InvalidRequestError('The request body must be a JSON object like {"prompt": "a cat"}.', param="body")
    return value


def decode_value(text: bytes | bytearray, param: str = "body") -> JSONValue:
    """The value of a JSON text that passed the guard; `param` is where the text stood."""
    if len(text) <= INLINE_BYTES:
        value = _decode(text, param)
        # Fewer brackets than levels cannot nest too deep; the usual request is not walked through.
        if text.count(b"[") + text.count(b"{") >= MAX_DEPTH:
            _refuse_deep(value, param)
        return value
    # Decoding megabytes of base64 holds the interpreter, and every other request with it.
    rest, cut = _cut_texts(text, param)
    value = _decode(rest, param)
    _refuse_deep(value, param)
    remaining = dict(enumerate(cut))
    value = _put_back(value, remaining, param)
    if remaining:
        raise InvalidRequestError("The request holds a name that is too long.", param=param)
    return value


def refuse_lone_surrogates(name: str, value: JSONValue) -> None:
    """Raise InvalidRequestError for half a character, which no UTF-8 can carry."""
    try:
        json.dumps([name, value], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        safe = name.encode("utf-8", "replace").decode()
        message = f"`{safe}` contains a lone surrogate (half of a character): send valid Unicode text."
        raise InvalidRequestError(message, param=safe) from None


def _decode(text: bytes | bytearray, param: str) -> JSONValue:
    try:
        value: JSONValue = msgspec.json.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        # Twice the work, but only for what is wrong or odd.
        value = _decode_slowly(text, param)
    except RecursionError:
        _refuse_depth(param)
    return value


def _decode_slowly(text: bytes | bytearray, param: str) -> JSONValue:
    """What the fast decoder refused: a byte order mark, raw line breaks, or a fault that deserves its own sentence."""
    what = "The request body" if param == "body" else f"`{param}`"
    refuse_constant = partial(_refuse_constant, what, param)
    try:
        value: JSONValue = json.loads(
            text.decode("utf-8-sig"), parse_constant=refuse_constant, parse_float=_read_float, strict=False
        )
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{what} is not valid UTF-8.", param=param) from None
    except json.JSONDecodeError as error:
        message = f"{what} is not valid JSON (line {error.lineno}, column {error.colno})."
        raise InvalidRequestError(message, param=param) from None
    except RecursionError:
        _refuse_depth(param)
    except ValueError:  # Python refuses to read numbers of thousands of digits
        raise InvalidRequestError(f"{what} holds a number that is too large.", param=param) from None
    if isinstance(value, dict):
        for name, member in value.items():
            refuse_lone_surrogates(name, member)
    return value


def _read_float(text: str) -> float:
    """The number, raising ValueError for one that no JSON could say again."""
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


def _refuse_constant(what: str, param: str, name: str) -> NoReturn:
    raise InvalidRequestError(f"{what} is not valid JSON: {name} is not a JSON number.", param=param)


def _refuse_deep(value: JSONValue, param: str) -> None:
    """Raise InvalidRequestError for what later stages, which follow nesting by recursion, could not follow."""
    level = [value]
    # A level at a time: walking by recursion is what is to be prevented.
    for _ in range(MAX_DEPTH):
        outer = [one for one in level if isinstance(one, dict | list)]
        level = [inner for one in outer for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return
    _refuse_depth(param)


def _refuse_depth(param: str) -> NoReturn:
    raise _too_complex(f"The request is nested more than {MAX_DEPTH} levels deep.", param)


def _too_complex(message: str, param: str) -> InvalidRequestError:
    return InvalidRequestError(message, param=param, code="too_complex")


def _cut_texts(text: bytes | bytearray, param: str) -> tuple[bytes, list[str]]:
    """The JSON with a mark in place of every long text, and these texts in order."""
    rest, cut, position = bytearray(), list[str](), 0
    while position < len(text):
        start = text.find(b'"', position)
        end = _end_of_text(text, start) if start >= 0 else -1
        is_long = end - start > _LONG_TEXT
        next_position = end + 1 if end >= 0 else len(text)
        until = start if is_long else next_position
        if len(rest) + until - position > _MAX_REST:
            raise _too_complex(f"The request holds more than {_MAX_REST >> 20} MiB beside its long texts.", param)
        rest += text[position:until]
        if is_long:
            # JSON texts hold no raw NUL; a mark that a caller wrote escaped is found out in `_put_back`.
            rest += rb'"\u0000text %d\u0000"' % len(cut)
            cut.append(_decode_text(text, start + 1, end, param))
        position = next_position
    return bytes(rest), cut


def _end_of_text(text: bytes | bytearray, start: int) -> int:
    """Where the quotation mark stands that ends the text which begins at `start`, or -1."""
    before, end = start, text.find(b'"', start + 1)
    while end > 0 and text[end - 1] == _BACKSLASH:
        inner = text[max(before + 1, end - _MAX_ESCAPED - 1) : end]  # with more of them it is refused anyway
        # An odd number of backslashes: this quotation mark belongs to the text.
        if (len(inner) - len(inner.rstrip(b"\\"))) % 2 == 0:
            break
        before, end = end, text.find(b'"', end + 1)
    return end


def _decode_text(text: bytes | bytearray, start: int, end: int, param: str) -> str:
    try:
        if text.find(b"\\", start, end) < 0:
            return str(memoryview(text)[start:end], "utf-8")  # without a copy in between
        plain = _unescape(text, start, end)
        if plain is not None:
            return plain.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("The request holds a text that is not valid UTF-8.", param=param) from None
    if end - start > _MAX_ESCAPED:
        raise _too_complex(f"The request holds a text of more than {_MAX_ESCAPED >> 20} MiB with escapes in it.", param)
    value = _decode(b'"%b"' % bytes(text[start:end]), param)
    refuse_lone_surrogates(param, value)
    return value if isinstance(value, str) else ""


def _unescape(text: bytes | bytearray, start: int, end: int) -> bytearray | None:
    """The text without its escapes, None where it has others than those of base64."""
    plain, position = bytearray(), start
    while position < end:
        until = min(position + _AT_ONCE, end)
        last = text.rfind(b"\\", position + 1, until)
        if until < end and last > 0:
            until = last  # no escape is cut in two
        piece = bytes(text[position:until])
        # Any other escape is left to the decoder, which knows them all.
        if piece.count(b"\\") != sum(piece.count(escaped) for escaped, _ in _ESCAPES):
            return None
        for escaped, meant in _ESCAPES:
            piece = piece.replace(escaped, meant)
        plain += piece
        position = until
    return plain


def _put_back(value: JSONValue, remaining: dict[int, str], param: str) -> JSONValue:
    """The value with its long texts, each taken from `remaining` once, since a caller may write marks too."""
    if isinstance(value, list):
        return [_put_back(inner, remaining, param) for inner in value]
    if isinstance(value, dict):
        return {name: _put_back(inner, remaining, param) for name, inner in value.items()}
    mark = _MARK.fullmatch(value) if isinstance(value, str) else None
    if mark is None:
        return value
    text = remaining.pop(int(mark[1]), None)
    if text is None:
        raise InvalidRequestError("The request holds a text that cannot be read.", param=param)
    return text
