"""The caller's fields, each of them once: name, kind, bounds, the value that asks for nothing, and its meaning (0080).

Parser, forms, JSON Schema, OpenAPI document, field matrix, near names and the command line's options all derive from
`FIELDS`. `RUNWARE_FIELDS` are Runware's own names for the same. Leaves reading values to `readers`, and what becomes of
a field on a model to `planning`. Which parameters a model may have an equivalent for, `catalog.model` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto

from app.domain.words import Delivery, ImageFormat, JSONValue

MAX_IMAGES = 16
# No image has a larger side: it is a typing error.
MAX_SIDE = 65_536
_MAX_PROMPT_CHARS = 100_000
"""A bound on what is looked at; each model has its own, lower one."""
_MAX_SEED = 2**63 - 1
SHORTEST_TTL, LONGEST_TTL = 60, 366 * 86_400
"""Of images, in seconds."""


class Kind(StrEnum):
    """What a field takes, in JSON and as the text of a form."""

    PROMPT = auto()
    TEXT = auto()
    CHOICE = auto()
    OPEN_CHOICE = auto()
    """The usual words in any case, or one that a model has beside them."""
    INTEGER = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    DURATION = auto()
    """Seconds, or a text with a unit."""
    OBJECT = auto()
    SIZE = auto()
    """A part of what is asked of the size: all fields of this kind are read together."""
    IMAGES = auto()
    IMAGE = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field. Of `PROMPT`, `high` counts characters; `choices` lead from each word to what it means."""

    name: str
    kind: Kind
    description: str
    attribute: str = "parameters"
    """Where an `ImageRequest` keeps it; `parameters` are sent where the model has an equivalent, else reported."""
    low: int = 0
    high: int = 0
    choices: Mapping[str, JSONValue] = field(default_factory=dict)
    unset: JSONValue = None
    """A value that asks for nothing, beside null and an empty text."""
    examples: tuple[str, ...] = ()
    as_file: str = ""
    """What it takes as a file of a form, where it is documented there."""
    options: tuple[str, ...] = ()
    """What the command line calls it, where it takes it."""
    means: str = ""
    """Of Runware's fields: the one of `FIELDS` that it is another name of."""


def _words(*words: str) -> Mapping[str, JSONValue]:
    return {word: word for word in words}


_REPORTED = "Reported when the model has no equivalent."
_OWN_OR_REPORTED = "A value of OpenAI's or of the model's own; reported when the model has no equivalent."
_ONE_FRAME = "Reported: one frame is made."

# In this order fields are read, so the first wrong one here is the one that an error names.
FIELDS = (
    Field("prompt", Kind.PROMPT, "What the image shows, or how to change it.", "prompt", high=_MAX_PROMPT_CHARS),
    Field(
        "image", Kind.IMAGES, "What to edit, or to be guided by: one image or several.", "images",
        as_file="PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF; also as `image[]`, repeated, up to 16.",
    ),
    Field("images", Kind.IMAGES, "More of them; all fields of images count together.", "images"),
    Field("image_url", Kind.IMAGES, "Likewise.", "images"),
    Field("reference_images", Kind.IMAGES, "Likewise.", "images"),
    Field(
        "response_format", Kind.CHOICE, "How images come back.", "delivery",
        choices={"url": Delivery.LINK, "b64_json": Delivery.EMBEDDED},
    ),
    Field(
        "output_format", Kind.CHOICE,
        "Default png. gif and avif are made by conversion; svg only by models that make it.", "format",
        choices={
            "png": ImageFormat.PNG, "jpeg": ImageFormat.JPEG, "jpg": ImageFormat.JPEG, "webp": ImageFormat.WEBP,
            "gif": ImageFormat.GIF, "avif": ImageFormat.AVIF, "svg": ImageFormat.SVG,
        },
        options=("--format",),
    ),
    Field(
        "background", Kind.CHOICE,
        "transparent where the model can, else reported; white and black also color the padding of fit.", "background",
        choices=_words("auto", "transparent", "opaque", "white", "black"), unset="auto", options=("--background",),
    ),
    Field(
        "size", Kind.SIZE,
        "`WxH` (shape and scale), `W:H` (a ratio), a tier like `2K`, or `auto`. Wins over the next two.", "size",
        examples=("1024x1024",), options=("--size",),
    ),
    Field(
        "aspect_ratio", Kind.SIZE, "The shape, as `W:H`.", "size",
        examples=("16:9",), options=("--aspect-ratio",),
    ),
    Field(
        "resolution", Kind.SIZE,
        "The scale: `1K`, `1MP`, `0.25` (megapixels), `2048` or `512px` (a side).", "size",
        examples=("1K",), options=("--resolution",),
    ),
    Field(
        "stream", Kind.BOOLEAN,
        "true: server-sent events, one `completed` per image the moment it exists; always base64.", "stream",
        unset=False,
    ),
    Field(
        "fit", Kind.CHOICE, "Deliver exactly the `WxH` of `size`, by crop, padding or stretching after the fact.",
        "fit", choices=_words("cover", "contain", "exact"), options=("--fit",),
    ),
    Field("model", Kind.TEXT, "A model id, an alias or an AIR id. See GET /v1/models.", "model", options=("--model",)),
    # OpenAI's own limit.
    Field("n", Kind.INTEGER, "How many images.", "count", low=1, high=10, options=("--n", "-n")),
    Field(
        "output_compression", Kind.INTEGER, "Quality of jpeg, webp and avif.", "compression", low=0, high=100,
        options=("--compression",),
    ),
    Field(
        "mask", Kind.IMAGE, "Where to edit: see the edits endpoint.", "mask",
        as_file="Transparent where to edit; a fully opaque grayscale mask is white where to edit.",
    ),
    Field("markup", Kind.IMAGE, "Drawn over the first image.", "markup", as_file="Drawn over the first image."),
    # In many programs a seed of -1 means that any will do.
    Field(
        "seed", Kind.INTEGER, "-1 is none. For repeatable images.", "seed", low=-1, high=_MAX_SEED, unset=-1,
        options=("--seed",),
    ),
    Field(
        "quality", Kind.OPEN_CHOICE, _OWN_OR_REPORTED,
        choices=_words("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"), unset="auto",
        options=("--quality",),
    ),
    Field("style", Kind.OPEN_CHOICE, _OWN_OR_REPORTED, choices=_words("vivid", "natural")),
    Field("moderation", Kind.CHOICE, _REPORTED, choices=_words("auto", "low"), unset="auto"),
    # These five are OpenAI's alone: taken, so that its clients work, and reported.
    Field("input_fidelity", Kind.CHOICE, _REPORTED, choices=_words("low", "high")),
    Field("complexity", Kind.CHOICE, _REPORTED, choices=_words("low", "medium", "high")),
    Field("frame_count", Kind.INTEGER, _ONE_FRAME, low=1, high=64),
    Field("frame_duration_ms", Kind.INTEGER, _ONE_FRAME, low=10, high=60_000),
    Field("partial_images", Kind.INTEGER, "Reported: Runware makes none.", low=0, high=3, unset=0),
    Field("num_inference_steps", Kind.INTEGER, "How many steps to take.", low=1, high=1000),
    Field("negative_prompt", Kind.TEXT, "What the image must not show.", options=("--negative-prompt",)),
    Field("guidance_scale", Kind.NUMBER, "How closely to follow the prompt.", low=0, high=1000),
    Field("scale_factor", Kind.NUMBER, "How many times larger than the first image the result is.", low=1, high=100),
    Field("svg", Kind.OBJECT, "Reported when the model makes no vector graphics."),
    # Of two fields with one attribute the first that says something counts.
    Field("safety_identifier", Kind.TEXT, "Recorded in the log; wins over `user`.", "user"),
    Field("user", Kind.TEXT, "Recorded in the log.", "user"),
    Field("webhook_url", Kind.TEXT, "Called when the request has ended; https only.", "webhook_url"),
    Field(
        "ttl", Kind.DURATION,
        "How long the images can be had: seconds, or `90s`, `30m`, `12h`, `7d`. Reported where that is too long here.",
        "ttl", low=SHORTEST_TTL, high=LONGEST_TTL, examples=("1h",), options=("--ttl",),
    ),
)  # fmt: skip
"""Every field that has a meaning here; any other is the provider's."""

_IMAGE = "An http(s) address, a data URI, base64, or an image id of Runware's."
_SET_HERE = "Dropped and reported: the gateway sets it."
RUNWARE_FIELDS = (
    Field("taskType", Kind.TEXT, _SET_HERE),
    Field("taskUUID", Kind.TEXT, _SET_HERE),
    Field("includeCost", Kind.BOOLEAN, "Dropped and reported: always on."),
    Field("apiKey", Kind.TEXT, "Dropped and reported: send it as a header."),
    Field("positivePrompt", Kind.TEXT, "`prompt`.", means="prompt"),
    Field("negativePrompt", Kind.TEXT, "`negative_prompt`.", means="negative_prompt"),
    Field("width", Kind.INTEGER, "With `height`, `size`.", low=1, high=MAX_SIDE, means="size"),
    Field("height", Kind.INTEGER, "With `width`, `size`.", low=1, high=MAX_SIDE, means="size"),
    # What one task of Runware's can make, more than `n` may be.
    Field("numberResults", Kind.INTEGER, "`n`.", low=1, high=20, means="n"),
    Field(
        "outputFormat", Kind.CHOICE, "`output_format`.", means="output_format",
        choices={"JPG": "jpeg", "JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "SVG": "svg"},
    ),
    Field("outputQuality", Kind.INTEGER, "`output_compression`.", low=20, high=99, means="output_compression"),
    Field(
        "outputType", Kind.CHOICE, "`response_format`; dataURI gives a `url` that holds the image.",
        choices={"URL": Delivery.LINK, "base64Data": Delivery.EMBEDDED, "dataURI": Delivery.DATA_URI},
        means="response_format",
    ),
    Field("deliveryMethod", Kind.CHOICE, "async is `Prefer: respond-async`.", choices=_words("sync", "async")),
    Field("webhookURL", Kind.TEXT, "`webhook_url`.", means="webhook_url"),
    Field("referenceImages", Kind.IMAGES, f"`image`. {_IMAGE}", means="image"),
    Field("seedImage", Kind.IMAGE, f"`image`. {_IMAGE}", means="image"),
    Field("inputImage", Kind.IMAGE, f"`image`. {_IMAGE}", means="image"),
    Field("maskImage", Kind.IMAGE, f"`mask`, white where to edit. {_IMAGE}", means="mask"),
    Field(
        "inputs", Kind.OBJECT,
        "`referenceImages`, `seedImage`, `image` and `maskImage` as above; other members go to Runware.",
    ),
)  # fmt: skip
"""A task as Runware prints it: every name of Runware's that has a meaning here, be it that the gateway sets it."""

BY_NAME: Mapping[str, Field] = {one.name: one for one in (*FIELDS, *RUNWARE_FIELDS)}
PLACES: Mapping[str, int] = {one.name: place for place, one in enumerate(FIELDS)}
OWN_NAMES = frozenset(PLACES)
SYNONYMS: Mapping[str, str] = {one.name: one.means for one in RUNWARE_FIELDS if one.means}
"""Runware's names of what has another name here. `deliveryMethod` is a header here."""
RUNWARE_NAMES = frozenset(one.name for one in RUNWARE_FIELDS)
KNOWN_NAMES = OWN_NAMES | RUNWARE_NAMES
PARAMETERS = frozenset(one.name for one in FIELDS if one.attribute == "parameters")

UNDER_NATIVE_NAMES: Mapping[str, Field] = {
    one.means: replace(BY_NAME[one.means], low=one.low, high=one.high)
    for one in RUNWARE_FIELDS
    if one.means and one.kind is BY_NAME[one.means].kind is Kind.INTEGER
}
"""The fields whose bounds are Runware's where they were given under Runware's name."""


def names_of(*kinds: Kind) -> tuple[str, ...]:
    """The names of the fields of these kinds, Runware's left out."""
    return tuple(one.name for one in FIELDS if one.kind in kinds)


def natives_of(*names: str) -> tuple[str, ...]:
    """Runware's names of these fields."""
    return tuple(native for native, name in SYNONYMS.items() if name in names)
