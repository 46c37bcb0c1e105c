"""A task in Runware's terms, as it is sent, and what became of it. Pure; single answers are read in `wire`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Literal

import msgspec
from msgspec import Struct, field

from app.catalog.model import OutputFormat, TaskType
from app.images.types import ImageBytes
from app.runware.failures import ProviderFailure
from app.runware.members import Image, JSONMember
from app.runware.task_body import PIECE_BYTES, Body, TaskBody

OutputType = Literal["URL", "base64Data"]

OWN_FIELDS = frozenset(
    {"taskType", "taskUUID", "outputType", "deliveryMethod", "includeCost", "webhookURL", "numberResults"}
    | {"model", "positivePrompt", "width", "height", "outputFormat", "outputQuality", "apiKey"}
)
"""Fields of a task that the gateway sets itself."""

# Of an image whose size the model chooses: larger ones are compressed to less than this many pixels, uncompressed.
_MAX_SIDE = 3072
# A pixel: four bytes that cannot be compressed, in base64, and a quarter more.
_GENEROUS_BYTES = 7
_MAX_LAYERS = 8
_MIN_BYTES = 4 * 1024 * 1024
_MAX_BYTES = 512 * 1024 * 1024
_COST: Callable[[Image], Decimal | None] = attrgetter("cost")


class InlineImage(Struct, frozen=True):
    """An input image that travels in the task. `format` is the subtype of its media type, such as `png`.

    Its base64 is made while it leaves: a request holds no more than the bytes.
    """

    content: ImageBytes
    format: str


InputReference = str | InlineImage
"""An input image as a task names it: an address, an image id at Runware, or the image itself."""


class ImageTask(Struct, frozen=True):
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
        if not self.inputs:
            return 0
        return sum(len(image.content) for image in self.inline_images)

    @property
    def inline_images(self) -> Iterator[InlineImage]:
        """The images that travel in it."""
        for value in self.inputs.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, InlineImage):
                    yield inner

    @property
    def max_answer_bytes(self) -> int:
        """How large an answer to it may be: as many generous images in base64 as were asked for, and their words."""
        pixels = self.width * self.height if self.width and self.height else _MAX_SIDE**2
        return largest_answer(self.number_results, pixels, _MAX_LAYERS if self.output_format == "TIFF" else 1)

    def to_wire(self) -> dict[str, object]:
        """The task as Runware reads it; the gateway's own fields win over `fields`."""
        # First, so that no field of a caller can replace an id or turn off what the bill depends on.
        wire: dict[str, object] = dict(self.fields)
        wire.update(
            taskType=self.task_type,
            taskUUID=self.task_uuid,
            model=self.model,
            outputType=self.output_type,
            outputFormat=self.output_format,
            # One exchange in the usual case; what takes longer is collected by id.
            deliveryMethod="sync",
            # The bill is what Runware charged, not what the catalog expected.
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


def largest_answer(count: int, pixels: int = _MAX_SIDE**2, layers: int = 1) -> int:
    """How many bytes an answer with so many images may have."""
    # Bounded by what was asked for: an answer must not fill the memory of everybody else (0035).
    image = max(pixels * _GENEROUS_BYTES * layers, _MIN_BYTES)
    return min(count * image + _MIN_BYTES, _MAX_BYTES)


def encode(tasks: Sequence[Mapping[str, object]]) -> bytes:
    """The body of a request: always an array."""
    return msgspec.json.encode(tasks)


def encode_task(task: ImageTask) -> Body:
    """The body that sends one task, with its inline images as data URIs."""
    wire = task.to_wire()
    inputs = wire.pop("inputs", None)
    if not isinstance(inputs, dict):
        return msgspec.json.encode([wire])
    spans: list[bytes | ImageBytes] = []
    text = b"[" + msgspec.json.encode(wire)[:-1] + b',"inputs":{'
    for index, (name, value) in enumerate(inputs.items()):
        text += (b"," if index else b"") + msgspec.json.encode(name) + b":"
        text = _add_input(value, text, spans)
    body = TaskBody((*spans, text + b"}}]"))
    return body if len(body) > PIECE_BYTES else bytes(body)


def encode_data_uri(image: InlineImage) -> msgspec.Raw:
    """The JSON string of an image's data URI."""
    spans: list[bytes | ImageBytes] = []
    end = _add_input(image, b"", spans)
    return msgspec.Raw(bytes(TaskBody((*spans, end))))


def _add_input(value: object, text: bytes, spans: list[bytes | ImageBytes]) -> bytes:
    """Add the JSON of an input, behind `text`, to the spans; the text that comes behind its last image."""
    if isinstance(value, tuple):
        text += b"["
        for index, inner in enumerate(value):
            text = _add_input(inner, text + (b"," if index else b""), spans)
        return text + b"]"
    if isinstance(value, InlineImage):
        spans += (text + b'"data:image/%b;base64,' % value.format.encode(), value.content)
        return b'"'
    return text + msgspec.json.encode(value)


def get_response(task_uuid: str) -> dict[str, object]:
    """The task that asks what became of another."""
    return {"taskType": "getResponse", "taskUUID": task_uuid}


def get_task_details(task_uuid: str) -> dict[str, object]:
    """The task that asks for everything known of an older one."""
    return {"taskType": "getTaskDetails", "taskUUID": task_uuid}


class Exchange(Struct, frozen=True):
    """One exchange with Runware. `kind` is `submit` or `collect`; `outcome` is `ok` or what went wrong."""

    kind: str
    outcome: str
    status: int | None
    duration_ms: int
    started_ms: int
    """When it began, counted from the first exchange about its task."""


class TaskResult(Struct, frozen=True):
    """What became of a task: its images, and why others are missing.

    `unresolved` when nobody knew in time: there may be more images, and more to pay. `is_read` is False where an
    answer about it could not be read, which may have named more to pay. `others` is what Runware said of no image in
    particular.
    """

    images: tuple[Image, ...]
    failures: tuple[ProviderFailure, ...]
    exchanges: tuple[Exchange, ...]
    unresolved: bool = False
    is_read: bool = True
    others: Mapping[str, JSONMember] = field(default_factory=dict)

    @property
    def costs(self) -> tuple[Decimal | None, ...]:
        """What each image cost, None where Runware did not say."""
        return tuple(map(_COST, self.images))

    @property
    def is_billed(self) -> bool:
        """Whether nothing but these images can have cost anything."""
        return self.is_read and not self.unresolved
