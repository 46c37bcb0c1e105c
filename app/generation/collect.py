"""From the results of tasks to ordered images, and the policy for partial failure. Pure.

What was paid for is delivered: as long as one image exists the rest are failures beside it. No image at all is
an error. What they cost is added up by `ledger.bill`.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from app.domain.answer import Adjustment, Answer, Attempt, DeliveredImage, MissingImage, Result
from app.domain.lifetimes import Lifetimes
from app.domain.outcome import Failed, Part
from app.domain.spec import TaskPlace
from app.domain.values import replace
from app.domain.words import JSONValue
from app.errors import GatewayError, Spent
from app.generation.provider_errors import error_class, to_error
from app.ledger.bill import known_cost, total_cost
from app.runware.failures import Kind, ProviderFailure
from app.runware.members import Image
from app.runware.tasks import TaskResult

_MISSING = ProviderFailure(Kind.PROVIDER, "missingResult", "It made fewer images than asked for.")


class FailedImage(Struct, frozen=True):
    """A place in the answer that stays empty, and why."""

    index: int
    error: GatewayError


class TaskEnd(Struct, frozen=True):
    """What became of one task, its images in the form that was requested."""

    place: TaskPlace
    attempts: tuple[Attempt, ...]
    provider_fields: Mapping[str, JSONValue]
    images: tuple[DeliveredImage, ...] = ()
    failed: tuple[FailedImage, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    is_unresolved: bool = False
    """Nobody could tell in time: there may be more images."""
    may_run: bool = False
    """It may still run at Runware."""


def end_of(place: TaskPlace, result: TaskResult) -> tuple[TaskEnd, tuple[Image, ...]]:
    """What is known of a task before its images are delivered, and the first of its images in their order."""
    # Models that only make multiples make more than was asked for; what is over was reported beforehand.
    made = result.images[: place.wanted]
    attempts = [
        Attempt(place.task_id, one.kind, one.outcome, one.status, one.duration_ms, one.started_ms)
        for one in result.exchanges
    ]
    failed = _missing(place, result, len(made)) if len(made) < place.wanted else ()
    may_run = result.unresolved or bool(result.failures and any(one.kind is Kind.TIMEOUT for one in result.failures))
    end = TaskEnd(
        place, tuple(attempts), result.others, failed=failed, is_unresolved=result.unresolved, may_run=may_run
    )
    return end, made


def _missing(place: TaskPlace, result: TaskResult, made: int) -> tuple[FailedImage, ...]:
    """Why the images after the first `made` of a task are not there."""
    reasons = result.failures or (_MISSING,)
    return tuple(
        FailedImage(place.first_index + offset, to_error(reasons[min(offset - made, len(reasons) - 1)]))
        for offset in range(made, place.wanted)
    )


def build_result(
    created: int, adjustments: tuple[Adjustment, ...], ends: Sequence[TaskEnd], lives: Lifetimes | None = None
) -> Result:
    """What became of a request out of the ends of its tasks; `adjustments` are those from before it was sent."""
    if len(ends) > 1:
        ends = sorted(ends, key=lambda end: end.place.first_index)
    images: list[DeliveredImage] = []
    failed: list[FailedImage] = []
    task_ids: list[str] = []
    attempts: list[Attempt] = []
    reports: list[Adjustment] = []
    said: list[Mapping[str, JSONValue]] = []
    for end in ends:
        images += end.images
        failed += end.failed
        task_ids.append(end.place.task_id)
        attempts += end.attempts
        reports += end.adjustments
        if end.provider_fields:
            said.append(end.provider_fields)
    return Result(
        created=created,
        images=tuple(images),
        failures=_stated(failed) if failed else (),
        task_ids=tuple(task_ids),
        attempts=tuple(attempts),
        adjustments=(*adjustments, *distinct_adjustments(reports)) if reports else adjustments,
        provider_fields=merge_fields(said) if said else {},
        lives=lives,
    )


def _stated(failed: Iterable[FailedImage]) -> tuple[MissingImage, ...]:
    ordered = sorted(failed, key=lambda one: one.index)
    return tuple(MissingImage(one.index, one.error.code, one.error.message) for one in ordered)


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


def split_parts(answer: Answer, places: Sequence[TaskPlace]) -> list[Part]:
    """The answers of single tasks again, out of the whole that `build_result` made of them."""
    if not places:
        return [Part(0, answer)]
    whole = answer.result
    missing = {failure.index for failure in whole.failures}
    there = [index for index in range(sum(place.wanted for place in places)) if index not in missing]
    images = dict(zip(there, whole.images, strict=False))
    parts = []
    for place in places:
        indexes = range(place.first_index, place.first_index + place.wanted)
        own = tuple(images[index] for index in indexes if index in images)
        if own:
            attempts = tuple(attempt for attempt in whole.attempts if attempt.task_id == place.task_id)
            costs = tuple(cost for cost in answer.costs if cost.task_id == place.task_id)
            failures = tuple(failure for failure in whole.failures if failure.index in indexes)
            part = replace(whole, images=own, failures=failures, task_ids=(place.task_id,), attempts=attempts)
            parts.append(Part(place.first_index, replace(answer, result=part, costs=costs)))
    return parts


def find_lost_task(answer: Answer, places: Sequence[TaskPlace]) -> Failed | None:
    """The failure of the first task without any image, as a stream reports it that heard the parts live."""
    missing = {failure.index: failure for failure in answer.result.failures}
    for place in places:
        if missing.keys() >= set(range(place.first_index, place.first_index + place.wanted)):
            failure = missing[place.first_index]
            costs = [cost for cost in answer.costs if cost.task_id == place.task_id]
            error = error_class(failure.code)(failure.message, code=failure.code)
            return Failed(answer.request_id, error, Spent(total_cost(costs), known_cost(costs)))
    return None


def distinct_adjustments(adjustments: Sequence[Adjustment]) -> tuple[Adjustment, ...]:
    """Each once; what was requested may be a list, so that they cannot be hashed."""
    return tuple(one for place, one in enumerate(adjustments) if one not in adjustments[:place])
