"""The server-sent events of a streamed answer, framed as OpenAI's SDKs parse them. Pure.

One `completed` event per image, comments as keep-alives, and an event with an `error` object at the end when
something failed. Every event ends with a blank line: SDKs lose a last one without it.
"""

import msgspec

from app.catalog.modes import Mode
from app.domain.answer import Answer, DeliveredImage
from app.domain.words import JSONValue
from app.errors import GatewayError, Spent
from app.openai_api.render import Chunk, error_members, image_members, render_metadata

KEEP_ALIVE = b": keep-alive\n\n"
_TYPES = {Mode.GENERATE: "image_generation.completed", Mode.EDIT: "image_edit.completed"}
_NO_TOKENS: dict[str, JSONValue] = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
}
"""Runware bills images, not tokens; the SDKs' types require the member."""
_encoder = msgspec.json.Encoder(decimal_format="number")


def render_completed(mode: Mode, answer: Answer, image: DeliveredImage, index: int) -> list[Chunk]:
    """The event of one image, whose base64 is spliced in as it is. `answer` is that of its own task."""
    kind = _TYPES[mode]
    members: dict[str, object] = {
        "created_at": answer.result.created,
        "size": "auto" if image.size is None else f"{image.size[0]}x{image.size[1]}",
        "quality": "auto",
        "background": "auto",
        "output_format": image.format.value,
        "usage": _NO_TOKENS,
        "id": answer.request_id,
        "index": index,
        "metadata": render_metadata(answer),
    }
    members |= image_members(image)
    head = f'event: {kind}\ndata: {{"type":"{kind}","b64_json":"'.encode()
    return [head, image.base64 or b"", b'",' + _encoder.encode(members)[1:] + b"\n\n"]


def render_failed(error: GatewayError, spent: Spent | None = None) -> bytes:
    """The event that ends a stream in which something failed."""
    return b"event: error\ndata: " + _encoder.encode({"type": "error", "error": error_members(error, spent)}) + b"\n\n"
