"""What a worker may say to the gateway: whatever it says, nothing of it is executed."""

import pickle

import msgspec
import pytest

from app.images.errors import MaskShapeError, UnreadableImageError, WorkFailedError
from app.images.inputs import FittedImage, fit_image
from app.images.workers.messages import (
    BrokenReplyError,
    decode_reply,
    encode_failure,
    encode_result,
)
from tests.support.image_jobs import echo, refuse_shape


def test_values_come_out_as_the_type_the_work_promises():
    fitted = FittedImage(b"data", "png", 3, 4, (5, 6))
    assert decode_reply(fit_image, bytearray(encode_result(fitted))) == fitted


def test_image_errors_come_out_with_their_numbers():
    with pytest.raises(MaskShapeError) as caught:
        decode_reply(refuse_shape, bytearray(encode_failure(MaskShapeError(300, 200), "")))
    assert caught.value.details == (300, 200)
    with pytest.raises(UnreadableImageError):
        decode_reply(echo, bytearray(encode_failure(UnreadableImageError(), "")))


def test_a_lack_of_memory_and_a_fault_of_our_own_are_told_apart():
    with pytest.raises(MemoryError):
        decode_reply(echo, bytearray(encode_failure(MemoryError(), "")))
    with pytest.raises(WorkFailedError, match="the cause"):
        decode_reply(echo, bytearray(encode_failure(LookupError(), "x" * 10_000 + "the cause")))


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
        decode_reply(echo, bytearray(reply))
