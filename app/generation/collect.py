"""From the results of tasks to ordered pictures, and the policy for partial failure. Pure.

What was paid for is delivered: as long as one picture exists the rest are failures beside it. No picture at all is
an error. Unknown costs stay unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.errors import GatewayError, StillProcessingError
from app.generation.failures import to_error
from app.generation.plan import Plan, PlannedTask
from app.generation.types import Adjustment, Answer, Attempt, Failure
from app.runware.errors import Failure as RunwareFailure
from app.runware.errors import Kind
from app.runware.results import TaskResult
from app.runware.tasks import Picture

_MISSING = RunwareFailure(Kind.PROVIDER, "missingResult", "It made fewer pictures than asked for.")


@dataclass(frozen=True, slots=True)
class PlacedPicture:
    """A picture and its place in the answer, counted from 0."""

    index: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything the tasks of a request brought."""

    pictures: tuple[PlacedPicture, ...]
    failures: tuple[Failure, ...]
    cost: Decimal | None
    attempts: tuple[Attempt, ...]


def collect(plan: Plan, results: Sequence[TaskResult]) -> Collected:
    """The pictures in order, raising the first task's GatewayError when there is none."""
    pictures: list[PlacedPicture] = []
    failures: list[tuple[int, GatewayError]] = []
    attempts: list[Attempt] = []
    for planned, result in zip(plan.tasks, results, strict=True):
        wanted = planned.wanted
        kept = result.pictures[:wanted]
        pictures += [PlacedPicture(planned.first_index + place, picture) for place, picture in enumerate(kept)]
        for place in range(len(kept), wanted):
            reasons = result.failures or (_MISSING,)
            reason = reasons[min(place - len(kept), len(reasons) - 1)]
            failures.append((planned.first_index + place, to_error(reason)))
        attempts += [
            Attempt(planned.task.task_uuid, exchange.kind, exchange.outcome, exchange.status, exchange.duration_ms)
            for exchange in result.exchanges
        ]
    if not pictures:
        raise failures[0][1]
    return Collected(
        tuple(pictures),
        tuple(Failure(index, error.code, error.message) for index, error in failures),
        _sum_costs([picture for result in results for picture in result.pictures]),
        tuple(attempts),
    )


def merge_parts(answers: Sequence[Answer], errors: Sequence[tuple[PlannedTask, GatewayError]]) -> Answer:
    """One answer out of those of single tasks in order.

    Raises StillProcessingError where nobody knows what became of a task, and the first error when there is no answer.
    """
    if errors and (not answers or isinstance(gravest(errors), StillProcessingError)):
        raise gravest(errors)
    failures = [failure for answer in answers for failure in answer.failures]
    failures += [
        Failure(planned.first_index + place, error.code, error.message)
        for planned, error in errors
        for place in range(planned.wanted)
    ]
    costs = [answer.cost for answer in answers]
    return replace(
        answers[0],
        images=tuple(image for answer in answers for image in answer.images),
        failures=tuple(sorted(failures, key=lambda failure: failure.index)),
        cost=sum((cost for cost in costs if cost is not None), Decimal(0)) if None not in costs else None,
        task_ids=tuple(task_id for answer in answers for task_id in answer.task_ids),
        attempts=tuple(attempt for answer in answers for attempt in answer.attempts),
        adjustments=_distinct([adjustment for answer in answers for adjustment in answer.adjustments]),
    )


def gravest(errors: Sequence[tuple[PlannedTask, GatewayError]]) -> GatewayError:
    """The error to tell of several: that a picture may still come, else the first."""
    return next((error for _, error in errors if isinstance(error, StillProcessingError)), errors[0][1])


def _distinct(adjustments: Sequence[Adjustment]) -> tuple[Adjustment, ...]:
    """Each once; what was requested may be a list, so that they cannot be hashed."""
    return tuple(one for place, one in enumerate(adjustments) if one not in adjustments[:place])


def _sum_costs(pictures: Sequence[Picture]) -> Decimal | None:
    costs = [picture.cost for picture in pictures]
    return sum((cost for cost in costs if cost is not None), Decimal(0)) if None not in costs else None
