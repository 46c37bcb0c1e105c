"""Input images at Runware: uploaded once, deleted again, and never a reason to fail."""

import asyncio
import itertools

import pytest

from app.images.types import ImageBytes
from app.runware.media_storage import MediaStorage, UploadedImage
from app.runware.tasks import InlineImage
from app.runware.transport import LateError, NotSentError
from tests.support.upstreams import KEY, ScriptedTransport, raw, reply

IMAGE = InlineImage(ImageBytes(b"\x89PNG"), "png")
STORED = {"taskType": "mediaStorage", "taskUUID": "u", "mediaUUID": "m1", "mediaURL": "https://im.example/m1.png"}


def storage(*script: object) -> tuple[MediaStorage, ScriptedTransport]:
    transport = ScriptedTransport(*script)
    ids = (f"id-{number}" for number in itertools.count())
    return MediaStorage(transport, lambda: next(ids)), transport


@pytest.mark.parametrize("data", [[STORED], STORED], ids=["in a list", "alone"])
def test_an_image_is_uploaded_and_named_by_its_address(data):
    media, transport = storage(reply(data=data))
    assert asyncio.run(media.upload_image(IMAGE, KEY)) == UploadedImage("m1", "https://im.example/m1.png")
    (sent,) = transport.sent
    assert (sent["operation"], sent["media"], sent["taskUUID"]) == ("upload", "data:image/png;base64,iVBORw==", "id-0")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(NotSentError(), id="unreachable"),
        pytest.param(LateError(), id="late"),
        pytest.param(raw(500, "oops"), id="a fault"),
        pytest.param(raw(200, "nonsense"), id="no JSON"),
        pytest.param(reply(), id="nothing"),
        pytest.param(reply(data=[STORED | {"mediaURL": None}]), id="no address"),
    ],
)
def test_an_upload_that_fails_is_no_error(entry):
    media, _ = storage(entry)
    assert asyncio.run(media.upload_image(IMAGE, KEY)) is None


@pytest.mark.parametrize("entry", [reply(), NotSentError(), raw(404, "")], ids=["deleted", "unreachable", "unknown"])
def test_the_process_ends_only_after_its_deletions(entry):
    media, transport = storage(entry)

    async def work() -> None:
        media.delete_image(UploadedImage("m1", "https://im.example/m1.png"), KEY)
        assert transport.sent == []
        await media.close()

    asyncio.run(work())
    assert [(sent["operation"], sent["media"]) for sent in transport.sent] == [("delete", "m1")]
