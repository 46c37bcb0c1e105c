"""What was paid for is given: what cannot be done to an image is reported, and no failure leaves a request without an end."""

import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pybase64
import pytest
from PIL import Image

from tests.support import loopback
from tests.support.images import encode, open_base64, photo, png
from tests.support.odd_runware import OddRunware, envelope, item, odd_runware
from tests.support.processes import unique


@pytest.fixture(scope="module")
def runware() -> Iterator[OddRunware]:
    with odd_runware() as running:
        running.images |= {"good.png": png(64, 64)}
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("paid")


@pytest.fixture(scope="module")
def gateway(runware, folder, start_shared_gateway):
    return start_shared_gateway(upstream=runware.url, SPILLWAY_DATA_DIR=str(folder))


def giving(runware: OddRunware, *names: str, embedded: bool = False):
    """Answers with these images, in order, over one task or several."""
    left = list(names)

    def answer(task: dict) -> bytes:
        items = []
        for place in range(task["numberResults"]):
            name = left.pop(0)
            form = {"imageURL": f"{runware.origin}/image/{name}"}
            if embedded:
                form = {"imageURL": None, "imageBase64Data": pybase64.b64encode(runware.images[name]).decode()}
            items.append(item(task, place, cost=0.01, seed=place, **form))
        return envelope(*items)

    runware.scripts["imageInference"] = answer


def undone(body: dict) -> set[tuple]:
    return {(one["param"], str(one["applied"]), one["mode"]) for one in body["metadata"]["adjustments"]}


def damaged() -> bytes:
    """A PNG of one piece, with the right checksums around pixels that cannot be unpacked."""
    good = png(64, 64)
    start = good.index(b"IDAT")
    (length,) = struct.unpack(">I", good[start - 4 : start])
    chunk = b"IDAT" + b"\x78\x9c" + b"\xff" * (length - 2)
    return good[:start] + chunk + struct.pack(">I", zlib.crc32(chunk)) + good[start + length + 8 :]


def flat(width: int, height: int) -> bytes:
    return encode(Image.new("RGB", (width, height), (9, 99, 199)))


IMPOSSIBLE = [
    pytest.param(lambda: flat(20_000, 100), {"output_format": "webp", "output_compression": 5}, "20000x100", id="too wide for WebP"),
    pytest.param(lambda: flat(65_600, 8), {"output_format": "jpeg", "output_compression": 5}, "65600x8", id="too wide for JPEG"),
    pytest.param(lambda: flat(65_600, 8), {"output_format": "gif"}, "65600x8", id="too wide for GIF"),
    pytest.param(lambda: flat(8, 70_000), {"output_format": "avif"}, "8x70000", id="too high for AVIF"),
    pytest.param(damaged, {"output_format": "gif"}, "64x64", id="pixels that cannot be unpacked"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "fields", "size"), IMPOSSIBLE)
@pytest.mark.parametrize("response_format", ["url", "b64_json"])
@pytest.mark.parametrize("embedded", [False, True], ids=["by address", "in the answer"])
def test_what_no_encoder_can_make_is_given_as_runware_made_it(
    runware, gateway, make, fields, size, response_format, embedded
):
    runware.images["odd.png"] = make()
    giving(runware, "odd.png", embedded=embedded)
    answer = gateway.generate(prompt=unique(), response_format=response_format, **fields)
    body = answer.json()
    assert (answer.status_code, body["output_format"], body["size"], body["metadata"]["cost"]) == (
        200,
        "png",
        size,
        0.01,
    )
    assert ("output_format", "png", "changed") in undone(body)
    assert ("output_compression" in fields) == (("output_compression", "None", "dropped") in undone(body))
    image = body["data"][0]
    data = pybase64.b64decode(image["b64_json"]) if "b64_json" in image else loopback.get(image["url"]).content
    assert data == runware.images["odd.png"]
    record = gateway.client.get(f"/requests/{body['id']}").json()
    assert (record["status"], record["cost"], record["adjustments"]) == (
        "completed",
        0.01,
        body["metadata"]["adjustments"],
    )


def test_one_of_two_that_cannot_be_converted_does_not_spoil_the_other(runware, gateway):
    runware.images["odd.png"] = flat(20_000, 100)
    giving(runware, "good.png", "odd.png")
    body = gateway.generate(
        prompt=unique(), n=2, output_format="webp", output_compression=5, response_format="b64_json"
    ).json()
    assert [open_base64(one["b64_json"]).format for one in body["data"]] == ["WEBP", "PNG"]
    assert body["metadata"]["cost"] == 0.02
    assert ("output_format", "png", "changed") in undone(body)


def test_a_stream_gives_it_too_and_labels_each_image_as_what_it_is(runware, gateway):
    runware.images["odd.png"] = flat(20_000, 100)
    giving(runware, "odd.png", "good.png")
    fields = {
        "prompt": unique(),
        "n": 2,
        "size": "256x256",
        "stream": True,
        "output_format": "webp",
        "output_compression": 5,
    }
    text = gateway.client.post("/images/generations", json=fields).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert sorted(event["output_format"] for event in events) == ["png", "webp"]
    for event in events:
        assert open_base64(event["b64_json"]).format.lower() == event["output_format"]
        assert (("output_format", "png", "changed") in undone(event)) == (event["output_format"] == "png")


def test_what_cannot_be_fitted_is_given_whole(runware, gateway):
    runware.images["odd.png"] = damaged()
    giving(runware, "odd.png")
    body = gateway.generate(prompt=unique(), size="300x200", fit="cover", response_format="b64_json").json()
    assert {("fit", "None", "dropped"), ("size", "64x64", "changed")} <= undone(body)
    assert pybase64.b64decode(body["data"][0]["b64_json"]) == runware.images["odd.png"]


def test_an_image_that_cannot_be_kept_here_comes_in_the_answer_itself(runware, gateway, folder):
    giving(runware, "good.png")
    shutil.rmtree(folder / "media", ignore_errors=True)  # there once an image was kept
    (folder / "media").write_bytes(b"")
    answer = gateway.generate(prompt=unique(), output_format="gif")
    body = answer.json()
    assert (answer.status_code, body["metadata"]["cost"]) == (200, 0.01)
    assert ("response_format", "data URI", "changed") in undone(body)
    head, _, text = body["data"][0]["url"].partition(",")
    assert (head, open_base64(text).size) == ("data:image/gif;base64", (64, 64))
    assert gateway.client.get(f"/requests/{body['id']}").json()["status"] == "completed"
    (folder / "media").unlink()
    (folder / "media").mkdir()


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", photo(64, 64).tobytes()[:500], png(64, 64)[:60]],
    ids=["nothing", "text", "noise", "half"],
)
@pytest.mark.parametrize("fields", [{"output_format": "gif"}, {"response_format": "b64_json"}], ids=str)
def test_what_is_no_image_is_a_failure_told_with_its_cost(runware, gateway, content, fields):
    runware.images["odd.png"] = content
    giving(runware, "odd.png")
    failed = gateway.generate(prompt=unique(), **fields)
    assert failed.status_code == 502
    assert failed.json()["error"]["cost"] == 0.01
    assert failed.headers["x-should-retry"] == "false"
    record = gateway.client.get(f"/requests/{failed.headers['x-request-id']}").json()
    assert (record["status"], record["cost"]) == ("failed", 0.01)
