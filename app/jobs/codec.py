"""Results, errors and plans as the journal stores them, and back; the one place that knows their form. Pure.

Leaves the bytes of images to `result_store`: a result has only the names they are stored under.
"""

import msgspec
from msgspec import Struct

from app.domain.answer import Adjustment, Result
from app.domain.spec import OutputSpec, TaskPlace
from app.domain.values import replace
from app.errors import GatewayError, InternalError
from app.journal.records import UNREADABLE, PlanView, Record, RequestView


class StoredPlan(Struct, frozen=True):
    """What is needed to deliver the images of tasks whose process has ended. No prompt and no image (0060)."""

    origin: str
    places: tuple[TaskPlace, ...]
    output: OutputSpec
    adjustments: tuple[Adjustment, ...]


_results = msgspec.json.Decoder(Result)
_plans = msgspec.json.Decoder(StoredPlan)


class StoredError(msgspec.Struct, frozen=True):
    """An error as it was answered; `retry_after` is there where the same request may be sent again."""

    kind: str
    message: str
    param: str | None
    code: str
    provider_code: str | None
    retry_after: int | None = None


def encode_result(result: Result) -> str:
    """The result, whose images have no bytes any more."""
    return msgspec.json.encode(result).decode()


def decode_result(text: str) -> Result:
    """The result again, raising MsgspecError where it cannot be read."""
    return _results.decode(text)


def view_of(record: Record) -> RequestView:
    """The request with its result or its error; one that cannot be read is an error that says so."""
    error = None if record.error is None else decode_error(record.error)
    try:
        result = None if record.answer is None else decode_result(record.answer)
    except msgspec.MsgspecError:
        # One damaged row must not break the whole list (0103).
        return RequestView(record, None, decode_error(UNREADABLE))
    return RequestView(record, result, error, _plan_of(record))


def _plan_of(record: Record) -> PlanView | None:
    try:
        plan = decode_plan(record.plan)
    except msgspec.MsgspecError:
        return None
    return PlanView(plan.places, plan.output)


def encode_plan(plan: StoredPlan) -> str:
    """The plan."""
    return msgspec.json.encode(plan).decode()


def decode_plan(text: str) -> StoredPlan:
    """The plan again, raising MsgspecError where it cannot be read."""
    try:
        return _plans.decode(text)
    except msgspec.ValidationError:
        # Rows that are older than `output` have its members beside the others, and two under other names (0075).
        old = msgspec.json.decode(text, type=dict[str, object])
        output = {**old, "composition": old.get("finish")}
        return msgspec.convert({**old, "places": old.get("tasks"), "output": output}, StoredPlan)


def places_of(plan: str) -> tuple[TaskPlace, ...]:
    """The places of the tasks of a stored plan; none of one that cannot be read."""
    try:
        return decode_plan(plan).places
    except msgspec.MsgspecError:
        return ()


def encode_error(error: GatewayError, *, may_retry: bool = False) -> str:
    """The error; with `may_retry` callers that waited for it elsewhere get the advice to retry too."""
    # Callers who joined get the error from here. They may retry only where the key is free again (0065).
    again = error.retry_after or 1 if may_retry and error.should_retry else None
    stored = StoredError(type(error).__name__, error.message, error.param, error.code, error.provider_code, again)
    return msgspec.json.encode(stored).decode()


def decode_error(text: str) -> GatewayError:
    """The error again, as its own class; that it cannot be read, where it cannot."""
    try:
        stored = msgspec.json.decode(text, type=StoredError)
    except msgspec.MsgspecError:
        # Final: a row that cannot be read will not be readable at the next attempt either.
        message = "The journal's row of this request cannot be read."
        return InternalError(message, code="unreadable_record", should_retry=False)
    kind = _kinds(GatewayError).get(stored.kind, GatewayError)
    return kind(
        stored.message,
        param=stored.param,
        code=stored.code,
        provider_code=stored.provider_code,
        retry_after=stored.retry_after,
        should_retry=stored.retry_after is not None,
    )


def without_message(text: str) -> str:
    """A stored error without what may repeat what was asked for; one that cannot be read as it is."""
    try:
        stored = msgspec.json.decode(text, type=StoredError)
    except msgspec.MsgspecError:
        return text
    message = "What the error said was deleted with the payloads of the request."
    return msgspec.json.encode(replace(stored, message=message)).decode()


def _kinds(base: type[GatewayError]) -> dict[str, type[GatewayError]]:
    return {kind.__name__: kind for direct in base.__subclasses__() for kind in (direct, *_kinds(direct).values())}
