"""What is said where a delivered image is another than was asked for. Pure."""

from collections.abc import Sequence

from app.domain.answer import Adjustment, AdjustmentMode, DeliveredImage
from app.domain.spec import OutputSpec
from app.domain.words import Delivery, ImageFormat
from app.planning.output import converts

_AS_MADE = "The image could not be converted as requested: it is given as Runware made it."
_NOT_HOSTED = "This gateway cannot keep images at the moment: this one is given in the answer itself."


def report_sizes(output: OutputSpec, images: Sequence[DeliveredImage]) -> tuple[Adjustment, ...]:
    """What to say when the provider made another size than the one it was asked for."""
    if output.size is None or output.composition is not None:
        return ()
    wanted = f"{output.size[0]}x{output.size[1]}"
    other = {
        f"{image.size[0]}x{image.size[1]}" for image in images if image.size not in {None, output.size} and image.size
    }
    reason = "The provider made another size than it was asked for."
    return tuple(Adjustment("size", wanted, size, AdjustmentMode.CHANGED, reason) for size in sorted(other))


def report_alpha(output: OutputSpec, images: Sequence[DeliveredImage]) -> tuple[Adjustment, ...]:
    """What to say when an image that was to be transparent came without an alpha channel."""
    if not output.transparent or all(image.alpha is not False for image in images):
        return ()
    reason = "The provider made an opaque image, though it was asked for a transparent one."
    return (Adjustment("background", "transparent", "opaque", AdjustmentMode.CHANGED, reason),)


def report_as_made(
    output: OutputSpec, made: ImageFormat, size: tuple[int, int] | None, *, is_link: bool
) -> tuple[Adjustment, ...]:
    """What could not be done to an image that is given as Runware made it."""
    wanted, composition = output.format, output.composition
    undone: list[Adjustment] = []
    if made is not wanted.delivered:
        undone.append(Adjustment("output_format", wanted.delivered.value, made.value, AdjustmentMode.CHANGED, _AS_MADE))
    if converts(wanted) and wanted.quality is not None:
        undone.append(Adjustment("output_compression", wanted.quality, None, AdjustmentMode.DROPPED, _AS_MADE))
    if composition is not None:
        field, asked = ("mask", None) if composition.pastes else ("fit", composition.fit)
        undone.append(Adjustment(field, asked, None, AdjustmentMode.DROPPED, _AS_MADE))
        if size is not None and size != composition.size:
            asked_size, own_size = f"{composition.size[0]}x{composition.size[1]}", f"{size[0]}x{size[1]}"
            undone.append(Adjustment("size", asked_size, own_size, AdjustmentMode.CHANGED, _AS_MADE))
    if is_link and output.delivery is not Delivery.LINK:
        undone.append(Adjustment("response_format", "b64_json", "url", AdjustmentMode.CHANGED, _AS_MADE))
    return tuple(undone)


def report_not_hosted() -> Adjustment:
    """What to say when an image that was to be behind a link is in the answer itself."""
    return Adjustment("response_format", "url", "data URI", AdjustmentMode.CHANGED, _NOT_HOSTED)
