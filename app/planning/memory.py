"""How many bytes a request holds while its tasks run. Pure.

An estimate on the generous side: it decides who waits, never what is refused.
"""

import math

from app.domain.request import Delivery
from app.domain.spec import ImageSpec, OutputSpec
from app.planning.plan import Plan

_BASE64 = 4 / 3
_BYTES_PER_PIXEL = {"PNG": 3.0, "TIFF": 3.0, "JPG": 1.0, "WEBP": 1.0, "SVG": 1.0}
"""A noisy image in each format Runware makes; a usual one has a half of it."""
_UNKNOWN_PIXELS = 4_194_304
"""What a model that chooses its own size is taken to make: 2048x2048."""
_RAW_BYTES_PER_PIXEL = 4


def count_held_bytes(spec: ImageSpec, plan: Plan) -> int:
    """Bytes of `plan`: its input images as they are and as they are sent, and the made images that pass through."""
    inputs = [planned.task.inline_bytes for planned in plan.tasks]
    sent = inputs[0] + sum(math.ceil(size * _BASE64) for size in inputs)
    # The caller fetches from Runware: no made image passes through this process.
    if spec.output.native_link and not spec.output.transparent:
        return sent
    return sent + sum(planned.task.number_results for planned in plan.tasks) * _count_image_bytes(spec.output)


def _count_image_bytes(output: OutputSpec) -> int:
    """Bytes of one image on its way through: as it arrives, as it is converted, as it is given."""
    pixels = math.prod(output.size) if output.size is not None else _UNKNOWN_PIXELS
    made = pixels * _BYTES_PER_PIXEL[output.format.native]
    passes = output.delivery is Delivery.EMBEDDED and not output.format.converts and output.composition is None
    if passes:
        return math.ceil(made * _BASE64)  # the text that arrives is the text that is given
    composed = math.prod(output.composition.size) if output.composition is not None else 0
    raw = max(pixels, composed) * _RAW_BYTES_PER_PIXEL
    return math.ceil(made * (_BASE64 + 1) + raw)
