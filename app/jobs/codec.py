"""Answers, errors and plans as the journal keeps them, and back. Pure; images are kept elsewhere, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from app.catalog.model import CatalogModel
from app.domain.answer import Adjustment, AdjustmentMode, Answer, Attempt, DeliveredImage, MissingImage, TaskCost
from app.domain.request import ImageFormat, JSONValue
from app.domain.spec import OutputSpec, TaskPlace
from app.errors import GatewayError, InternalError


@dataclass(frozen=True, slots=True)
class KeptImage:
    """One image of a kept answer.

    `name` is that of its bytes among the results, where the caller got base64; `hosted` that behind our own link.
    """

    size: tuple[int, int] | None
    format: ImageFormat
    seed: int | None
    url: str | None = None
    expires_at: int | None = None
    name: str | None = None
    hosted: str | None = None
    as_uri: bool = False
    image_uuid: str | None = None
    nsfw_content: bool | None = None
    provider_fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptAdjustment:
    """An adjustment; the values are any JSON."""

    param: str
    requested: object
    applied: object
    mode: AdjustmentMode
    reason: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer without the bytes of its images, and without its costs, which may be learned later."""

    created: int
    images: tuple[KeptImage, ...]
    failures: tuple[MissingImage, ...]
    format: ImageFormat
    task_ids: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    adjustments: tuple[KeptAdjustment, ...]
    provider_fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """What is needed to deliver the images of tasks whose process is gone. No prompt and no image (0060)."""

    origin: str
    places: tuple[TaskPlace, ...]
    output: OutputSpec
    adjustments: tuple[Adjustment, ...]


_plans = msgspec.json.Decoder(StoredPlan)


class KeptError(msgspec.Struct, frozen=True):
    """An error as it was answered; `retry_after` is there where the same request may be sent again."""

    kind: str
    message: str
    param: str | None
    code: str
    provider_code: str | None
    retry_after: int | None = None


def dump_answer(answer: Answer, names: Sequence[str | None]) -> str:
    """The answer, with the name each image is kept under."""
    images = tuple(_keep_image(image, name) for image, name in zip(answer.images, names, strict=True))
    kept = KeptAnswer(
        answer.created,
        images,
        answer.failures,
        answer.format,
        answer.task_ids,
        answer.attempts,
        _keep(answer.adjustments),
        answer.provider_fields,
    )
    return msgspec.json.encode(kept).decode()


def load_answer(text: str) -> KeptAnswer:
    """The kept answer."""
    return msgspec.json.decode(text, type=KeptAnswer)


def to_answer(
    kept: KeptAnswer,
    request_id: str,
    model: CatalogModel,
    contents: Sequence[bytes | None],
    costs: tuple[TaskCost, ...],
) -> Answer:
    """The answer again, with the base64 of each image that was kept, and with what is known of its cost by now."""
    images = tuple(_to_image(image, data) for image, data in zip(kept.images, contents, strict=True))
    return Answer(
        request_id=request_id,
        created=kept.created,
        model=model,
        images=images,
        failures=kept.failures,
        format=kept.format,
        costs=costs,
        task_ids=kept.task_ids,
        attempts=kept.attempts,
        adjustments=to_adjustments(kept.adjustments),
        provider_fields=cast("Mapping[str, JSONValue]", kept.provider_fields),
    )


def _keep_image(image: DeliveredImage, name: str | None) -> KeptImage:
    return KeptImage(
        size=image.size,
        format=image.format,
        seed=image.seed,
        url=image.url,
        expires_at=image.expires_at,
        name=name,
        hosted=image.hosted,
        as_uri=image.as_uri,
        image_uuid=image.image_uuid,
        nsfw_content=image.nsfw_content,
        provider_fields=image.provider_fields,
    )


def _to_image(kept: KeptImage, data: bytes | None) -> DeliveredImage:
    return DeliveredImage(
        size=kept.size,
        format=kept.format,
        seed=kept.seed,
        url=kept.url,
        expires_at=kept.expires_at,
        base64=data,
        hosted=kept.hosted,
        as_uri=kept.as_uri,
        image_uuid=kept.image_uuid,
        nsfw_content=kept.nsfw_content,
        provider_fields=cast("Mapping[str, JSONValue]", kept.provider_fields),
    )


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


def dump_error(error: GatewayError, *, may_retry: bool = False) -> str:
    """The error; with `may_retry` callers that waited for it elsewhere get the advice to retry too."""
    # Callers who joined get the error from here. They may retry only where the key is free again (0065).
    again = error.retry_after or 1 if may_retry and error.should_retry else None
    kept = KeptError(type(error).__name__, error.message, error.param, error.code, error.provider_code, again)
    return msgspec.json.encode(kept).decode()


def load_error(text: str) -> GatewayError:
    """The error again, as its own class; that it cannot be read, where it cannot."""
    try:
        kept = msgspec.json.decode(text, type=KeptError)
    except msgspec.MsgspecError:
        # Final: a row that cannot be read will not be readable at the next attempt either.
        message = "The journal's row of this request cannot be read."
        return InternalError(message, code="unreadable_record", should_retry=False)
    kind = _kinds(GatewayError).get(kept.kind, GatewayError)
    return kind(
        kept.message,
        param=kept.param,
        code=kept.code,
        provider_code=kept.provider_code,
        retry_after=kept.retry_after,
        should_retry=kept.retry_after is not None,
    )


def to_adjustments(kept: Sequence[KeptAdjustment]) -> tuple[Adjustment, ...]:
    """The adjustments again."""
    return tuple(
        Adjustment(one.param, cast("JSONValue", one.requested), cast("JSONValue", one.applied), one.mode, one.reason)
        for one in kept
    )


def _keep(adjustments: Sequence[Adjustment]) -> tuple[KeptAdjustment, ...]:
    return tuple(KeptAdjustment(one.param, one.requested, one.applied, one.mode, one.reason) for one in adjustments)


def _kinds(base: type[GatewayError]) -> dict[str, type[GatewayError]]:
    return {kind.__name__: kind for direct in base.__subclasses__() for kind in (direct, *_kinds(direct).values())}
