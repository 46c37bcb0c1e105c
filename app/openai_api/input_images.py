"""Finds the input images of a request in every place where clients put them.

Files: `image`, repeated `image`, `image[]`, `image[0]`, `images[]`, `reference_images[]`. JSON and text: `image`,
`images`, `image_url`, `reference_images`, each as an address, a data URI, base64, a Runware image id, an object
with one of these, or a list. Leaves looking into the bytes to `images`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

import pybase64

from app.domain.request import InputImage, LinkedImage, UploadedImage
from app.domain.words import JSONValue
from app.errors import InvalidRequestError
from app.images.formats.signatures import sniff
from app.images.types import ImageBytes
from app.openai_api.json_body import decode_value
from app.openai_api.readers import Fields, wrong
from app.openai_api.vocabulary import MAX_IMAGES, Kind, names_of, natives_of

_IMAGE_FIELDS = names_of(Kind.IMAGES)
_IMAGE_FILES = frozenset({*_IMAGE_FIELDS, *natives_of(*_IMAGE_FIELDS)})
_MASK_FILES = frozenset({"mask", *natives_of("mask")})
IMAGE_FILES = _IMAGE_FILES | _MASK_FILES | {*names_of(Kind.IMAGE)}
"""Names under which files of a form are images, Runware's among them."""
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_EXPECTED = "an http(s) address, a data URI or base64 of an image"
_MEMBERS = ("image_url", "url", "b64_json", "base64", "data")
_SPACES = " \t\r\n"
_SHORT_TEXT = 128
_ESCAPES = {"%2B": "+", "%2F": "/", "%3D": "=", "%0A": "", "%0D": "", "%20": ""}
"""What a form's encoding makes of base64."""
_MAX_ESCAPES = 50_000
"""Undoing more of them one by one would take seconds."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """What stands in an image field of a form: the bytes of a file, or text that names an image.

    `name` has no brackets, `index` is what stood in them. What the client said of name and type is not trusted.
    `digest` is that of a file that was hashed while it arrived; else it is empty.
    """

    name: str
    content: bytes | str
    index: int | None = None
    digest: str = field(default="", compare=False)


def has_images(parts: Sequence[FilePart]) -> bool:
    """Whether parts of a form are input images."""
    return any(part.name in _IMAGE_FILES and part.content for part in parts)


def has_mask(parts: Sequence[FilePart]) -> bool:
    """Whether a part of a form is the mask."""
    return any(part.name in _MASK_FILES and part.content for part in parts)


def read_images(fields: Fields, parts: Sequence[FilePart], others: Sequence[str] = ()) -> tuple[InputImage, ...]:
    """The images of the request in order, raising InvalidRequestError for one that cannot be one.

    `others` are further fields that hold images.
    """
    # Files first, then fields in the order of the table: an edit follows its first image.
    found = _read_parts([part for part in parts if part.name in _IMAGE_FILES])
    for name in (*_IMAGE_FIELDS, *others):
        found += _read_field(name, fields.get(name))
    if len(found) > MAX_IMAGES:
        message = f"At most {MAX_IMAGES} images can be sent in one request; got {len(found)}."
        raise InvalidRequestError(message, param=_base_name(found[0].param))
    return tuple(found)


def read_single(name: str, fields: Fields, parts: Sequence[FilePart], masks: Fields) -> InputImage | None:
    """The image of a field that takes one; a mask may stand in one of `masks`, Runware's names of it, instead."""
    names = _MASK_FILES if name == "mask" else {name}
    found = _read_parts([part for part in parts if part.name in names]) or _read_field(name, fields.get(name))
    if len(found) > 1:
        raise InvalidRequestError(f"`{name}` takes one image; got {len(found)}.", param=name)
    if found or name != "mask":
        return found[0] if found else None
    found = [image for native, value in masks.items() for image in _read_field(native, value)]
    if len(found) > 1:
        raise InvalidRequestError(f"`{found[1].param}` is a second mask: one can be sent.", param=found[1].param)
    return found[0] if found else None


def _read_parts(parts: Sequence[FilePart]) -> list[InputImage]:
    """The images of a form's parts; those with an index stand in its order, in the places where some stand."""
    # Only those with an index change places, since the others say nothing about an order.
    indexed = iter(sorted((part for part in parts if part.index is not None), key=lambda part: part.index or 0))
    ordered = [part if part.index is None else next(indexed) for part in parts]
    has_files = any(isinstance(part.content, bytes) for part in ordered)
    if has_files:  # some proxies repeat the files under the same names, as text that says nothing
        ordered = [part for part in ordered if isinstance(part.content, bytes) or _names_image(part.content)]
    found: list[InputImage] = []
    for part, param in zip(ordered, _params_of(ordered), strict=True):
        if isinstance(part.content, bytes):
            found.append(_uploaded(param, part.content, part.digest))
        else:
            found += _read_field(param, _to_value(param, part.content.strip()))
    return found


def _params_of(parts: Sequence[FilePart]) -> list[str]:
    """What to call each part: by its own index where all of its name have one, else by its place among them."""
    by_name: dict[str, list[FilePart]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    params, seen = [], Counter[str]()
    for part in parts:
        same, position = by_name[part.name], seen[part.name]
        seen[part.name] += 1
        index = part.index if all(one.index is not None for one in same) else position if len(same) > 1 else None
        params.append(part.name if index is None else f"{part.name}[{index}]")
    return params


def _to_value(param: str, text: str) -> JSONValue:
    """What a text of a form says: an image, or JSON with some."""
    return decode_value(text.encode(), param) if text[:1] in {"{", "["} else text


def _names_image(text: str) -> bool:
    start = text.strip()[:40].lower()
    return start.startswith(("http://", "https://", "data:")) or _UUID.fullmatch(text.strip()) is not None


def _base_name(param: str) -> str:
    return param.split("[", 1)[0]


def _read_field(name: str, value: JSONValue) -> list[InputImage]:
    if value is None or value in ("", []):
        return []
    if isinstance(value, list):
        return [_read_one(f"{name}[{index}]", item) for index, item in enumerate(value)]
    return [_read_one(name, value)]


def _read_one(param: str, value: JSONValue) -> InputImage:
    if isinstance(value, dict):
        return _read_object(param, value)
    if not isinstance(value, str) or not value.strip():
        raise wrong(param, _EXPECTED, value)
    text = value.strip()
    start = text[:8].lower()
    if start.startswith(("http://", "https://")) or _UUID.fullmatch(text):
        return LinkedImage(param, text)
    if start.startswith("data:"):
        return _uploaded(param, _decode_data_uri(param, text))
    data = _decode(param, text)
    if len(text) <= _SHORT_TEXT and sniff(data) is None:  # a few words can be read as base64, too
        raise wrong(param, _EXPECTED, text)
    return _uploaded(param, data)


def _uploaded(param: str, data: bytes, digest: str = "") -> UploadedImage:
    return UploadedImage(param, ImageBytes(data), digest)


def _read_object(param: str, value: dict[str, JSONValue]) -> InputImage:
    """The image that an object names in one of the ways that APIs have."""
    # Refused by name: silently dropped, an edit would be bought without its image.
    if value.get("file_id") is not None:
        message = f"`{param}.file_id` cannot be used here: this gateway stores no files. Send image_url instead."
        raise InvalidRequestError(message, param=f"{param}.file_id")
    # In this order: an address is cheaper than bytes that say the same.
    for name in _MEMBERS:
        if value.get(name) is not None:
            return _read_one(f"{param}.{name}", value[name])
    raise wrong(param, f"{_EXPECTED}, or an object with one in {', '.join(_MEMBERS)}", value)


def _decode_data_uri(param: str, text: str) -> bytes:
    """The bytes of a data URI, whatever parameters it has, in whatever order, with or without base64."""
    head, comma, payload = text.partition(",")
    if not comma:
        raise wrong(param, "a data URI like data:image/png;base64,…", text)
    # Percent-encoding is what a data URI means by itself; clients forget to say base64.
    is_base64 = "base64" in {part.strip().lower() for part in head[len("data:") :].split(";")}
    if not is_base64 and payload.count("%") <= _MAX_ESCAPES:
        data = unquote_to_bytes(payload)
        if sniff(data) is not None:
            return data
    for escape, plain in _ESCAPES.items() if "%" in payload else ():
        payload = payload.replace(escape, plain).replace(escape.lower(), plain)
    return _decode(param, payload)


def _decode(param: str, text: str) -> bytes:
    """The bytes of base64 in either alphabet, with or without padding, with line breaks anywhere."""
    try:
        compact = text
        if any(space in compact for space in _SPACES):
            compact = compact.encode("ascii").translate(None, _SPACES.encode()).decode()
        # Padding is what gets lost on the way, and it can be computed.
        if len(compact) % 4:
            compact = compact.rstrip("=")
            compact += "=" * (-len(compact) % 4)
        alphabet = b"-_" if "-" in compact or "_" in compact else None
        return pybase64.b64decode(compact, altchars=alphabet, validate=True)
    except ValueError:  # also binascii.Error and non-ASCII text
        raise wrong(param, _EXPECTED, text) from None
