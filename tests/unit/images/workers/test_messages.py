"""What a worker may say to the gateway: whatever it says, nothing of it is executed."""

import pickle

import msgspec
import pytest

from app.images.compose import compose_image
from app.images.errors import MaskShapeError, UnreadableImageError, WorkFailedError
from app.images.geometry import Placement
from app.images.inputs import FittedImage, fit_image
from app.images.types import CompositeBase
from app.images.workers.bounds import Job
from app.images.workers.messages import (
    BrokenReplyError,
    Message,
    decode_reply,
    decode_request,
    encode_failure,
    encode_request,
    encode_result,
)
from tests.support.image_jobs import echo, refuse_shape


def test_values_come_out_as_the_type_the_work_promises():
    placement = Placement((3, 4), (3, 4))
    for data in (b"data", b"much data" * 100_000, None):
        fitted = FittedImage(data, "png", 3, 4, (5, 6), placement)
        assert decode_reply(fit_image, encode_result(fitted)) == fitted


@pytest.mark.parametrize("size", [0, 10, 65_535, 65_536, 3_000_000])
def test_bytes_of_every_size_reach_the_work(size):
    data, base = b"x" * size, CompositeBase(b"i" * size, b"m" * 10)
    arguments = (data, (3, 4), "cover", "white", base, "png", None, 1000)
    message = encode_request(compose_image, arguments, Job("a").bounds)
    work, decoded, bounds = decode_request(message)
    assert (work, tuple(decoded), bounds) == (compose_image, arguments, Job("a").bounds)
    assert len(message.head) < 300 + (4 if size >= 65_536 else 2 * size)


def result(value: object, *places: dict) -> bytes:
    return b"r" + msgspec.msgpack.encode({"value": value, "places": places})


@pytest.mark.parametrize(
    ("work", "head", "attached"),
    [
        (echo, result(b"", {"value": 0}), []),
        (echo, result(b""), [b"too much"]),
        (echo, result(b"", {"value": 5}), [b"x"]),
        (echo, result(b"", {"value": 0, "field": "__class__"}), [b"x"]),
        (refuse_shape, result(None, {"value": 0}), [b"x"]),
        (fit_image, result({"data": b"", "format": "png", "width": 1, "height": 1, "original": [1, 1], "placement": {"inner": [1, 1], "outer": [1, 1]}}, {"value": 0, "field": "width"}), [b"x"]),
    ],
    ids=["nothing attached", "attached to nothing", "to no value", "to no field", "to no bytes", "to a number"],
)  # fmt: skip
def test_bytes_that_belong_nowhere_are_nonsense(work, head, attached):
    with pytest.raises(BrokenReplyError):
        decode_reply(work, Message(head, attached))


def test_image_errors_come_out_with_their_numbers():
    with pytest.raises(MaskShapeError) as caught:
        decode_reply(refuse_shape, encode_failure(MaskShapeError(300, 200), ""))
    assert caught.value.details == (300, 200)
    with pytest.raises(UnreadableImageError):
        decode_reply(echo, encode_failure(UnreadableImageError(), ""))


def test_a_lack_of_memory_and_a_fault_of_our_own_are_told_apart():
    with pytest.raises(MemoryError):
        decode_reply(echo, encode_failure(MemoryError(), ""))
    with pytest.raises(WorkFailedError, match="the cause"):
        decode_reply(echo, encode_failure(LookupError(), "x" * 10_000 + "the cause"))


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"r",
        b"rr",
        b"f",
        b"x" + msgspec.msgpack.encode(b"data"),
        b"r" + msgspec.msgpack.encode({"data": "not bytes"}),
        b"f" + msgspec.msgpack.encode({"error": "SystemExit", "details": [1]}),
        b"f" + msgspec.msgpack.encode({"error": "__import__", "details": []}),
        b"r" + pickle.dumps(ValueError()),
    ],
    ids=repr,
)
def test_nonsense_is_called_nonsense(reply):
    with pytest.raises((BrokenReplyError, WorkFailedError)):
        decode_reply(echo, Message(reply))
