"""Runware's wire format: tasks out, envelopes in. Pure.

Only here do Runware's field names become Python values and back. Base64 images stay raw slices of the answer, so
that megabytes are neither decoded nor copied before somebody needs them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec
import pybase64

OutputType = Literal["URL", "base64Data"]
OutputFormat = Literal["PNG", "JPG", "WEBP", "TIFF", "SVG"]
TaskType = Literal["imageInference", "upscale", "removeBackground", "vectorize"]

OWN_FIELDS = frozenset(
    {"taskType", "taskUUID", "outputType", "deliveryMethod", "includeCost", "webhookURL", "numberResults"}
    | {"model", "positivePrompt", "width", "height", "outputFormat", "outputQuality", "apiKey"}
)
"""Fields of a task that the gateway sets itself."""


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An input image that travels in the task. `format` is the subtype of its media type, such as `png`.

    Its base64 exists only while the task is being sent: a request that waits for its turn holds no more than the bytes.
    """

    data: bytes
    format: str


InputReference = str | InlineImage
"""An input image as a task names it: an address, an image id at Runware, or the image itself."""


@dataclass(frozen=True, slots=True)
class ImageTask:
    """One task that makes images."""

    task_uuid: str
    model: str
    positive_prompt: str | None
    number_results: int
    output_type: OutputType
    output_format: OutputFormat
    width: int | None = None
    height: int | None = None
    output_quality: int | None = None
    inputs: Mapping[str, InputReference | tuple[InputReference, ...]] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)
    task_type: TaskType = "imageInference"

    @property
    def inline_bytes(self) -> int:
        """How many bytes of images travel in it."""
        values = [
            inner for value in self.inputs.values() for inner in (value if isinstance(value, tuple) else (value,))
        ]
        return sum(len(value.data) for value in values if isinstance(value, InlineImage))

    def to_wire(self) -> dict[str, object]:
        """The task as Runware reads it; the gateway's own fields win over `fields`."""
        wire: dict[str, object] = dict(self.fields)
        wire.update(
            taskType=self.task_type,
            taskUUID=self.task_uuid,
            model=self.model,
            outputType=self.output_type,
            outputFormat=self.output_format,
            deliveryMethod="sync",
            includeCost=True,
        )
        if self.task_type == "imageInference":  # the tools make one result each and know no such field
            wire["numberResults"] = self.number_results
        if self.positive_prompt is not None:
            wire["positivePrompt"] = self.positive_prompt
        if self.width is not None and self.height is not None:
            wire.update(width=self.width, height=self.height)
        if self.output_quality is not None:
            wire["outputQuality"] = self.output_quality
        if self.inputs:
            given = wire.get("inputs")
            wire["inputs"] = {**(given if isinstance(given, dict) else {}), **self.inputs}
        return wire


def encode(tasks: Sequence[Mapping[str, object]]) -> bytes:
    """The body of a request: always an array."""
    return msgspec.json.encode(tasks)


def encode_task(task: ImageTask) -> bytes:
    """The body that sends one task, with its inline images as data URIs."""
    wire = task.to_wire()
    given = wire.get("inputs")
    if task.inputs and isinstance(given, dict):
        wire["inputs"] = {name: _encode_input(value) for name, value in given.items()}
    return encode([wire])


def encode_data_uri(image: InlineImage) -> msgspec.Raw:
    """The JSON string of an image's data URI."""
    return msgspec.Raw(b'"data:image/%b;base64,%b"' % (image.format.encode(), pybase64.b64encode(image.data)))


def _encode_input(value: object) -> object:
    if isinstance(value, tuple):
        return [_encode_input(inner) for inner in value]
    return encode_data_uri(value) if isinstance(value, InlineImage) else value


def get_response(task_uuid: str) -> dict[str, object]:
    """The task that asks what became of another."""
    return {"taskType": "getResponse", "taskUUID": task_uuid}


def get_task_details(task_uuid: str) -> dict[str, object]:
    """The task that asks for everything known of an older one."""
    return {"taskType": "getTaskDetails", "taskUUID": task_uuid}


class WireError(msgspec.Struct, rename="camel", frozen=True):
    """An entry of `errors`, in any of the shapes seen."""

    code: object = None
    message: object = None
    parameter: object = None
    task_type: object = None
    task_uuid: object = msgspec.field(default=None, name="taskUUID")
    error_id: object = None
    error_message: object = None
    response_content: object = None
    response_status_code: object = None


class WireItem(msgspec.Struct, rename="camel", frozen=True):
    """An entry of `data`. The images are JSON strings still in their quotes."""

    task_uuid: object = msgspec.field(default=None, name="taskUUID")
    image_uuid: object = msgspec.field(default=None, name="imageUUID")
    image_url: object = msgspec.field(default=None, name="imageURL")
    image_base64_data: msgspec.Raw = msgspec.Raw(b"")
    image_data_uri: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="imageDataURI")
    status: object = None
    seed: object = None
    cost: Decimal | None = None
    error: WireError | str | None = None


class _Envelope(msgspec.Struct, rename="camel", frozen=True):
    data: list[WireItem] | WireItem | None = None
    errors: list[WireError] | WireError | None = None
    error: WireError | str | None = None
    code: object = None
    message: object = None


@dataclass(frozen=True, slots=True)
class Image:
    """One finished image: an address, or base64 (a slice of the answer, without quotes)."""

    image_uuid: str | None
    url: str | None
    base64: memoryview | None
    seed: int | None
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of Runware's in its own words. `content` is what the model's provider said, where it is passed on."""

    code: str
    message: str
    parameters: tuple[str, ...] = ()
    content: str = ""
    task_type: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one exchange said about one task."""

    images: tuple[Image, ...] = ()
    faults: tuple[Fault, ...] = ()
    processing: bool = False


class UnreadableReplyError(Exception):
    """The body is no envelope of Runware's."""


_decoder = msgspec.json.Decoder(_Envelope | list[WireError], float_hook=Decimal, strict=False)


def decode(body: bytes, task_uuid: str) -> Reply:
    """What `body` says about a task, raising UnreadableReplyError for HTML, nonsense and the like."""
    try:
        envelope = _decoder.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        raise UnreadableReplyError from None
    if isinstance(envelope, list):
        envelope = _Envelope(errors=envelope)
    items = _listed(envelope.data)
    errors = [*_listed(envelope.errors), *_single(envelope.error)]
    if not items and not errors and (envelope.code or envelope.message):
        errors = [WireError(code=envelope.code, message=envelope.message)]
    mine = [item for item in items if item.task_uuid in (None, task_uuid)]
    errors = [error for error in errors if error.task_uuid in (None, task_uuid)]
    errors += [error for item in mine for error in _single(item.error)]
    images = [image for item in mine if (image := _to_image(item)) is not None]
    return Reply(
        images=tuple(images),
        faults=tuple(_to_fault(error) for error in errors),
        processing=any(item.status == "processing" for item in mine),
    )


class _Details(msgspec.Struct, frozen=True):
    response: msgspec.Raw = msgspec.Raw(b"{}")


class _DetailsEnvelope(msgspec.Struct, frozen=True):
    data: list[_Details] = []


def decode_details(body: bytes, task_uuid: str) -> Reply:
    """What the details of an older task say of it; an empty Reply when there are none."""
    try:
        envelope = msgspec.json.decode(body, type=_DetailsEnvelope)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        raise UnreadableReplyError from None
    return decode(bytes(envelope.data[0].response), task_uuid) if envelope.data else Reply()


_T = TypeVar("_T", WireItem, WireError)


def _listed(value: list[_T] | _T | None) -> list[_T]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _single(error: WireError | str | None) -> list[WireError]:
    if error is None:
        return []
    return [error if isinstance(error, WireError) else WireError(message=error)]


def _to_image(item: WireItem) -> Image | None:
    if item.error is not None:
        return None
    base64 = _unquote(item.image_base64_data) or _strip_data_uri(_unquote(item.image_data_uri))
    url = item.image_url if isinstance(item.image_url, str) and item.image_url else None
    if url is None and base64 is None:
        return None
    seed = int(item.seed) if isinstance(item.seed, int | Decimal) and not isinstance(item.seed, bool) else None
    return Image(str(item.image_uuid) if item.image_uuid else None, url, base64, seed, item.cost)


def _unquote(raw: msgspec.Raw) -> memoryview | None:
    view = memoryview(raw)
    if len(view) <= len('""') or view[0] != ord('"'):
        return None
    inner = view[1:-1]
    if b"\\" in bytes(inner[:256]):  # a server that escapes slashes does it early and often
        return memoryview(msgspec.json.decode(raw, type=str).encode())
    return inner


def _strip_data_uri(view: memoryview | None) -> memoryview | None:
    if view is None:
        return None
    header, comma, _ = bytes(view[:128]).partition(b",")
    return view[len(header) + 1 :] if comma else view


def _to_fault(error: WireError) -> Fault:
    parameters = error.parameter if isinstance(error.parameter, list) else [error.parameter]
    content = error.response_content
    return Fault(
        code=str(error.code or error.error_id or "unknownError"),
        message=str(error.message or error.error_message or ""),
        parameters=tuple(name for name in parameters if isinstance(name, str)),
        content=content
        if isinstance(content, str)
        else ""
        if content is None
        else msgspec.json.encode(content).decode(),
        task_type=str(error.task_type or ""),
    )
