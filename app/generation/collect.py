"""From the results of tasks to ordered images, and the policy for partial failure. Pure.

What was paid for is delivered: as long as one image exists the rest are failures beside it. No image at all is
an error. What they cost is added up by `ledger.bill`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.answer import Adjustment, Answer, Attempt, MissingImage, TaskCost
from app.domain.request import JSONValue
from app.domain.spec import TaskPlace
from app.errors import GatewayError, StillProcessingError
from app.generation.provider_errors import to_error
from app.runware.failures import Kind, ProviderFailure
from app.runware.members import Image
from app.runware.tasks import TaskResult

_MISSING = ProviderFailure(Kind.PROVIDER, "missingResult", "It made fewer images than asked for.")


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything the tasks of a request brought; `images` are by their places in the answer, counted from 0."""

    images: Mapping[int, Image]
    failures: tuple[MissingImage, ...]
    task_ids: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    provider_fields: Mapping[str, JSONValue]


def collect(places: Sequence[TaskPlace], results: Sequence[TaskResult]) -> Collected:
    """The images in order, raising the first task's GatewayError when there is none."""
    images: dict[int, Image] = {}
    failures: list[tuple[int, GatewayError]] = []
    attempts: list[Attempt] = []
    for task, result in zip(places, results, strict=True):
        wanted = task.wanted
        # Models that only make multiples make more than was asked for; what is over was reported beforehand.
        kept = result.images[:wanted]
        images |= {task.first_index + place: image for place, image in enumerate(kept)}
        for place in range(len(kept), wanted):
            reasons = result.failures or (_MISSING,)
            reason = reasons[min(place - len(kept), len(reasons) - 1)]
            failures.append((task.first_index + place, to_error(reason)))
        attempts += [
            Attempt(task.task_id, exchange.kind, exchange.outcome, exchange.status, exchange.duration_ms)
            for exchange in result.exchanges
        ]
    if not images:
        # An error only when there is no image at all: one image of ten is still paid for.
        raise failures[0][1]
    return Collected(
        images,
        tuple(MissingImage(index, error.code, error.message) for index, error in failures),
        tuple(task.task_id for task in places),
        tuple(attempts),
        merge_fields([result.others for result in results]),
    )


def merge_parts(
    answers: Sequence[Answer], errors: Sequence[tuple[TaskPlace, GatewayError]], costs: tuple[TaskCost, ...]
) -> Answer:
    """One answer out of those of single tasks in order; `costs` are those of all tasks, failed ones too.

    Raises StillProcessingError where nobody knows what became of a task, and the first error when there is no answer.
    """
    # A task in doubt decides over its siblings: only "still processing" keeps the way to its image open (0054).
    if errors and (not answers or isinstance(gravest(errors), StillProcessingError)):
        raise gravest(errors)
    parts = [answer.result for answer in answers]
    failures = [failure for part in parts for failure in part.failures]
    failures += [
        MissingImage(task.first_index + place, error.code, error.message)
        for task, error in errors
        for place in range(task.wanted)
    ]
    merged = replace(
        parts[0],
        images=tuple(image for part in parts for image in part.images),
        failures=tuple(sorted(failures, key=lambda failure: failure.index)),
        task_ids=tuple(task_id for part in parts for task_id in part.task_ids),
        attempts=tuple(attempt for part in parts for attempt in part.attempts),
        adjustments=distinct_adjustments([adjustment for part in parts for adjustment in part.adjustments]),
        provider_fields=merge_fields([part.provider_fields for part in parts]),
    )
    return replace(answers[0], result=merged, costs=costs)


def merge_fields(said: Sequence[Mapping[str, JSONValue]]) -> dict[str, JSONValue]:
    """What Runware said of several tasks: lists are joined, and where values differ all of them are listed."""
    merged: dict[str, JSONValue] = {}
    for name in dict.fromkeys(name for fields in said for name in fields):
        values = [fields[name] for fields in said if name in fields]
        if all(isinstance(value, list) for value in values):
            values = [inner for value in values if isinstance(value, list) for inner in value]
            merged[name] = [value for place, value in enumerate(values) if value not in values[:place]]
        else:
            distinct = [value for place, value in enumerate(values) if value not in values[:place]]
            merged[name] = distinct[0] if len(distinct) == 1 else distinct
    return merged


def split_parts(answer: Answer, places: Sequence[TaskPlace]) -> list[tuple[int, Answer]]:
    """The answers of single tasks again, with their first index: the opposite of `merge_parts`."""
    if not places:
        return [(0, answer)]
    whole = answer.result
    missing = {failure.index for failure in whole.failures}
    there = [index for index in range(sum(task.wanted for task in places)) if index not in missing]
    images = dict(zip(there, whole.images, strict=False))
    parts = []
    for task in places:
        indexes = range(task.first_index, task.first_index + task.wanted)
        own = tuple(images[index] for index in indexes if index in images)
        if own:
            attempts = tuple(attempt for attempt in whole.attempts if attempt.task_id == task.task_id)
            costs = tuple(cost for cost in answer.costs if cost.task_id == task.task_id)
            part = replace(whole, images=own, failures=(), task_ids=(task.task_id,), attempts=attempts)
            parts.append((task.first_index, replace(answer, result=part, costs=costs)))
    return parts


def gravest(errors: Sequence[tuple[TaskPlace, GatewayError]]) -> GatewayError:
    """The error to tell of several: that an image may still come, else the first."""
    return next((error for _, error in errors if isinstance(error, StillProcessingError)), errors[0][1])


def distinct_adjustments(adjustments: Sequence[Adjustment]) -> tuple[Adjustment, ...]:
    """Each once; what was requested may be a list, so that they cannot be hashed."""
    return tuple(one for place, one in enumerate(adjustments) if one not in adjustments[:place])
