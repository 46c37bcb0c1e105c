"""Runware's answers: envelopes in, images and faults out. Pure; what is sent is in `tasks`.

An answer is not believed blindly: how much it may hold is bounded before it is decoded. What single members and images
are worth is judged in `members`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from msgspec import Struct, field

from app.runware.image_texts import AnswerBytes, cut_answer
from app.runware.members import (
    NOT_OTHERS,
    Image,
    JSONMember,
    Members,
    has_image,
    quote_cost,
    read_balance,
    read_image,
    read_others,
    read_text,
    read_words,
)
from app.runware.usual_answer import read_usual

MAX_VALUES = 50_000
"""A sensible answer has some hundred; base64 has no commas, so that counting them is fast and counts values."""
# Of images or faults, of which a task has at most twenty; more are not looked at.
_MAX_ENTRIES = 200
_ENVELOPE_MEMBERS = frozenset({"data", "errors", "error", "code", "message"})
_MAX_CODE_CHARS = 100
_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class WireFault:
    """One error of Runware's in its own words. `content` is what the model's provider said, where it is passed on."""

    code: str
    message: str
    parameters: tuple[str, ...] = ()
    content: str = ""
    task_type: str = ""


class Reply(Struct, frozen=True):
    """What one exchange said about one task.

    `others` is what it said of no image in particular; `unbelievable` are costs that cannot be, as they were written.
    """

    images: tuple[Image, ...] = ()
    faults: tuple[WireFault, ...] = ()
    processing: bool = False
    others: Mapping[str, JSONMember] = field(default_factory=dict)
    unbelievable: tuple[str, ...] = ()

    @property
    def knows_task(self) -> bool:
        """Whether Runware has the task at all."""
        return self.processing or bool(self.images or self.faults)


class UnreadableReplyError(Exception):
    """The body is no envelope of Runware's."""


_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_Envelope = dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]]
_envelope_decoder: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)
_entries_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | dict[str, msgspec.Raw] | str | None)


def decode(body: AnswerBytes, task_uuid: str) -> Reply:
    """What `body` says about a task, raising UnreadableReplyError for HTML, nonsense and the like."""
    answer = cut_answer(body)
    images = read_usual(answer, task_uuid)
    if images is not None:
        return Reply(images)
    envelope = _open_envelope(answer.rest)
    if isinstance(envelope, list):
        return _to_reply([], [answer.restored(entry) for entry in envelope], {}, task_uuid)
    try:
        items = [answer.restored(entry) for entry in _entries(envelope, "data")]
        errors = [*_entries(envelope, "errors"), *_entries(envelope, "error")]
    except _UNREADABLE:
        raise UnreadableReplyError from None
    if not items and not errors and read_words(envelope, "code", "message"):
        errors = [envelope]
    others = {}
    if envelope.keys() - _ENVELOPE_MEMBERS:
        others = read_others(answer.restored(envelope), _ENVELOPE_MEMBERS)
    return _to_reply(items, errors, others, task_uuid)


def decode_details(body: AnswerBytes, task_uuid: str) -> Reply:
    """What the details of an older task say of it; an empty Reply when there are none."""
    envelope = _open_envelope(body)
    try:
        details = _entries(envelope, "data") if isinstance(envelope, dict) else []
    except _UNREADABLE:
        raise UnreadableReplyError from None
    response = details[0].get("response") if details else None
    return Reply() if response is None else decode(bytes(response), task_uuid)


def decode_balance(body: AnswerBytes, task_uuid: str) -> Decimal | None:
    """The balance in the details of an account, in dollars; None where they name none that can be believed."""
    envelope = _open_envelope(body)
    try:
        items = _entries(envelope, "data") if isinstance(envelope, dict) else []
    except _UNREADABLE:
        raise UnreadableReplyError from None
    own = msgspec.json.encode(task_uuid)
    found = (read_balance(item) for item in items[:_MAX_ENTRIES] if _is_about(item, task_uuid, own))
    return next((balance for balance in found if balance is not None), None)


def _open_envelope(body: AnswerBytes) -> _Envelope:
    """The outermost members, still as they are written."""
    # Before decoding: a body of millions of values would block the loop and fill the memory (0035).
    if body.count(b",") > MAX_VALUES:
        raise UnreadableReplyError
    try:
        return _envelope_decoder.decode(body)
    except _UNREADABLE:
        mended = _SURROGATES.sub(rb"\\ufffd", body)  # half a character somewhere must not lose a paid image
    try:
        return _envelope_decoder.decode(mended)
    except _UNREADABLE:
        raise UnreadableReplyError from None


def _entries(envelope: Members, name: str) -> list[Members]:
    """The objects under a name, whether they stand in a list, alone, or as a plain message."""
    raw = envelope.get(name)
    entries = None if raw is None else _entries_decoder.decode(raw)
    if entries is None:
        return []
    if isinstance(entries, str):
        return [{"message": msgspec.Raw(msgspec.json.encode(entries))}]
    return [*entries] if isinstance(entries, list) else [entries]


def _to_reply(
    items: Sequence[Members], errors: Sequence[Members], others: dict[str, JSONMember], task_uuid: str
) -> Reply:
    # Only what is about this task: an envelope may carry others, and their images are not this caller's.
    own = msgspec.json.encode(task_uuid)
    mine = [item for item in items[:_MAX_ENTRIES] if _is_about(item, task_uuid, own)]
    faults = [error for error in errors[:_MAX_ENTRIES] if _is_about(error, task_uuid, own)]
    images: list[Image] = []
    unbelievable: list[str] = []
    for item in mine:
        # Errors of single images stand among the images, not beside them.
        if bytes(item.get("error", b"null")) != b"null":
            faults += _entries(item, "error")
            continue
        image = read_image(item)
        if image is not None:
            images.append(image)
            if image.cost is None and (shown := quote_cost(item)) is not None:
                unbelievable.append(shown)
        elif not has_image(item):
            others |= read_others(item, NOT_OTHERS)
    return Reply(
        images=tuple(images),
        faults=tuple(_to_fault(fault) for fault in faults),
        processing=any("status" in item and read_text(item, "status") == "processing" for item in mine),
        others=others,
        unbelievable=tuple(unbelievable),
    )


def _is_about(members: Members, task_uuid: str, own: bytes) -> bool:
    """Whether an entry is about a task; `own` is its id as JSON."""
    raw = members.get("taskUUID")
    # As it is written, in the usual case: no need to decode it. Errors of the whole request name no task.
    return raw is None or memoryview(raw) == own or read_text(members, "taskUUID") in {None, task_uuid}


def _to_fault(error: Members) -> WireFault:
    return WireFault(
        code=read_words(error, "code", "errorId")[:_MAX_CODE_CHARS] or "unknownError",
        message=read_words(error, "message", "errorMessage"),
        parameters=_parameters(error),
        content=read_words(error, "responseContent"),
        task_type=read_words(error, "taskType"),
    )


def _parameters(error: Members) -> tuple[str, ...]:
    """The names of the fields that an error is about."""
    value = read_others(error, error.keys() - {"parameter"}).get("parameter")
    return tuple(name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
