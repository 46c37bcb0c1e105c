"""Finds the input images of a request in every place where clients put them.

Files: `image`, repeated `image`, `image[]`, `image[0]`, `images[]`, `reference_images[]`. JSON and text: `image`,
`images`, `image_url`, `reference_images`, each as an address, a data URI, base64, a Runware image id, an object
with `image_url`, or a list of these. Leaves looking into the bytes to `images`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pybase64

from app.domain.request import InputImage, JSONValue, LinkedImage, UploadedImage
from app.errors import InvalidRequestError
from app.openai_api.readers import Fields, wrong

MAX_IMAGES = 16
_IMAGE_FIELDS = ("image", "images", "image_url", "reference_images")
_SINGLE_FIELDS = ("mask", "markup")
IMAGE_FIELDS = frozenset({*_IMAGE_FIELDS, *_SINGLE_FIELDS})
_IMAGE_FILES = frozenset({*_IMAGE_FIELDS, "referenceImages", "seedImage", "inputImage"})
_MASK_FILES = frozenset({"mask", "maskImage"})
IMAGE_FILES = _IMAGE_FILES | _MASK_FILES | {"markup"}
"""Names under which files of a form are images, Runware's among them."""
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_EXPECTED = "an http(s) address, a data URI or base64 of an image"


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a form. `name` has no brackets; what the client said of name and type is not trusted."""

    name: str
    data: bytes


def has_images(files: Sequence[FilePart]) -> bool:
    """Whether files are input images."""
    return any(part.name in _IMAGE_FILES for part in files)


def has_mask(files: Sequence[FilePart]) -> bool:
    """Whether a file is the mask."""
    return any(part.name in _MASK_FILES for part in files)


def read_images(fields: Fields, files: Sequence[FilePart], others: Sequence[str] = ()) -> tuple[InputImage, ...]:
    """The images of the request in order, raising InvalidRequestError for one that cannot be one.

    `others` are further fields that hold images.
    """
    uploaded = [part for part in files if part.name in _IMAGE_FILES]
    if uploaded:
        several = len(uploaded) > 1
        found: list[InputImage] = [
            UploadedImage(f"{part.name}[{index}]" if several else part.name, part.data)
            for index, part in enumerate(uploaded)
        ]
        text_fields: tuple[str, ...] = ("image_url",)  # some proxies repeat the files as text under the same names
    else:
        found, text_fields = [], _IMAGE_FIELDS
    for name in (*text_fields, *others):
        found += _read_field(name, fields.get(name))
    if len(found) > MAX_IMAGES:
        message = f"At most {MAX_IMAGES} images can be sent in one request; got {len(found)}."
        raise InvalidRequestError(message, param=_base_name(found[0].param))
    return tuple(found)


def read_single(name: str, fields: Fields, files: Sequence[FilePart]) -> InputImage | None:
    """The image of a field that takes one: `mask` or `markup`."""
    parts = [part for part in files if part.name == name or (name == "mask" and part.name in _MASK_FILES)]
    found: list[InputImage] = [UploadedImage(part.name, part.data) for part in parts] or _read_field(
        name, fields.get(name)
    )
    if len(found) > 1:
        raise InvalidRequestError(f"`{name}` takes one image; got {len(found)}.", param=name)
    return found[0] if found else None


def read_mask(masks: Fields) -> InputImage | None:
    """The mask that stands in one of these fields."""
    found = [image for name, value in masks.items() for image in _read_field(name, value)]
    if len(found) > 1:
        raise InvalidRequestError(f"`{found[1].param}` is a second mask: one can be sent.", param=found[1].param)
    return found[0] if found else None


def refuse_unknown_files(files: Sequence[FilePart]) -> None:
    """Raise InvalidRequestError for a file in a field that takes none."""
    for part in files:
        if part.name not in IMAGE_FILES:
            message = f"`{part.name}` does not take a file. Files go in image, image[] or mask."
            raise InvalidRequestError(message, param=part.name)


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
        if value.get("file_id") is not None:
            message = f"`{param}.file_id` cannot be used here: this gateway stores no files. Send image_url instead."
            raise InvalidRequestError(message, param=f"{param}.file_id")
        inner = value.get("image_url", value.get("url"))
        return _read_one(f"{param}.image_url" if "image_url" in value else param, inner)
    if not isinstance(value, str) or not value.strip():
        raise wrong(param, _EXPECTED, value)
    text = value.strip()
    lowered = text[:8].lower()
    if lowered.startswith(("http://", "https://")) or _UUID.fullmatch(text):
        return LinkedImage(param, text)
    if lowered.startswith("data:"):
        header, comma, text = text.partition(",")
        if not comma or not header.lower().endswith(";base64"):
            message = f"Invalid value for `{param}`: expected a data URI like data:image/png;base64,…"
            raise InvalidRequestError(message, param=param)
    return UploadedImage(param, _decode(param, text))


def _decode(param: str, text: str) -> bytes:
    compact = "".join(text.split()) if any(character.isspace() for character in text[:200]) else text
    compact = compact.rstrip("=")
    try:
        data = pybase64.b64decode(
            compact + "=" * (-len(compact) % 4), altchars=b"-_" if _is_urlsafe(compact) else None, validate=True
        )
    except ValueError:  # also binascii.Error and non-ASCII text
        raise wrong(param, _EXPECTED, text[:40]) from None
    return data


def _is_urlsafe(text: str) -> bool:
    return "-" in text or "_" in text
