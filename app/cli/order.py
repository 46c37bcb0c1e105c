"""What a command asks for, put together from its options and files and judged before anything is sent.

Owns `--set`, input images and how fields become JSON or a form. Leaves what a field may be to the gateway.
"""

from __future__ import annotations

import json
import math
import mimetypes
import os
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from app.cli.exits import CommandError, ExitCode
from app.cli.gateway import JSONObject
from app.cli.options import BuyOptions

if TYPE_CHECKING:
    from app.cli.session import Purchase

_MOST_BYTES = 256 * 1024 * 1024
"""More than any gateway takes of one image, less than a machine has memory."""
_STDIN = "-"
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]+")
_OWN_OPTIONS = {
    "prompt": "the prompt of the command says it",
    "stream": "use --stream",
    "response_format": "images are always written to files",
}

_T = TypeVar("_T")
File = tuple[str, bytes, str]
"""Name, content and type, as a part of a form."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request before it is sent. `images` are files, or addresses as text; so is the mask."""

    path: str
    fields: Mapping[str, object]
    key: str
    images: tuple[str | File, ...] = ()
    mask: str | File | None = None
    stream: bool = False
    strict: bool = False

    @property
    def count(self) -> int:
        """How many images are asked for, as far as the fields say."""
        count = self.fields.get("n") or self.fields.get("numberResults")
        return count if isinstance(count, int) and count > 0 else 1

    @property
    def format(self) -> str | None:
        """The format that is asked for, None for any."""
        format_ = self.fields.get("output_format")
        return None if format_ is None else str(format_)

    def asking(self, format_: str | None) -> Order:
        """The same for images in this format."""
        return self if format_ is None else replace(self, fields={**self.fields, "output_format": format_})

    def to_purchase(self) -> Purchase:
        """What is sent: JSON, or a form where there are files."""
        from app.cli.session import Purchase

        # In the answer itself: no link can expire between buying and writing.
        fields: JSONObject = {**self.fields, **({"stream": True} if self.stream else {"response_format": "b64_json"})}
        headers = {"X-Spillway-Strict": "true"} if self.strict else {}
        given = [one for one in (*self.images, self.mask) if one is not None]
        if all(isinstance(one, str) for one in given):
            # Without a file httpx makes no multipart form, and of another kind of form the gateway reads none.
            addresses = {"image": [*self.images], "mask": self.mask} if self.images else {}
            named = {name: value for name, value in addresses.items() if value is not None}
            return Purchase(self.path, self.key, {**fields, **named}, headers=headers)
        form = {name: _form_text(value) for name, value in fields.items() if value is not None}
        # With their places in the names: a form sends its texts before its files.
        parts = {f"image[{place}]": image for place, image in enumerate(self.images)}
        parts |= {} if self.mask is None else {"mask": self.mask}
        form |= {name: part for name, part in parts.items() if isinstance(part, str)}
        files = tuple((name, part) for name, part in parts.items() if not isinstance(part, str))
        return Purchase(self.path, self.key, form=form, files=files, headers=headers)


def generate_order(prompt: str, options: BuyOptions) -> Order:
    """Images from text."""
    return _order("/images/generations", prompt, options)


def edit_order(images: Sequence[str], prompt: str, mask: str | None, options: BuyOptions) -> Order:
    """Images changed."""
    if [*images, mask].count(_STDIN) > 1:
        raise CommandError("Standard input holds one image: name - once.", code=ExitCode.WRONG_USE)
    order = _order("/images/edits", prompt, options)
    read = tuple(_read_image(one) for one in images)
    return replace(order, images=read, mask=None if mask is None else _read_image(mask))


def _order(path: str, prompt: str, options: BuyOptions) -> Order:
    fields = {**options.fields, **read_set(options.set_ or (), options.fields), "prompt": prompt}
    fields = {_text("--set", name): _text(name, value) for name, value in fields.items()}
    key = options.idempotency_key
    if key is not None and not _KEY.fullmatch(key):
        said = "--idempotency-key: a key has no spaces and nothing but ASCII characters."
        raise CommandError(said, code=ExitCode.WRONG_USE)
    return Order(path, fields, key or str(uuid.uuid4()), stream=options.stream, strict=options.strict)


def read_set(texts: Sequence[str], options: Mapping[str, object]) -> dict[str, object]:
    """The fields of `--set NAME=VALUE`: JSON where the value reads as such, else text."""
    found: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (equals and name):
            raise CommandError(f"--set {text!r}: expected NAME=VALUE, like steps=28.", code=ExitCode.WRONG_USE)
        if name in _OWN_OPTIONS:
            raise CommandError(f"--set {name}: {_OWN_OPTIONS[name]}.", code=ExitCode.WRONG_USE)
        if name in found or name in options:
            raise CommandError(f"--set {name}: it is given twice.", code=ExitCode.WRONG_USE)
        found[name] = read_value(value)
    return found


def read_value(text: str) -> object:
    """A number, truth, list or object where it reads as one; any other text is itself."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _no_number(text: str) -> NoReturn:
    # NaN and the like are words of Python's, not of JSON.
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _form_text(value: object) -> str:
    # Nested values go as JSON, which the gateway reads in any field of a form.
    return value if isinstance(value, str) else json.dumps(value)


def _text(name: str, value: _T) -> _T:
    """A text as it was typed, also where this machine's encoding is another; raises CommandError for what is none."""
    if not isinstance(value, str):
        return value
    try:
        return type(value)(os.fsencode(value).decode()) if not value.isascii() else value
    except UnicodeError:
        raise CommandError(f"{name}: it holds bytes that are no text in UTF-8.", code=ExitCode.WRONG_USE) from None


def _read_image(named: str) -> str | File:
    """An address as it is, a file or standard input with its bytes."""
    if _ADDRESS.match(named):
        return named
    name, data = ("image", _read_stdin()) if named == _STDIN else (Path(named).name, _read_file(named))
    if not data:
        raise CommandError(f"{named}: it is empty.", code=ExitCode.WRONG_USE)
    if len(data) > _MOST_BYTES:
        raise CommandError(f"{named}: it is larger than any gateway takes.", code=ExitCode.WRONG_USE)
    shown = name.encode(errors="replace").decode()
    return shown, data, mimetypes.guess_type(shown)[0] or "application/octet-stream"


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        said = "-: send an image on standard input, like `spillway edit - --prompt … < image.png`."
        raise CommandError(said, code=ExitCode.WRONG_USE)
    return sys.stdin.buffer.read(_MOST_BYTES + 1)


def _read_file(named: str) -> bytes:
    try:
        with Path(named).open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise CommandError(f"{named}: there is no such file.", code=ExitCode.WRONG_USE) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"{named} cannot be read: {reason}.", code=ExitCode.WRONG_USE) from None
