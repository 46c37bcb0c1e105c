"""Reads the answer that nearly always comes: images of one task, and nothing else. Pure.

One typed decode, which refuses what it does not know. What is odd (another member, an error, a number that is none, a
text of unusual length) is left to `wire`, which reads every answer; what both read, they read alike.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from app.runware.image_texts import LONG, CutAnswer
from app.runware.members import MAX_INTEGER, MAX_NUMBER_CHARS, Image, believe_cost, read_base64

# However its characters are written, such a text is within what is read of any.
_Text = Annotated[str, Meta(min_length=1, max_length=600)]
_NONE = Raw(b"")
_MAX_IMAGES = 100


class _Item(Struct, forbid_unknown_fields=True):
    task_uuid: str = field(name="taskUUID")
    task_type: _Text | UnsetType = field(name="taskType", default=UNSET)
    image_uuid: _Text | UnsetType = field(name="imageUUID", default=UNSET)
    url: _Text | UnsetType = field(name="imageURL", default=UNSET)
    base64: Raw = field(name="imageBase64Data", default=_NONE)
    data_uri: Raw = field(name="imageDataURI", default=_NONE)
    seed: int | UnsetType = UNSET
    cost: Raw = _NONE
    nsfw: bool | UnsetType = field(name="NSFWContent", default=UNSET)


class _Envelope(Struct, forbid_unknown_fields=True):
    data: list[_Item]


_decoder = msgspec.json.Decoder(_Envelope)


def read_usual(answer: CutAnswer, task_uuid: str) -> tuple[Image, ...] | None:
    """The images of a task; None where the answer is not the usual one."""
    # Without its base64 it is short; nothing longer is decoded before its values are counted (0035).
    if len(answer.rest) > LONG:
        return None
    try:
        items = _decoder.decode(answer.rest).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not 0 < len(items) <= _MAX_IMAGES:
        return None
    images = []
    for item in items:
        image = _to_image(item, answer) if item.task_uuid == task_uuid else None
        if image is None:
            return None
        images.append(image)
    return tuple(images)


def _to_image(item: _Item, answer: CutAnswer) -> Image | None:
    seed, url, written = item.seed, item.url, bytes(item.cost)
    if (seed is not UNSET and not 0 <= seed <= MAX_INTEGER) or len(written) > MAX_NUMBER_CHARS:
        return None
    cost = believe_cost(written) if written else None
    base64 = None
    if item.base64 is not _NONE or item.data_uri is not _NONE:
        data, uri = answer.text_of(item.base64), answer.text_of(item.data_uri)
        base64 = None if data is None or uri is None else read_base64(data, uri)
    if (written and cost is None) or (url is UNSET and base64 is None):
        return None
    return Image(
        image_uuid=None if item.image_uuid is UNSET else item.image_uuid,
        url=None if url is UNSET else url,
        base64=base64,
        seed=None if seed is UNSET else seed,
        cost=cost,
        nsfw=None if item.nsfw is UNSET else item.nsfw,
    )
