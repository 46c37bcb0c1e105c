"""From a spec to the tasks that Runware will run: the split of `n`, ids, seeds and inputs. Pure.

Task ids are passed in, so that the same plan can be made again.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.catalog.model import CatalogModel
from app.domain.request import JSONValue
from app.domain.spec import ImageSpec, TaskPlace
from app.errors import InvalidRequestError
from app.runware.tasks import ImageTask, InputReference

_SEED_LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """Images as the task will name them."""

    images: tuple[InputReference, ...] = ()
    mask: InputReference | None = None


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task, and where its images belong."""

    task: ImageTask
    place: TaskPlace


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a request, in the order of their images."""

    tasks: tuple[PlannedTask, ...]

    @property
    def places(self) -> tuple[TaskPlace, ...]:
        """Where the images of each task belong."""
        return tuple(planned.place for planned in self.tasks)


def build_plan(spec: ImageSpec, inputs: TaskInputs, new_task_id: Callable[[int], str]) -> Plan:
    """The tasks for `spec`; `new_task_id(i)` is the id of the i-th task.

    Raises InvalidRequestError when the caller's own `inputs` would hide an image of the request.
    """
    wire_inputs, output = _place_inputs(spec, inputs), spec.output
    multiple = spec.model.results_multiple
    per_task = multiple if spec.splits else spec.model.max_results
    tasks = []
    # The split depends on nothing but the spec, so the same request derives the same ids again (0064).
    for index, first in enumerate(range(0, spec.count, per_task)):
        wanted = min(per_task, spec.count - first)
        fields = dict(spec.fields)
        if spec.seed is not None and spec.model.parameters.seed is not None:
            # Each task its own seeds, or every task would make the same images.
            fields[spec.model.parameters.seed] = (spec.seed + first) % _seed_limit(spec.model)
        task = ImageTask(
            task_uuid=new_task_id(index),
            model=spec.model.air,
            positive_prompt=spec.prompt,
            # Some models make and bill multiples only; what is over is paid for, and not delivered.
            number_results=math.ceil(wanted / multiple) * multiple,
            output_type="URL" if output.native_link else "base64Data",
            output_format=output.format.native,
            output_quality=output.format.native_quality,
            width=output.size[0] if output.size else None,
            height=output.size[1] if output.size else None,
            inputs=wire_inputs,
            fields=fields,
            task_type=spec.model.task,
        )
        tasks.append(PlannedTask(task, TaskPlace(task.task_uuid, first, wanted, task.number_results)))
    return Plan(tuple(tasks))


def _seed_limit(model: CatalogModel) -> int:
    """One more than the largest seed, after which seeds begin anew."""
    rule = (model.fields.members or {}).get(model.parameters.seed or "")
    return _SEED_LIMIT if rule is None or rule.maximum is None else int(rule.maximum) + 1


def _place_inputs(spec: ImageSpec, inputs: TaskInputs) -> dict[str, InputReference | tuple[InputReference, ...]]:
    rules = spec.model.images
    placed: dict[str, InputReference | tuple[InputReference, ...]] = {}
    if inputs.images and rules is not None:
        placed[rules.slot] = inputs.images if rules.slot == "referenceImages" else inputs.images[0]
    if inputs.mask is not None:
        placed["maskImage"] = inputs.mask
    given: JSONValue = spec.fields.get("inputs")
    _refuse_hidden(placed, given if isinstance(given, dict) else {})
    return placed


def _refuse_hidden(placed: Mapping[str, object], given: Mapping[str, JSONValue]) -> None:
    for name in placed:
        if name in given:
            message = f"`inputs.{name}` is given twice: the images of this request already go there."
            raise InvalidRequestError(message, param=f"inputs.{name}")
