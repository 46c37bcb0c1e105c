"""From a spec to the tasks that Runware will run: the split of `n`, ids, seeds, inputs, and what they hold. Pure.

Task ids are passed in, so that the same plan can be made again.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, AdjustmentMode
from app.domain.request import ImageRequest
from app.domain.spec import ImageSpec, OutputSpec, TaskPlace
from app.domain.values import replace
from app.domain.words import Delivery, JSONValue
from app.errors import InvalidRequestError
from app.images.types import CompositeBase
from app.planning.output import converts, streams
from app.runware.tasks import ImageTask, InputReference

_PlacedInputs: TypeAlias = Mapping[str, InputReference | tuple[InputReference, ...]]
_SEED_LIMIT = 2**63
_BASE64 = 4 / 3
_BYTES_PER_PIXEL = {"PNG": 3.0, "TIFF": 3.0, "JPG": 1.0, "WEBP": 1.0, "SVG": 1.0}
"""A noisy image in each format Runware makes; a usual one has a half of it."""
_UNKNOWN_PIXELS = 4_194_304
"""What a model that chooses its own size is taken to make: 2048x2048."""
_RAW_BYTES_PER_PIXEL = 4


class FittedInputs(Struct, frozen=True):
    """The input images made fit: as the task will name them, with what had to be changed."""

    images: tuple[InputReference, ...] = ()
    mask: InputReference | None = None
    base: CompositeBase | None = None
    """What each result is pasted into afterwards."""
    adjustments: tuple[Adjustment, ...] = ()


NO_FITTED_INPUTS = FittedInputs()


class Plan(Struct, frozen=True):
    """All tasks of a request, in the order of their images, and the place of each task's images."""

    tasks: tuple[ImageTask, ...]
    places: tuple[TaskPlace, ...]
    images_made: int
    """How many images are made and billed."""


def decide_count(request: ImageRequest, model: CatalogModel) -> tuple[int, tuple[Adjustment, ...]]:
    """How many images one task makes for the caller; more are made where a model only makes multiples."""
    multiple = model.results_multiple
    # A stream sends each image the moment it exists. Slower and no cheaper, so only for streams.
    per_task = multiple if request.stream else model.max_results
    if request.count % multiple == 0:
        return per_task, ()
    made = math.ceil(request.count / multiple) * multiple
    # Stated, since the images that are over are billed too.
    reason = (
        f"{model.id} makes images in multiples of {multiple}: {made} are made and billed, {request.count} delivered."
    )
    return per_task, (Adjustment("n", request.count, made, AdjustmentMode.EMULATED, reason),)


def build_plan(spec: ImageSpec, inputs: FittedInputs, task_ids: Iterable[str]) -> Plan:
    """The tasks for `spec`, with one of `task_ids` each.

    Raises InvalidRequestError when the caller's own `inputs` would hide an image of the request.
    """
    placed: _PlacedInputs = _place_inputs(spec, inputs) if inputs.images or inputs.mask is not None else {}
    places: list[TaskPlace] = []
    tasks: list[ImageTask] = []
    made, multiple = 0, spec.model.results_multiple
    # The split depends on nothing but the spec, so the same request derives the same ids again (0064).
    for first, task_id in zip(range(0, spec.count, spec.per_task), task_ids, strict=False):
        wanted = min(spec.per_task, spec.count - first)
        # Some models make and bill multiples only; what is over is paid for, and not delivered.
        place = TaskPlace(task_id, first, wanted, -(-wanted // multiple) * multiple)
        made += place.number_results
        places.append(place)
        tasks.append(_build_task(spec, placed, place))
    return Plan(tuple(tasks), tuple(places), made)


def _build_task(spec: ImageSpec, inputs: _PlacedInputs, place: TaskPlace) -> ImageTask:
    model, output, fields = spec.model, spec.output, spec.fields
    seed_field = model.parameters.seed
    if spec.seed is not None and seed_field is not None:
        # Each task its own seeds, or every task would make the same images.
        fields = {**fields, seed_field: (spec.seed + place.first_index) % _seed_limit(model, seed_field)}
    return ImageTask(
        task_uuid=place.task_id,
        model=model.air,
        positive_prompt=spec.prompt,
        number_results=place.number_results,
        output_type="URL" if output.native_link or streams(output) else "base64Data",
        output_format=output.format.native,
        output_quality=output.format.native_quality,
        width=output.size[0] if output.size else None,
        height=output.size[1] if output.size else None,
        inputs=inputs,
        fields=fields,
        task_type=model.task,
    )


def with_ids(plan: Plan, task_ids: Sequence[str]) -> Plan:
    """The same tasks under other ids."""
    return Plan(
        tuple(replace(task, task_uuid=task_id) for task, task_id in zip(plan.tasks, task_ids, strict=True)),
        tuple(replace(place, task_id=task_id) for place, task_id in zip(plan.places, task_ids, strict=True)),
        plan.images_made,
    )


# An estimate on the generous side: it decides who waits, never what is refused.
def count_held_bytes(spec: ImageSpec, plan: Plan) -> int:
    """Bytes of `plan`: its input images, and the made images that pass through."""
    # Once, however many tasks send them: their base64 is made piece by piece while it leaves (0208).
    sent = plan.tasks[0].inline_bytes
    # The caller fetches from Runware: no made image passes through this process.
    if spec.output.native_link and not spec.output.transparent:
        return sent
    return sent + plan.images_made * _count_image_bytes(spec.output)


def _count_image_bytes(output: OutputSpec) -> int:
    """Bytes of one image on its way through: as it arrives, as it is converted, as it is given."""
    pixels = math.prod(output.size) if output.size is not None else _UNKNOWN_PIXELS
    made = pixels * _BYTES_PER_PIXEL[output.format.native]
    passes = output.delivery is Delivery.EMBEDDED and not converts(output.format) and output.composition is None
    if passes:
        return math.ceil(made * _BASE64)  # the text that arrives is the text that is given
    if streams(output):
        return math.ceil(made * (_BASE64 + 1))  # where the store is away: it is given in the answer
    composed = math.prod(output.composition.size) if output.composition is not None else 0
    raw = max(pixels, composed) * _RAW_BYTES_PER_PIXEL
    return math.ceil(made * (_BASE64 + 1) + raw)


def _seed_limit(model: CatalogModel, field: str) -> int:
    """One more than the largest seed, after which seeds begin anew."""
    rule = (model.fields.members or {}).get(field)
    return _SEED_LIMIT if rule is None or rule.maximum is None else int(rule.maximum) + 1


def _place_inputs(spec: ImageSpec, inputs: FittedInputs) -> _PlacedInputs:
    rules = spec.model.images
    placed: dict[str, InputReference | tuple[InputReference, ...]] = {}
    if inputs.images and rules is not None:
        placed[rules.slot] = inputs.images if rules.slot == "referenceImages" else inputs.images[0]
    if inputs.mask is not None:
        placed["maskImage"] = inputs.mask
    given: JSONValue = spec.fields.get("inputs")
    for name in placed:
        if isinstance(given, dict) and name in given:
            message = f"`inputs.{name}` is given twice: the images of this request already go there."
            raise InvalidRequestError(message, param=f"inputs.{name}")
    return placed
