"""From the body of a request, JSON or form, to an ImageRequest: generations and edits meet here.

Null, an empty string and a value like `auto` are absence. A known field with an illegal value is refused
in the caller's words; a field nobody knows is kept in `passthrough` for the provider. Pure: no input or output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from app.catalog.model import Mode
from app.domain.request import Delivery, IgnoredField, ImageFormat, ImageRequest, JSONValue
from app.errors import InvalidRequestError
from app.images.types import Fit
from app.openai_api.input_images import (
    IMAGE_FIELDS,
    FilePart,
    has_images,
    has_mask,
    read_images,
    read_mask,
    read_single,
)
from app.openai_api.readers import (
    MAX_SEED,
    Fields,
    read_boolean,
    read_choice,
    read_integer,
    read_open_choice,
    read_size,
    read_text,
    wrong,
)
from app.openai_api.runware_parameters import MAX_RESULTS, RUNWARE_NAMES, SYNONYMS, Translation, translate_fields
from app.planning.capabilities import brings_own_images

MAX_COUNT = 10
MAX_PROMPT_CHARS = 100_000
"""A bound on what is looked at; each model has its own, lower one."""

BACKGROUNDS = ("auto", "transparent", "opaque", "white", "black")
FITS: tuple[Fit, ...] = ("cover", "contain", "exact")
FORMATS = ("png", "jpeg", "jpg", "webp", "gif", "avif", "svg")
OPEN_CHOICES: Mapping[str, tuple[str, ...]] = {
    "quality": ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"),
    "style": ("vivid", "natural"),
}
"""OpenAI's values; a model may have its own beside them."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "moderation": ("auto", "low"),
    "input_fidelity": ("low", "high"),
    "complexity": ("low", "medium", "high"),
}
INTEGERS: Mapping[str, tuple[int, int]] = {
    "frame_count": (1, 64),
    "frame_duration_ms": (10, 60_000),
    "partial_images": (0, 3),
    "num_inference_steps": (1, 1000),
}
NUMBERS: Mapping[str, tuple[int, int]] = {"guidance_scale": (0, 1000), "scale_factor": (1, 100)}
_UNSET: Mapping[str, JSONValue] = {"quality": "auto", "moderation": "auto", "partial_images": 0}
RECORDED = ("user", "safety_identifier")
OWN_NAMES = frozenset(
    {"prompt", "model", "n", "size", "aspect_ratio", "resolution", "response_format", "output_format"}
    | {"output_compression", "background", "seed", "stream", "fit", "negative_prompt", "svg", "webhook_url"}
    | {*OPEN_CHOICES, *CHOICES, *INTEGERS, *NUMBERS, *RECORDED, *IMAGE_FIELDS}
)
"""Every field that has a meaning here; any other is the provider's."""
KNOWN_NAMES = OWN_NAMES | RUNWARE_NAMES


def parse_request(mode: Mode, fields: Fields, files: Sequence[FilePart] = ()) -> ImageRequest:
    """The request that these fields and files express, raising InvalidRequestError for the first wrong one."""
    translation = translate_fields(fields, has_images=has_images(files), has_mask=has_mask(files))
    translation = replace(translation, names={**_names_of(files), **translation.names})
    try:
        request = _parse(mode, translation, files)
    except InvalidRequestError as error:
        error.rename_fields(translation.names)
        raise
    # What the client spelled, to find misspelled names; nulls are an SDK's way of saying nothing.
    given = {name for name, value in fields.items() if value is not None and value != ""}
    return replace(request, given=frozenset(given | {part.name for part in files}))


def _names_of(files: Sequence[FilePart]) -> Mapping[str, str]:
    """What the caller called files that have another name here, where none has that name itself."""
    called = {part.name for part in files if part.content}
    return {SYNONYMS[name]: name for name in sorted(called & SYNONYMS.keys()) if SYNONYMS[name] not in called}


def _parse(mode: Mode, translation: Translation, files: Sequence[FilePart]) -> ImageRequest:
    fields = translation.fields
    prompt = _read_prompt(fields)
    images = read_images({**fields, **translation.images}, files, (*translation.images,))
    if mode is Mode.EDIT and not images and not brings_own_images(fields):
        message = "`image` is missing: send the image to edit as a file, an address, a data URI or base64."
        raise InvalidRequestError(message, param="image", code="missing_required_parameter")
    response_format = read_choice(fields, "response_format", ("url", "b64_json"))
    image_format = _read_format(fields)
    background = read_choice(fields, "background", BACKGROUNDS)
    if background == "transparent" and image_format is ImageFormat.JPEG:
        message = "A transparent background needs output_format png, webp, gif or avif; jpeg has no transparency."
        raise InvalidRequestError(message, param="background")
    size = read_size(fields)
    stream = bool(read_boolean(fields, "stream"))
    fit = read_choice(fields, "fit", FITS)
    return ImageRequest(
        mode=mode,
        prompt=prompt,
        model=read_text(fields, "model"),
        count=read_integer(fields, "n", 1, MAX_RESULTS if "n" in translation.names else MAX_COUNT) or 1,
        size=size,
        fit=cast("Fit | None", fit),
        delivery=translation.delivery if response_format is None else _DELIVERIES[response_format],
        format=image_format,
        compression=read_integer(fields, "output_compression", 0, 100),
        background=None if background == "auto" else background,
        images=images,
        mask=read_single("mask", fields, files) or read_mask(translation.masks),
        mask_is_native=bool(translation.masks) or any(part.name == "maskImage" for part in files),
        markup=read_single("markup", fields, files),
        seed=_read_seed(fields),
        parameters=_read_parameters(fields),
        passthrough={name: value for name, value in fields.items() if name not in OWN_NAMES and value is not None},
        user=read_text(fields, "safety_identifier") or read_text(fields, "user"),
        stream=stream,
        webhook_url=read_text(fields, "webhook_url"),
        in_background=translation.in_background and not stream,
        names=translation.names,
        ignored=(*translation.ignored, *_STREAM_COMES_FIRST[: translation.in_background and stream]),
    )


_STREAM_COMES_FIRST = (IgnoredField("deliveryMethod", "async", "A stream is sent while it is made."),)
_DELIVERIES = {"url": Delivery.LINK, "b64_json": Delivery.EMBEDDED}


def _read_prompt(fields: Fields) -> str | None:
    value = fields.get("prompt")
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong("prompt", "text", value)
    if len(value) > MAX_PROMPT_CHARS:
        message = f"`prompt` is too long: {len(value)} characters; no model takes more than {MAX_PROMPT_CHARS}."
        raise InvalidRequestError(message, param="prompt", code="string_above_max_length")
    # Browsers send forms with CRLF: the same prompt by form and by JSON is the same request.
    return value.replace("\r\n", "\n")


def _read_seed(fields: Fields) -> int | None:
    """A seed; in many programs -1 means that any will do."""
    seed = read_integer(fields, "seed", -1, MAX_SEED)
    return None if seed == -1 else seed


def _read_format(fields: Fields) -> ImageFormat | None:
    text = read_choice(fields, "output_format", FORMATS)
    if text is None:
        return None
    return ImageFormat("jpeg" if text == "jpg" else text)


def _read_parameters(fields: Fields) -> dict[str, JSONValue]:
    parameters: dict[str, JSONValue] = {}
    for name, usual in OPEN_CHOICES.items():
        parameters[name] = read_open_choice(fields, name, usual)
    for name, choices in CHOICES.items():
        parameters[name] = read_choice(fields, name, choices)
    for name, (low, high) in INTEGERS.items():
        parameters[name] = read_integer(fields, name, low, high)
    parameters["negative_prompt"] = read_text(fields, "negative_prompt")
    for name, (least, most) in NUMBERS.items():
        parameters[name] = _read_number(fields, name, least, most)
    if fields.get("svg") is not None:
        parameters["svg"] = fields["svg"]
    return {name: value for name, value in parameters.items() if value is not None and value != _UNSET.get(name)}


def _read_number(fields: Fields, name: str, low: float, high: float) -> float | int | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise wrong(name, "a number", value) from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise wrong(name, f"a number from {low} to {high}", value)
    return value
