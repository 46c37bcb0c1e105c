"""The one place where a request body is read: announced and counted against the limit, unpacked on the way."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from app.errors import InvalidRequestError, TooLargeError, UnsupportedEncodingError
from app.server.delivery import RequestState
from app.server.encodings import ALIASES, DECODERS, DamagedBodyError, Decoder


def read_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, without its content encoding.

    Raises TooLargeError as soon as more than `limit` bytes are announced, sent or unpacked, UnsupportedEncodingError
    and InvalidRequestError for what cannot be unpacked.
    """
    return _unpacked(request, limit) if "content-encoding" in request.headers else _Plain(request, limit)


def body_at_hand(state: RequestState, limit: int) -> bytes | bytearray | None:
    """The whole body, where all of it came already and as it is; None where it has to be read, or to be refused."""
    if len(state.body) > limit or b"content-encoding" in state.headers:
        return None
    return state.take_body()


class _Plain:
    """A body that is sent as it is. No generator: nearly every body is one, and comes in one part."""

    __slots__ = ("_begun", "_ended", "_limit", "_received", "_request")

    def __init__(self, request: Request, limit: int) -> None:
        self._request, self._limit = request, limit
        self._begun = self._ended = False
        self._received = 0

    def __aiter__(self) -> "_Plain":
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            self._begun = True
            _refuse_announced(self._request, self._limit)
        while not self._ended:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            self._ended = not message.get("more_body", False)
            self._received += len(chunk)
            _refuse_above(self._received, self._limit)
            if chunk:  # the end may come as an empty one
                return chunk
        raise StopAsyncIteration


async def _unpacked(request: Request, limit: int) -> AsyncIterator[bytes]:
    encoding = _encoding_of(request)
    _refuse_announced(request, limit)
    plain, received = _Plain(request, limit), 0
    chunks: AsyncIterator[bytes] = plain if encoding is None else _unpack(plain, encoding)
    async for chunk in chunks:
        # Counted after unpacking: a small body may unpack to gigabytes.
        received += len(chunk)
        _refuse_above(received, limit)
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


def _refuse_announced(request: Request, limit: int) -> None:
    announced = request.headers.get("content-length", "")
    # Refused before a byte is read, so that nobody uploads in vain.
    if announced.isdecimal():
        _refuse_above(int(announced), limit)


def _refuse_above(size: int, limit: int) -> None:
    if size > limit:
        message = f"The request body is larger than the {limit // 1024} KiB this gateway takes."
        raise TooLargeError(message, param="body")
