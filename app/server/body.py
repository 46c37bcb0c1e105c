"""The one place where a request body is read: announced and counted against the limit, unpacked on the way."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from app.errors import InvalidRequestError, TooLargeError, UnsupportedEncodingError
from app.server.encodings import ALIASES, DECODERS, DamagedBodyError, Decoder


async def read_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, without its content encoding.

    Raises TooLargeError as soon as more than `limit` bytes are announced, sent or unpacked, UnsupportedEncodingError
    and InvalidRequestError for what cannot be unpacked.
    """
    encoding = _encoding_of(request) if "content-encoding" in request.headers else None
    announced = request.headers.get("content-length", "")
    # Refused before a byte is read, so that nobody uploads in vain.
    if announced.isdecimal():
        _refuse_above(int(announced), limit)
    chunks = request.stream() if encoding is None else _unpack(request.stream(), encoding)
    received = 0
    async for chunk in chunks:
        # Counted after unpacking: a small body may unpack to gigabytes.
        received += len(chunk)
        _refuse_above(received, limit)
        if chunk:  # the end comes as an empty one
            yield chunk


async def _unpack(chunks: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    decoder: Decoder = DECODERS[encoding]()
    sent = False
    try:
        async for chunk in chunks:
            sent = sent or bool(chunk)
            for piece in decoder.pieces(chunk):
                yield piece
                await asyncio.sleep(0)  # a small chunk may hold many pieces, and others wait for the loop
        # Some clients name an encoding and send no body at all.
        if sent:
            decoder.finish()
    except DamagedBodyError:
        message = f"The body is not whole {encoding} data, as its Content-Encoding says: it is damaged or was cut off."
        raise InvalidRequestError(message, param="body") from None


def _encoding_of(request: Request) -> str | None:
    """What the body has to be unpacked from, None when it is sent as it is."""
    text = ",".join(request.headers.getlist("content-encoding")).lower()
    named = [ALIASES.get(name, name) for name in (part.strip() for part in text.split(",")) if name]
    encodings = [name for name in named if name]
    if not encodings:
        return None
    # Layers multiply what a body unpacks to, and no client we know sends them.
    if len(encodings) > 1 or encodings[0] not in DECODERS:
        raise UnsupportedEncodingError(", ".join(encodings)[:100], tuple(DECODERS))
    return encodings[0]


def _refuse_above(size: int, limit: int) -> None:
    if size > limit:
        message = f"The request body is larger than the {limit // 1024} KiB this gateway takes."
        raise TooLargeError(message, param="body")
