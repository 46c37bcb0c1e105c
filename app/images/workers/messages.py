"""What gateway and worker process say to each other: MessagePack decoded by the types of the work, large bytes beside.

Nothing that comes out of a worker is ever executed: a decoder that was taken over can answer nonsense, no more. Large
bytes travel as they lie in memory, so that the event loop never stands still to copy them.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from importlib import import_module
from inspect import signature
from typing import TypeVar, TypeVarTuple, get_type_hints

import msgspec

from app.images.errors import IMAGE_ERRORS, ImageError, WorkFailedError
from app.images.workers.bounds import Bounds

PREFIX = struct.Struct(">QI")
"""Before each message: the length of its head, and how many large bytes follow, whose lengths come first."""
MAX_ATTACHED = 16
_LENGTH = struct.Struct(">Q")
_LARGE = 64 * 1024
# What a reply begins with.
_RESULT, _FAILURE = b"r", b"f"
_MAX_TRACE_CHARS = 4000
_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


class BrokenReplyError(Exception):
    """The process answered something else than it was asked for."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with the bytes that travel beside its head."""

    head: bytes | bytearray
    attached: Sequence[bytes | bytearray] = ()

    @property
    def prefix(self) -> bytes:
        """What is sent before it."""
        lengths = b"".join(_LENGTH.pack(len(data)) for data in self.attached)
        return PREFIX.pack(len(self.head), len(self.attached)) + lengths


@dataclass(frozen=True, slots=True)
class _Place:
    """Where attached bytes belong: a value among several, or a field of it."""

    value: int
    field: str = ""


@dataclass(frozen=True, slots=True)
class _Request:
    """Work for a process, by its name."""

    module: str
    name: str
    bounds: Bounds
    arguments: list[msgspec.Raw]
    places: list[_Place]


@dataclass(frozen=True, slots=True)
class _Result:
    value: msgspec.Raw
    places: list[_Place]


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no result: an image error by its name, no memory, or a trace."""

    error: str | None = None
    details: tuple[int, ...] = ()
    out_of_memory: bool = False
    trace: str | None = None


def read_lengths(packed: bytes | bytearray) -> list[int]:
    """The lengths of attached bytes, as they follow the prefix."""
    return [length for (length,) in _LENGTH.iter_unpack(packed)]


def encode_request(work: Callable[[*_Arguments], object], arguments: tuple[*_Arguments], bounds: Bounds) -> Message:
    """`work(*arguments)` as a process is asked for it. `work` must be a function at the top of its module."""
    values, places, attached = _detach(arguments)
    raw = [msgspec.Raw(msgspec.msgpack.encode(value)) for value in values]
    request = _Request(work.__module__, work.__qualname__, bounds, raw, places)
    return Message(msgspec.msgpack.encode(request), attached)


def decode_request(message: Message) -> tuple[Callable[..., object], list[object], Bounds]:
    """The work, its arguments and its bounds."""
    request = msgspec.msgpack.decode(message.head, type=_Request)
    # In the worker only, of what the gateway asks for; answers name no code, so nothing that comes back is executed.
    work: Callable[..., object] = getattr(import_module(request.module), request.name)
    types = _parameters(work)[: len(request.arguments)]
    arguments: list[object] = [
        msgspec.msgpack.decode(raw, type=type_) for raw, type_ in zip(request.arguments, types, strict=True)
    ]
    return work, _attach(arguments, request.places, message.attached), request.bounds


def encode_result(result: object) -> Message:
    """A result as a reply."""
    values, places, attached = _detach((result,))
    found = _Result(msgspec.Raw(msgspec.msgpack.encode(values[0])), places)
    return Message(_RESULT + msgspec.msgpack.encode(found), attached)


def encode_failure(error: Exception, trace: str) -> Message:
    """An error as a reply."""
    failure = _Failure(trace=trace[-_MAX_TRACE_CHARS:])
    if isinstance(error, ImageError):
        failure = _Failure(error=type(error).__name__, details=error.details)
    elif isinstance(error, MemoryError):
        failure = _Failure(out_of_memory=True)
    return Message(_FAILURE + msgspec.msgpack.encode(failure))


def decode_reply(work: Callable[..., _T], reply: Message) -> _T:
    """The result of `work`, raising the ImageError it raised, MemoryError, WorkFailedError or BrokenReplyError."""
    body = memoryview(reply.head)[1:]
    try:
        if reply.head[:1] == _RESULT:
            found = msgspec.msgpack.decode(body, type=_Result)
            result: _T = msgspec.msgpack.decode(found.value, type=_returned(work))
            return _attach([result], found.places, reply.attached)[0]
        failure = msgspec.msgpack.decode(body, type=_Failure)
        kind = IMAGE_ERRORS[failure.error] if failure.error is not None else None
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError, ValueError) as wrong:
        raise BrokenReplyError from wrong
    if kind is not None:
        # Held by no name: an error in its own traceback would keep the image until the next collection of garbage.
        raise kind(*failure.details)
    if failure.out_of_memory:
        raise MemoryError
    raise WorkFailedError(failure.trace or "")


def _detach(values: Sequence[object]) -> tuple[list[object], list[_Place], list[bytes]]:
    """The values with nothing in the place of large bytes, those places, and those bytes."""
    remaining, places, attached = list(values), [], []
    for index, value in enumerate(values):
        if isinstance(value, bytes) and len(value) >= _LARGE:
            remaining[index] = b""
            places.append(_Place(index))
            attached.append(value)
        elif is_dataclass(value) and not isinstance(value, type):
            found = {field.name: getattr(value, field.name) for field in fields(value)}
            large = {name: data for name, data in found.items() if isinstance(data, bytes) and len(data) >= _LARGE}
            remaining[index] = replace(value, **dict.fromkeys(large, b""))
            places += [_Place(index, name) for name in large]
            attached += large.values()
    return remaining, places, attached


def _attach(values: list[_T], places: Sequence[_Place], attached: Sequence[bytes | bytearray]) -> list[_T]:
    """The values with large bytes back in their places, raising TypeError or ValueError for places there are not."""
    for place, data in zip(places, attached, strict=True):
        value = values[place.value]
        there = getattr(value, place.field, None) if place.field else value
        # Places come from the worker too: one that names anything but bytes is a lie.
        if not isinstance(there, bytes):
            raise TypeError(place.field)
        whole = bytes(data)
        values[place.value] = replace(value, **{place.field: whole}) if place.field else whole  # type: ignore[type-var, assignment]
    return values


@lru_cache(maxsize=64)
def _parameters(work: Callable[..., object]) -> Sequence[object]:
    hints = get_type_hints(work)
    return [hints[name] for name in signature(work).parameters]


@lru_cache(maxsize=64)
def _returned(work: Callable[..., object]) -> object:
    return get_type_hints(work)["return"]
