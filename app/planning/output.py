"""Which format the provider makes, and what becomes of it afterwards. Pure.

Only what the provider cannot make with the asked quality is converted. Vector graphics stay vector graphics.
"""

from collections.abc import Iterable, Mapping

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import Delivery, ImageFormat, ImageRequest, JSONValue
from app.domain.spec import NATIVE_FORMATS, FormatPlan
from app.errors import InvalidRequestError
from app.planning.adjustments import dropped

_BASE64_NAMES = ("gpt-image-", "chatgpt-image-")
_LOSSY = frozenset({ImageFormat.JPEG, ImageFormat.WEBP, ImageFormat.AVIF})
_MIN_NATIVE_QUALITY, _MAX_NATIVE_QUALITY = 20, 99


def default_delivery(name: str | None, otherwise: Delivery) -> Delivery:
    """How images come back where the caller does not say: OpenAI's GPT models of this name never answered otherwise."""
    spelled = (name or "").rsplit("/", 1)[-1].strip().lower().replace("_", "-").replace(" ", "-")
    return Delivery.EMBEDDED if spelled.startswith(_BASE64_NAMES) else otherwise


def makes_vectors(model: CatalogModel) -> bool:
    """Whether the model answers with vector graphics only."""
    return model.formats == ("SVG",)


def plan_format(request: ImageRequest, model: CatalogModel, report: list[Adjustment], *, finished: bool) -> FormatPlan:
    """The format for `request`; `finished` when we touch the image after it was made."""
    wanted, compression = request.format or ImageFormat.PNG, request.compression
    if makes_vectors(model):
        if request.format not in {None, ImageFormat.SVG}:
            reason = f"{model.id} makes vector graphics."
            report.append(Adjustment("output_format", wanted.value, "svg", AdjustmentMode.CHANGED, reason))
        wanted = ImageFormat.SVG
    if wanted not in _LOSSY:
        if compression not in {None, 100}:
            report.append(dropped("output_compression", compression, f"{wanted.value} has no quality setting."))
        compression = None
    native = NATIVE_FORMATS.get(wanted)
    too_low = compression is not None and compression < _MIN_NATIVE_QUALITY
    # Converting loses quality and time: Runware's own encoder is used wherever it can make the format.
    if native in model.formats and not too_low and (not finished or native == "PNG"):
        native_quality = None if compression is None else min(compression, _MAX_NATIVE_QUALITY)
        return FormatPlan(wanted, compression, native, native_quality)
    # Lossless, so that the image is compressed once only.
    source = "PNG" if "PNG" in model.formats else model.formats[0]
    return FormatPlan(wanted, compression, source, None)


def check_upload(fields: Mapping[str, JSONValue], plan: FormatPlan, *, finished: bool) -> None:
    """Raise InvalidRequestError where Runware would upload another image than the one that was asked for."""
    if "uploadEndpoint" not in fields or not (plan.converts or finished):
        return
    made = (
        "before it is fitted or pasted" if finished else f"as {plan.native}, before it is made {plan.delivered.value}"
    )
    message = (
        f"`uploadEndpoint` gets the image as Runware makes it, {made}: leave out what the gateway does afterwards "
        "(`fit`, `mask`, output_format gif and avif, output_compression below 20), or upload the answer yourself."
    )
    raise InvalidRequestError(message, param="uploadEndpoint", code="unsupported_value")


def promises_transparency(
    request: ImageRequest,
    model: CatalogModel,
    fields: Mapping[str, JSONValue],
    report: Iterable[Adjustment],
    delivered: ImageFormat,
) -> bool:
    """Whether the answer must have an alpha channel, raising InvalidRequestError where the format has none."""
    layered = _is_layered(fields)
    if layered and delivered is ImageFormat.JPEG:
        message = "`layerDiffuse` makes transparent images: use output_format png, webp, gif or avif, not jpeg."
        raise InvalidRequestError(message, param="output_format")
    if model.task == "removeBackground":
        return delivered is not ImageFormat.JPEG and "settings" not in fields
    honored = all(adjustment.param != "background" for adjustment in report)
    return layered or (request.background == "transparent" and honored)


def _is_layered(fields: Mapping[str, JSONValue]) -> bool:
    advanced = fields.get("advancedFeatures")
    inner = advanced.get("layerDiffuse") if isinstance(advanced, dict) else None
    return fields.get("layerDiffuse") is True or inner is True
