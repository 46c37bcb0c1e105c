"""How large an image becomes that is extended: the image and what is added to its sides. Pure."""

from collections.abc import Mapping

from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import JSONValue, SizeRequest
from app.planning.sizing import SizeChoice

_SIDES = ("left", "right", "top", "bottom")


def extend_size(
    size: SizeRequest, passthrough: Mapping[str, JSONValue], image: tuple[int, int] | None
) -> SizeRequest | None:
    """The size that `outpaint` asks for where the caller names no shape, None where it asks for none.

    A scale the caller asked for stays; without one the extended image keeps its pixels.
    """
    asked = passthrough.get("outpaint")
    if image is None or not isinstance(asked, dict) or size.exact is not None or size.ratio is not None:
        return None
    if asked.keys().isdisjoint(_SIDES):
        return None
    left, right, top, bottom = (_read_pixels(asked.get(side)) for side in _SIDES)
    width, height = image[0] + left + right, image[1] + top + bottom
    if size.area is not None:
        return SizeRequest(ratio=width / height, area=size.area)
    return SizeRequest(exact=(width, height))


def report_extension(asked: SizeRequest | None, choice: SizeChoice, model: str) -> list[Adjustment]:
    """What to say where the model cannot make the image exactly as large as its extension makes it."""
    if asked is None or asked.exact is None or choice.size is None or choice.size == asked.exact:
        return []
    wanted, applied = (f"{width}x{height}" for width, height in (asked.exact, choice.size))
    reason = f"The extended image has {wanted}; {applied} is the nearest size {model} can make."
    return [Adjustment("outpaint", wanted, applied, AdjustmentMode.CHANGED, reason)]


def _read_pixels(value: JSONValue) -> int:
    """What is added to one side; other values are refused where the fields of the task are judged."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
