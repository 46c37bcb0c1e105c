"""What gateway and worker process say to each other: frames of MessagePack, decoded by the types of the work itself.

Nothing that comes out of a worker is ever executed: a decoder that was taken over can answer nonsense, no more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from inspect import signature
from typing import TypeVar, TypeVarTuple, get_type_hints

import msgspec

from app.images.errors import IMAGE_ERRORS, ImageError, WorkFailedError
from app.images.workers.bounds import Bounds

FRAME_HEAD = 8
"""Bytes before each frame that tell its length, big-endian."""
_RESULT, _FAILURE = b"r", b"f"
"""What a reply begins with."""
_LONGEST_TRACE = 4000
_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


class BrokenReplyError(Exception):
    """The process answered something else than it was asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """Work for a process, by its name."""

    module: str
    name: str
    bounds: Bounds
    arguments: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result: an image error by its name, no memory, or a trace."""

    error: str | None = None
    details: tuple[int, ...] = ()
    out_of_memory: bool = False
    trace: str | None = None


def frame(payload: bytes) -> bytes:
    """The head of a frame."""
    return len(payload).to_bytes(FRAME_HEAD, "big")


def encode_request(work: Callable[[*_Arguments], object], arguments: tuple[*_Arguments], bounds: Bounds) -> bytes:
    """`work(*arguments)` as a process is asked for it. `work` must be a function at the top of its module."""
    raw = [msgspec.Raw(msgspec.msgpack.encode(argument)) for argument in arguments]
    return msgspec.msgpack.encode(Request(work.__module__, work.__qualname__, bounds, raw))


def decode_request(payload: bytearray) -> tuple[Callable[..., object], list[object], Bounds]:
    """The work, its arguments and its bounds."""
    request = msgspec.msgpack.decode(payload, type=Request)
    work: Callable[..., object] = getattr(import_module(request.module), request.name)
    types = _parameters(work)
    arguments = [
        msgspec.msgpack.decode(raw, type=type_)
        for raw, type_ in zip(request.arguments, types[: len(request.arguments)], strict=True)
    ]
    return work, arguments, request.bounds


def encode_result(result: object) -> bytes:
    """A result as a reply."""
    return _RESULT + msgspec.msgpack.encode(result)


def encode_failure(error: Exception, trace: str) -> bytes:
    """An error as a reply."""
    failure = Failure(trace=trace[-_LONGEST_TRACE:])
    if isinstance(error, ImageError):
        failure = Failure(error=type(error).__name__, details=error.details)
    elif isinstance(error, MemoryError):
        failure = Failure(out_of_memory=True)
    return _FAILURE + msgspec.msgpack.encode(failure)


def decode_reply(work: Callable[..., _T], payload: bytearray) -> _T:
    """The result of `work`, raising the ImageError it raised, MemoryError, WorkFailedError or BrokenReplyError."""
    body = memoryview(payload)[1:]
    try:
        if payload[:1] == _RESULT:
            result: _T = msgspec.msgpack.decode(body, type=_returned(work))
            return result
        failure = msgspec.msgpack.decode(body, type=Failure)
        error = IMAGE_ERRORS[failure.error](*failure.details) if failure.error is not None else None
    except (msgspec.MsgspecError, KeyError) as wrong:
        raise BrokenReplyError from wrong
    if error is not None:
        raise error
    if failure.out_of_memory:
        raise MemoryError
    raise WorkFailedError(failure.trace or "")


@lru_cache(maxsize=64)
def _parameters(work: Callable[..., object]) -> Sequence[object]:
    hints = get_type_hints(work)
    return [hints[name] for name in signature(work).parameters]


@lru_cache(maxsize=64)
def _returned(work: Callable[..., object]) -> object:
    return get_type_hints(work)["return"]
