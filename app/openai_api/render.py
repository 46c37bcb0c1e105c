"""From an Answer or an error to OpenAI's wire format. Pure.

An image in base64 is spliced into the body as it is: neither decoded, escaped nor copied.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from urllib.parse import quote

import msgspec

from app.domain.answer import Adjustment, Answer, DeliveredImage
from app.domain.outcome import Failed, Unresolved
from app.domain.words import JSONValue
from app.errors import GatewayError, Spent, StillProcessingError
from app.ledger.bill import Costs, known_cost, total_cost
from app.planning.dry_run import DryRun, show_task

PROVIDER = "runware"
PROVIDER_NAME = "Runware"
CURRENCY = "USD"

_SHOWN, _LONGEST_NAME = 32, 200
"""Of adjustments and their names: clients and proxies take heads of a few kilobytes only."""
_NAMES_KEPT = 256
_HEADER_SAFE = "!#$&'()*+-./:<>?@[]^_`{|}~"

Chunk = bytes | memoryview
_encoder = msgspec.json.Encoder(decimal_format="number")


def render_answer(answer: Answer) -> list[Chunk]:
    """The body of a 200, in pieces to be sent one after the other; links alone are one."""
    images = answer.result.images
    links = [image_members(image, with_link=True) for image in images if image.base64 is None]
    if len(links) == len(images):
        return [_encoder.encode(_members_of(answer, links))]
    frame = _encoder.encode(_members_of(answer, []))
    inside = frame.index(b"[") + 1
    # Whatever stands between two images is one piece: each is a write, and a packet of its own.
    chunks: list[Chunk] = []
    before = frame[:inside]
    for image in images:
        head, base64, tail = _render_image(image)
        if base64 is not None:
            chunks += (before + head, base64)
            before = b""
        before += tail + b","
    return [*chunks, before[:-1] + frame[inside:]]


def answer_headers(answer: Answer) -> dict[str, str]:
    """The headers that tell of an answer without its body being read."""
    headers = model_headers(answer.model.id, answer.result.adjustments)
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    cost = total_cost(answer.costs)
    if cost is not None:
        headers["X-Spillway-Cost"] = format(cost, "f")
    return headers


def model_headers(model_id: str, adjustments: Sequence[Adjustment]) -> dict[str, str]:
    """Which model answers, and in short what had to be adjusted."""
    headers = {"X-Spillway-Model": _quoted(model_id[:_LONGEST_NAME]), "X-Spillway-Provider": PROVIDER}
    if adjustments:
        headers["X-Spillway-Adjustments"] = short_adjustments(adjustments)
    return headers


def render_dry_run(dry_run: DryRun) -> bytes:
    """Lumenfall's estimate, with the plan and the adjustments beside it.

    An unknown price is null with a reason; `confidence` tells one that Runware publishes from what others saw.
    """
    estimate = dry_run.estimate
    components = [
        {
            "type": part.type,
            "metric": part.metric,
            "quantity": part.quantity,
            "billable_quantity": part.quantity,
            "unit_price": part.unit_price,
            "total_cost": _to_micros(part.total),
        }
        for part in estimate.components
    ]
    body = {
        "estimated": True,
        "model": dry_run.model.id,
        "provider": PROVIDER,
        "confidence": estimate.confidence,
        "total_cost_micros": None if estimate.total is None else _to_micros(estimate.total),
        "lowest_cost_micros": None if estimate.lowest is None else _to_micros(estimate.lowest),
        "currency": CURRENCY,
        "components": components,
        "reason": estimate.reason,
        "size": None if dry_run.size is None else f"{dry_run.size[0]}x{dry_run.size[1]}",
        "plan": [show_task(task) for task in dry_run.plan.tasks],
        "adjustments": dry_run.adjustments,
    }
    return _encoder.encode(body)


def _to_micros(dollars: Decimal) -> int:
    """Millionths of a dollar; half a millionth is rounded up."""
    return int((dollars * 1_000_000).to_integral_value(ROUND_HALF_UP))


def short_adjustments(adjustments: Sequence[Adjustment]) -> str:
    """`size=changed; quality=dropped`, whatever the caller named its fields; beyond some the rest is counted."""
    shown = [f"{header_text(adjustment.param)}={adjustment.mode.value}" for adjustment in adjustments[:_SHOWN]]
    # Proxies refuse heads beyond a few kilobytes, and with them the paid answer.
    more = len(adjustments) - len(shown)
    return "; ".join([*shown, f"{more} more"] if more else shown)


def header_text(text: str) -> str:
    """Text that may be a caller's, as it may stand in a header: what means something there is percent-encoded."""
    return _quoted(text[:_LONGEST_NAME])


@lru_cache(_NAMES_KEPT)
def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe=_HEADER_SAFE)


def render_error(error: GatewayError, spent: Spent | None = None) -> bytes:
    """OpenAI's envelope."""
    return _encoder.encode({"error": error_members(error, spent)})


def error_members(error: GatewayError, spent: Spent | None = None) -> dict[str, JSONValue]:
    """What an error object holds, with the provider's own code and what was paid where there is such a thing."""
    inner: dict[str, JSONValue] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    if error.provider_code is not None:
        inner["provider_code"] = error.provider_code
    # A failure that cost something says so; who pays should not learn it from the bill.
    if spent is not None and spent.cost != 0:
        inner |= cost_members(spent.cost, spent.known_cost)
    return inner


def cost_members(cost: Decimal | None, known_cost: Decimal) -> dict[str, JSONValue]:
    """A cost as it is shown everywhere: null where a part is unknown, with the known part beside it."""
    # Null, never a partial sum under the name of the total (0101).
    return {"cost": float(cost)} if cost is not None else {"cost": None, "known_cost": float(known_cost)}


def error_headers(error: GatewayError) -> dict[str, str]:
    """The retry advice of an error, in the headers that OpenAI's SDKs obey."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    return headers


def failure_headers(failed: Failed) -> dict[str, str]:
    """Those of its error, and what it cost."""
    headers = error_headers(failed.error)
    if failed.is_replay:
        headers["Idempotent-Replayed"] = "true"
    if failed.spent is not None and failed.spent.cost:
        headers["X-Spillway-Cost"] = format(failed.spent.cost, "f")
    return headers


def unresolved_headers(outcome: Unresolved) -> dict[str, str]:
    """Those of an image that is still being made: when to ask again, and where."""
    return {**error_headers(StillProcessingError()), "Location": f"/v1/requests/{outcome.request_id}"}


def bill_members(costs: Costs) -> dict[str, JSONValue]:
    """What all tasks of a request cost."""
    total = total_cost(costs)
    return {"cost": float(total)} if total is not None else cost_members(None, known_cost(costs))


def _render_image(image: DeliveredImage) -> tuple[bytes, memoryview | None, bytes]:
    """What stands before its base64, that itself if there is any, and what stands behind."""
    members = image_members(image, with_link=True)
    rest = _encoder.encode(members)
    if image.base64 is None:
        return b"", None, rest
    head = b'"b64_json":"' if not image.as_uri else b'"url":"data:%b;base64,' % image.format.media_type.encode()
    # Base64 needs no escaping: megabytes go from Runware's answer to the socket without a copy.
    return b"{" + head, image.base64, b'"' + (b"," if members else b"") + rest[1:]


def image_members(image: DeliveredImage, *, with_link: bool = False) -> dict[str, JSONValue]:
    """What Runware said of an image, beside the image itself or after its link; what it did not say is absent."""
    members: dict[str, JSONValue] = {}
    if with_link and image.url is not None:
        members["url"] = image.url
    if with_link and image.expires_at is not None:
        members["expires_at"] = image.expires_at
    if image.seed is not None:
        members["seed"] = image.seed
    if image.image_uuid is not None:
        members["image_uuid"] = image.image_uuid
    if image.nsfw_content is not None:
        members["nsfw_content"] = image.nsfw_content
    if image.provider_fields:
        members["provider_fields"] = {**image.provider_fields}
    return members


def _members_of(answer: Answer, data: Sequence[Mapping[str, JSONValue]]) -> dict[str, object]:
    first = answer.result.images[0]
    body: dict[str, object] = {"created": answer.result.created, "data": data, "id": answer.request_id}
    if first.size is not None:
        body["size"] = f"{first.size[0]}x{first.size[1]}"
    body["output_format"] = first.format
    body["metadata"] = render_metadata(answer)
    return body


def render_metadata(answer: Answer) -> dict[str, object]:
    """How the images of an answer came about."""
    result = answer.result
    metadata: dict[str, object] = {
        "model": answer.model.id,
        "executed_model": f"{PROVIDER}/{answer.model.air}",
        "provider": PROVIDER,
        "provider_name": PROVIDER_NAME,
        **bill_members(answer.costs),
        "cost_currency": CURRENCY,
        "attempts": result.attempts,
        "adjustments": result.adjustments,
        "task_uuids": result.task_ids,
    }
    if result.failures:
        metadata["errors"] = result.failures
    if result.provider_fields:
        metadata["provider_fields"] = result.provider_fields
    return metadata
