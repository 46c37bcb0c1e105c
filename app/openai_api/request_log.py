"""Requests of the past as the API shows them, and what may be asked about them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

import msgspec

from app.domain.answer import TaskCost
from app.domain.words import Delivery, JSONValue
from app.errors import GatewayError, InvalidRequestError
from app.journal.records import Record, RequestView, Status, Sums
from app.openai_api.readers import read_boolean, read_choice, read_integer, read_text, wrong
from app.openai_api.render import CURRENCY, PROVIDER, bill_members, cost_members, image_members

_FILTERS = ("created_after", "created_before", "status", "model", "key", "id")
_NAMES = ("limit", "starting_after", "ending_before", *_FILTERS, "summary")
_MOST, _USUAL = 100, 20
_FORMATS = {Delivery.LINK: "url", Delivery.EMBEDDED: "b64_json", Delivery.DATA_URI: "dataURI"}
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Question:
    """Which of its past requests a caller asks for. Times are unix seconds."""

    limit: int = _USUAL
    starting_after: str | None = None
    ending_before: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    status: Status | None = None
    model: str | None = None
    key: str | None = None
    """The id or the name of the key it is about."""
    id: str | None = None
    """A part of its id."""
    summary: bool = False


def read_question(query: Mapping[str, str]) -> Question:
    """The question in a query string, raising InvalidRequestError for what cannot be one."""
    unknown = [name for name in query if name not in _NAMES]
    if unknown:
        message = f"`{unknown[0]}` is no filter here. There are {', '.join(_NAMES)}."
        raise InvalidRequestError(message, param=unknown[0], code="unknown_parameter")
    after, before = read_text(query, "starting_after"), read_text(query, "ending_before")
    if after is not None and before is not None:
        raise InvalidRequestError("`starting_after` and `ending_before` exclude each other.", param="ending_before")
    status = read_choice(query, "status", [one.value for one in Status])
    return Question(
        limit=read_integer(query, "limit", 1, _MOST) or _USUAL,
        starting_after=after,
        ending_before=before,
        created_after=_read_time(query, "created_after"),
        created_before=_read_time(query, "created_before"),
        status=None if status is None else Status(status),
        model=read_text(query, "model"),
        key=read_text(query, "key"),
        id=read_text(query, "id"),
        summary=bool(read_boolean(query, "summary")),
    )


def _read_time(query: Mapping[str, str], name: str) -> float | None:
    text = read_text(query, name)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise wrong(name, "unix seconds", text) from None


def render_record(view: RequestView) -> bytes:
    """One request; what became of it is shown once it ended."""
    # Its prompt stands here only: a list is read by administrators without a line in the audit log (0133).
    return _encoder.encode({**_members_of(view), "prompt": view.record.prompt})


def _members_of(view: RequestView) -> dict[str, object]:
    record, result = view.record, view.result
    ended = record.completed_at
    return {
        "id": record.id,
        "object": "request",
        "created_at": int(record.created_at),
        "completed_at": None if ended is None else int(ended),
        "status": record.status.value,
        "endpoint": f"/v1/images/{record.endpoint}",
        "model": record.model,
        "executed_model": f"{PROVIDER}/{record.executed_model}",
        "n": record.n,
        **_render_cost(record),
        "estimated_cost": None if record.estimate is None else float(record.estimate),
        "currency": CURRENCY,
        "duration_ms": None if ended is None else round((ended - record.created_at) * 1000),
        # What Runware said of each image; where the image itself is, the result tells.
        "images": [image_members(image) for image in result.images] if result else [],
        **({"provider_fields": result.provider_fields} if result and result.provider_fields else {}),
        "attempts": result.attempts if result else [],
        "task_uuids": record.task_ids,
        "plan": _render_plan(view),
        "adjustments": result.adjustments if result else [],
        "error": None if view.error is None else _render_error(view.error),
        "errors": result.failures if result else [],
        "key": record.tenant,
        "user": record.user,
        "client_request_id": record.client_request_id,
        "webhook": _render_webhook_state(record),
        "delivered": record.delivered_at is not None,
        "delivered_at": None if record.delivered_at is None else int(record.delivered_at),
        "images_kept": result is not None and bool(record.images_kept),
        "result_url": f"/v1/requests/{record.id}/result",
    }


def _render_plan(view: RequestView) -> JSONValue:
    """What was asked of Runware: each task with its images and its cost, and what becomes of them here."""
    plan, costs = view.plan, {cost.task_id: cost for cost in view.record.costs}
    if plan is None:
        return None
    output, composition = plan.output, plan.output.composition
    return {
        "tasks": [
            {
                "task_uuid": place.task_id,
                "first_index": place.first_index,
                "images": place.number_results,
                **_render_task_cost(view.record, costs.get(place.task_id)),
            }
            for place in plan.places
        ],
        "size": None if output.size is None else "{}x{}".format(*output.size),
        "runware_format": output.format.native.lower(),
        "output_format": output.format.delivered.value,
        "response_format": _FORMATS[output.delivery],
        "fit": None if composition is None or composition.pastes else composition.fit,
        "pasted": composition is not None and composition.pastes,
    }


def _render_task_cost(record: Record, cost: TaskCost | None) -> dict[str, JSONValue]:
    if cost is None or not record.status.final:
        return {"cost": None}
    return bill_members((cost,))


def _render_error(error: GatewayError) -> dict[str, JSONValue]:
    return {
        "message": error.message,
        "param": error.param,
        "code": error.code,
        "provider_code": error.provider_code,
    }


def _render_cost(record: Record) -> dict[str, JSONValue]:
    """What it cost: nothing is known before its end, and then perhaps a part."""
    if not record.status.final:
        return {"cost": None}
    return bill_members(record.costs)


def render_webhook(view: RequestView) -> bytes:
    """The body of the webhook that tells how a request ended."""
    record = view.record
    ended = datetime.fromtimestamp(record.completed_at or record.created_at, UTC)
    body = {
        "type": "image.failed" if record.status is Status.FAILED else "image.completed",
        "timestamp": ended.isoformat().replace("+00:00", "Z"),
        "data": _members_of(view),
    }
    return _encoder.encode(body)


def _render_webhook_state(record: Record) -> JSONValue:
    if record.webhook_url is None:
        return None
    taken = record.webhook_status is not None and 200 <= record.webhook_status < 300  # noqa: PLR2004 - HTTP's own
    over = record.webhook_next is None
    return {
        "url": record.webhook_url,
        "attempts": record.webhook_attempts,
        "last_status": record.webhook_status,
        "state": "delivered" if taken else "failed" if over else "pending",
    }


def render_list(views: Sequence[RequestView], question: Question, *, more: bool, sums: Sums | None = None) -> bytes:
    """A page of requests, newest first, with the addresses of its neighbors, and with `sums` their summary."""
    page: dict[str, object] = {"object": "list", "data": [_members_of(view) for view in views], "has_more": more}
    backwards = question.ending_before is not None
    first, last = (views[0].record.id, views[-1].record.id) if views else (None, None)
    page["next_page_url"] = _page_url(question, "starting_after", last) if last and (more or backwards) else None
    later = (more if backwards else question.starting_after is not None) and first is not None
    page["previous_page_url"] = _page_url(question, "ending_before", first) if later else None
    if sums is not None:
        page["summary"] = _render_summary(sums)
    return _encoder.encode(page)


def _render_summary(sums: Sums) -> dict[str, JSONValue]:
    """Sums over all requests a question covers; there is no total while a part of one is unknown."""
    # No total while a part is unknown: an accountant would take it for all (0101).
    total = sums.known_cost if not sums.unknown else None
    return {
        "requests": sum(sums.by_status.values()),
        **cost_members(total, sums.known_cost),
        "cost_text": None if total is None else format(total, "f"),
        "requests_with_unknown_cost": sums.unknown,
        "currency": CURRENCY,
        "by_status": {**sums.by_status},
    }


def _page_url(question: Question, cursor: str, request_id: str | None) -> str:
    filters = {
        "limit": question.limit,
        "created_after": question.created_after,
        "created_before": question.created_before,
        "status": question.status.value if question.status else None,
        "model": question.model,
        "key": question.key,
        "id": question.id,
        cursor: request_id,
    }
    return "/v1/requests?" + urlencode({name: value for name, value in filters.items() if value is not None})
