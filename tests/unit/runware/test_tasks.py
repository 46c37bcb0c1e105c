"""The body that sends a task: JSON around the base64 of its images, put together once."""

import json
import tracemalloc

import pybase64
import pytest

from app.images.types import ImageBytes
from app.runware.task_body import PIECE_BYTES, pieces_of
from app.runware.tasks import ImageTask, InlineImage, encode_task

MIB = 1024 * 1024


def task(**inputs: object) -> ImageTask:
    return ImageTask("an-id", "google:4@1", 'a "quoted" cat', 1, "URL", "PNG", inputs=inputs)


def uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{pybase64.b64encode(data).decode()}"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 3 * 512 * 1024, 3 * 512 * 1024 + 1, 4 * MIB, 5 * MIB + 1])
def test_images_are_data_uris_to_the_byte(size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (sent,) = json.loads(bytes(encode_task(task(seedImage=InlineImage(ImageBytes(data), "png")))))
    assert sent["inputs"] == {"seedImage": uri(data)}
    assert (sent["taskUUID"], sent["positivePrompt"]) == ("an-id", 'a "quoted" cat')


def test_addresses_and_images_stand_in_their_order():
    images = ("https://a/\\b", InlineImage(ImageBytes(b"one"), "png"), InlineImage(ImageBytes(b"two"), "jpeg"))
    (sent,) = json.loads(
        bytes(encode_task(task(referenceImages=images, maskImage=InlineImage(ImageBytes(b"m"), "png"))))
    )
    expected = ["https://a/\\b", uri(b"one"), uri(b"two", "jpeg")]
    assert sent["inputs"] == {"referenceImages": expected, "maskImage": uri(b"m")}


def test_other_members_of_the_inputs_go_along():
    (sent,) = json.loads(
        encode_task(
            ImageTask(
                "an-id", "google:4@1", None, 1, "URL", "PNG",
                inputs={"seedImage": InlineImage(ImageBytes(b"s"), "png")}, fields={"inputs": {"more": {"deep": [1, None]}}},
            )
        )
    )  # fmt: skip
    assert sent["inputs"] == {"more": {"deep": [1, None]}, "seedImage": uri(b"s")}


@pytest.mark.parametrize("size", [10, 49_000, 200_000, 12 * MIB], ids=str)
def test_a_body_is_as_long_as_it_says_and_the_same_each_time(size):
    body = encode_task(task(seedImage=InlineImage(ImageBytes(bytes(size)), "png")))
    sent = [b"".join(pieces_of(body)) for _ in range(2)]
    assert sent == [bytes(body)] * 2
    assert len(body) == len(sent[0])
    assert max(len(piece) for piece in pieces_of(body)) <= PIECE_BYTES


def test_the_base64_of_a_large_image_never_exists_as_a_whole():
    sending = task(seedImage=InlineImage(ImageBytes(b"x" * 12 * MIB), "png"))
    tracemalloc.start()
    for _ in pieces_of(encode_task(sending)):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MIB
