"""The output aspect: which format the provider makes, what becomes of it, and how it reaches the caller. Pure.

Only what the provider cannot make with the asked quality is converted. Vector graphics stay vector graphics. What no
encoder can write is refused before anything is sent: it would have been paid for.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from app.catalog.model import CatalogModel, Dimensions
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.lifetimes import Lifetimes
from app.domain.request import ImageRequest
from app.domain.spec import NATIVE_FORMATS, Composition, FormatPlan, ImageSpec, OutputSpec
from app.domain.words import Delivery, ImageFormat, JSONValue
from app.errors import InvalidRequestError
from app.planning.adjustments import dropped
from app.planning.derived_size import SCALE_FACTOR
from app.planning.validation import find_value

_Adjustments: TypeAlias = tuple[Adjustment, ...]
_Fields: TypeAlias = Mapping[str, JSONValue]
_BASE64_NAMES = ("gpt-image-", "chatgpt-image-")
_LOSSY = frozenset({ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.AVIF})
_MIN_NATIVE_QUALITY, _MAX_NATIVE_QUALITY = 20, 99
LONGEST_SIDES: Mapping[ImageFormat, int] = MappingProxyType(
    {ImageFormat.WEBP: 16_383, ImageFormat.JPEG: 65_500, ImageFormat.GIF: 65_535, ImageFormat.AVIF: 32_768}
)
"""What encoders write and decoders read again; the standards of JPEG and AVIF would allow more."""
_USUAL_LIVES = Lifetimes(3600, 86_400)


class OutputRules(Struct, frozen=True):
    """What holds for the output of every request here; `max_pixels` is the most one image may have."""

    native_links: bool = True
    """Links may lead to the provider's own images."""
    max_pixels: int = 2**31
    lives: Lifetimes = _USUAL_LIVES
    """How long images stay where the caller does not say, and at most."""


DEFAULT_RULES = OutputRules()


def converts(plan: FormatPlan) -> bool:
    """Whether the bytes must be rewritten by us."""
    return NATIVE_FORMATS.get(plan.delivered) != plan.native


def must_host(output: OutputSpec) -> bool:
    """Whether images must be stored here to be handed over: behind a link, and not the provider's own."""
    return output.delivery is Delivery.LINK and not output.native_link


def streams(output: OutputSpec) -> bool:
    """Whether the provider's images go into our store as they come: nothing is done to them on the way."""
    # Whether they are transparent is read from the whole image.
    as_made = not converts(output.format) and output.composition is None and not output.transparent
    return must_host(output) and as_made


def makes_vectors(model: CatalogModel) -> bool:
    """Whether the model answers with vector graphics only."""
    return model.formats == ("SVG",)


def decide_output(
    request: ImageRequest,
    model: CatalogModel,
    size: Dimensions | None,
    fields: _Fields,
    composition: Composition | None,
    default: Delivery,
    rules: OutputRules,
    *,
    transparent: bool,
) -> tuple[OutputSpec, _Adjustments]:
    """What becomes of images of `size` made with `fields`; `transparent` where the model makes the background so.

    `default` is the delivery where the caller does not say.
    """
    delivery, about_delivery = _decide_delivery(request, default)
    format_plan, about_format = decide_format(request, model, composed=composition is not None)
    promised = _promises_transparency(model, fields, format_plan.delivered, transparent=transparent)
    native = rules.native_links and delivery is Delivery.LINK and not converts(format_plan) and composition is None
    lives, about_lives = _decide_lives(request.ttl, rules.lives, is_here=not native)
    seconds = request.ttl if native else None
    output = OutputSpec(size, delivery, native, format_plan, composition, promised, seconds, lives)
    return output, (*about_delivery, *about_format, *about_lives)


def _decide_lives(asked: int | None, usual: Lifetimes, *, is_here: bool) -> tuple[Lifetimes, _Adjustments]:
    """How long images stay that are to go after so many seconds; those that are not here, their provider judges."""
    if asked is None:
        return usual, ()
    # Bounded by what the operator allows without a word: a caller must not fill the store for a year (0169).
    applied = min(asked, usual.longest) if is_here else asked
    lives = Lifetimes(applied, applied)
    if applied == asked:
        return lives, ()
    reason = f"Images stay here for at most {applied} seconds."
    return lives, (Adjustment("ttl", asked, applied, AdjustmentMode.CHANGED, reason),)


def _decide_delivery(request: ImageRequest, default: Delivery) -> tuple[Delivery, _Adjustments]:
    if not request.stream:
        return request.delivery or _default_delivery(request.model, default), ()
    # OpenAI's SDKs read base64 from a stream and nothing else.
    if request.delivery in {None, Delivery.EMBEDDED}:
        return Delivery.EMBEDDED, ()
    asked = "url" if request.delivery is Delivery.LINK else "dataURI"
    return Delivery.EMBEDDED, (dropped("response_format", asked, "A stream carries the images themselves."),)


def _default_delivery(name: str | None, otherwise: Delivery) -> Delivery:
    """How images come back where the caller does not say: OpenAI's GPT models of this name never answered otherwise."""
    # By the name that was asked for: programs written for these models read base64 and never say so.
    spelled = (name or "").rsplit("/", 1)[-1].strip().lower().replace("_", "-").replace(" ", "-")
    return Delivery.EMBEDDED if spelled.startswith(_BASE64_NAMES) else otherwise


def decide_format(request: ImageRequest, model: CatalogModel, *, composed: bool) -> tuple[FormatPlan, _Adjustments]:
    """The format for `request`; `composed` when we touch the image after it was made."""
    adjustments = []
    wanted, compression = request.format or ImageFormat.PNG, request.compression
    if makes_vectors(model):
        if request.format not in {None, ImageFormat.SVG}:
            reason = f"{model.id} makes vector graphics."
            adjustments.append(Adjustment("output_format", wanted.value, "svg", AdjustmentMode.CHANGED, reason))
        wanted = ImageFormat.SVG
    if wanted not in _LOSSY:
        if compression not in {None, 100}:
            adjustments.append(dropped("output_compression", compression, f"{wanted.value} has no quality setting."))
        compression = None
    native = NATIVE_FORMATS.get(wanted)
    too_low = compression is not None and compression < _MIN_NATIVE_QUALITY
    # Converting loses quality and time: Runware's own encoder is used wherever it can make the format.
    if native in model.formats and not too_low and (not composed or native == "PNG"):
        native_quality = None if compression is None else min(compression, _MAX_NATIVE_QUALITY)
        return FormatPlan(wanted, compression, native, native_quality), tuple(adjustments)
    # Lossless, so that the image is compressed once only.
    source = "PNG" if "PNG" in model.formats else model.formats[0]
    return FormatPlan(wanted, compression, source, None), tuple(adjustments)


def _promises_transparency(model: CatalogModel, fields: _Fields, delivered: ImageFormat, *, transparent: bool) -> bool:
    """Whether the answer must have an alpha channel, raising InvalidRequestError where the format has none."""
    advanced = fields.get("advancedFeatures")
    inner = advanced.get("layerDiffuse") if isinstance(advanced, dict) else None
    layered = fields.get("layerDiffuse") is True or inner is True
    # Refused, not converted: layers are paid for to be transparent, and JPEG would fill them in.
    if layered and delivered is ImageFormat.JPEG:
        message = "`layerDiffuse` makes transparent images: use output_format png, webp, gif or avif, not jpeg."
        raise InvalidRequestError(message, param="output_format")
    if model.task == "removeBackground":
        return delivered is not ImageFormat.JPEG and "settings" not in fields
    return layered or transparent


def decide_storage(fields: _Fields, output: OutputSpec) -> _Fields:
    """The fields with how long the provider keeps an image behind its own link, where the caller said.

    Raises InvalidRequestError where Runware would upload another image than the one that was asked for.
    """
    composed = output.composition is not None
    if "uploadEndpoint" in fields and (converts(output.format) or composed):
        converted = f"as {output.format.native}, before it is made {output.format.delivered.value}"
        made = "before it is fitted or pasted" if composed else converted
        message = (
            f"`uploadEndpoint` gets the image as Runware makes it, {made}: leave out what the gateway does afterwards "
            "(`fit`, `mask`, output_format gif and avif, output_compression below 20), or upload the answer yourself."
        )
        raise InvalidRequestError(message, param="uploadEndpoint", code="unsupported_value")
    # For Runware's own link only: elsewhere it could delete an image before we have fetched it.
    return fields if output.link_seconds is None else {**fields, "ttl": output.link_seconds}


def check_output_size(
    request: ImageRequest, spec: ImageSpec, max_pixels: int, image_size: Dimensions | None = None
) -> None:
    """Raise InvalidRequestError for a size that could not be delivered; `image_size` is the first image's, upright."""
    size, format_ = _delivered_size(spec, image_size), spec.output.format.delivered
    if size is None or format_ is ImageFormat.SVG:
        return
    name, longest = f"{size[0]}x{size[1]}", LONGEST_SIDES.get(format_)
    if longest is not None and max(size) > longest:
        message = (
            f"{name} is more than {format_.value} can hold: at most {longest} pixels a side. Use png, or ask for less."
        )
        raise _refusal(request, message)
    if math.prod(size) > max_pixels:
        message = f"{name} has more than the {max_pixels} pixels this gateway delivers: ask for less."
        raise _refusal(request, message)


def _delivered_size(spec: ImageSpec, image_size: Dimensions | None) -> Dimensions | None:
    """The size of the answer, where it is known beforehand."""
    output = spec.output
    if output.composition is not None:
        return output.composition.size
    if output.size is not None:
        return output.size
    field = spec.model.parameters.scale_factor
    factor = find_value(spec.fields, field) if field is not None else None
    # What an upscaler made itself goes through as it is; only what we must convert has to fit in here.
    if not isinstance(factor, int | float) or image_size is None or not converts(output.format):
        return None
    return round(image_size[0] * factor), round(image_size[1] * factor)


def _refusal(request: ImageRequest, message: str) -> InvalidRequestError:
    """The refusal, for the field that the size came from."""
    size = request.size
    param = "image"
    if size.exact is not None:
        param = "size"
    elif size.ratio is not None:
        param = size.ratio_field
    elif size.area is not None:
        param = size.area_field
    elif request.parameter(SCALE_FACTOR) is not None:
        param = SCALE_FACTOR
    param = request.names.get(param, param)
    return InvalidRequestError(f"`{param}`: {message}", param=param)
