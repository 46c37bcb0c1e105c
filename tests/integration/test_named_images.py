"""Images named instead of sent: links this gateway signed, and the ids of images at Runware."""

import io
import uuid

import httpx2
import pybase64
import pytest
from PIL import Image

from tests.support import loopback
from tests.support.images import open_bytes, png

WITH_MASK, WITHOUT_MASK = "flux.1-dev", "riverflow-1-mini"


@pytest.fixture(scope="module")
def guarded(start_shared_gateway):
    """A gateway that connects to no private address, like the loopback its own links lead to."""
    return start_shared_gateway(SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="false", SPILLWAY_HOST_ALL_PICTURES="true")


@pytest.fixture
def link(guarded) -> str:
    return guarded.generate(prompt=uuid.uuid4().hex, size="512x384").json()["data"][0]["url"]


@pytest.fixture
def image_id(simulator) -> str:
    data = pybase64.b64encode(png(640, 480)).decode()
    task = {
        "taskType": "mediaStorage",
        "taskUUID": str(uuid.uuid4()),
        "operation": "upload",
        "media": f"data:image/png;base64,{data}",
    }
    answer = simulator.client.post(f"{simulator.url}/v1", json=[task], headers={"Authorization": "Bearer k"}).json()
    return answer["data"][0]["mediaUUID"]


def edit(gateway, **fields) -> httpx2.Response:
    return gateway.client.post("/images/edits", json={"prompt": "give it a red hat", "model": WITHOUT_MASK} | fields)


def mask_png(width: int, height: int) -> bytes:
    mask = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    data = io.BytesIO()
    mask.save(data, "PNG")
    return data.getvalue()


def test_edits_of_edits_need_no_network(guarded, link):
    for _ in range(3):
        answer = edit(guarded, image=link)
        assert answer.status_code == 200, answer.text
        (sent,) = guarded.sent(answer)
        assert sent["inputs"]["referenceImages"][0]["width"] > 0  # its bytes were sent, not an address
        link = answer.json()["data"][0]["url"]


def test_the_shape_of_the_image_behind_a_link_is_followed(guarded, link):
    assert edit(guarded, image=link).json()["size"] == "1152x864"


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", ""])
@pytest.mark.parametrize("origin", ["http://localhost:1", "https://images.example.com"])
def test_a_link_is_known_by_its_signature_on_any_host(guarded, link, prefix, origin):
    path = link.removeprefix(guarded.origin).removeprefix("/v1")
    assert edit(guarded, image=f"{origin}{prefix}{path}", size="1024x1024").status_code == 200


def test_a_link_is_read_in_a_form_beside_files(guarded, link):
    files = [("image[]", ("a.png", png(512, 384), "image/png"))]
    assert guarded.edit(files, model=WITHOUT_MASK, image_url=link).status_code == 200


@pytest.mark.parametrize("change", ["signature", "expires", "name"])
def test_a_link_that_was_not_signed_here_is_an_address_like_any_other(guarded, link, change):
    forged = {
        "signature": link[:-2] + ("AA" if link[-2:] != "AA" else "BB"),
        "expires": link.replace("expires=1", "expires=2"),
        "name": link.replace("/media/", "/media/" + "0"),
    }[change]
    refused = edit(guarded, image=forged)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "image")
    assert "private address" in refused.json()["error"]["message"]


def test_a_link_whose_image_is_gone_is_said_to_have_ended(guarded):
    answer = guarded.client.post(
        "/images/generations",
        json={"prompt": uuid.uuid4().hex, "size": "256x256"},
        headers={"Idempotency-Key": uuid.uuid4().hex},
    ).json()
    guarded.client.delete(f"/requests/{answer['id']}/payloads")
    refused = edit(guarded, image=answer["data"][0]["url"])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "image")
    assert "has ended" in refused.json()["error"]["message"]


def test_an_id_without_a_size_gets_the_default_size(guarded, image_id):
    answer = edit(guarded, image=image_id)
    assert answer.status_code == 200, answer.text
    (sent,) = guarded.sent(answer)
    assert (sent["width"], sent["height"], sent["inputs"]["referenceImages"]) == (1024, 1024, [image_id])


@pytest.mark.parametrize("asked", [{}, {"size": "768x512"}], ids=["no-size", "size"])
@pytest.mark.parametrize("mask", ["id", "file"])
def test_an_id_takes_a_mask(guarded, image_id, mask, asked):
    given = image_id if mask == "id" else f"data:image/png;base64,{pybase64.b64encode(mask_png(640, 480)).decode()}"
    answer = edit(guarded, model=WITH_MASK, image=image_id, mask=given, **asked)
    assert answer.status_code == 200, answer.text
    (sent,) = guarded.sent(answer)
    assert sent["inputs"]["seedImage"] == image_id
    shown = sent["inputs"]["maskImage"]
    assert shown == image_id if mask == "id" else (shown["width"], shown["height"]) == (640, 480)


def test_a_file_takes_a_mask_that_is_an_id(guarded, image_id):
    files = [("image", ("a.png", png(640, 480), "image/png"))]
    answer = guarded.edit(files, model=WITH_MASK, mask=image_id)
    assert answer.status_code == 200, answer.text
    assert guarded.sent(answer)[0]["inputs"]["maskImage"] == image_id


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": WITHOUT_MASK, "image": "ID", "mask": "FILE"}, "image"),
        ({"model": WITHOUT_MASK, "image": "FILE", "mask": "ID"}, "mask"),
        ({"model": WITHOUT_MASK, "image": "ID", "markup": "FILE"}, "image"),
        ({"model": WITHOUT_MASK, "image": "FILE", "markup": "ID"}, "markup"),
    ],
    ids=["pasted-into-an-id", "pasted-by-an-id", "drawn-over-an-id", "an-id-drawn-over"],
)
def test_an_id_is_refused_where_the_gateway_itself_needs_the_image(guarded, image_id, fields, param):
    file = f"data:image/png;base64,{pybase64.b64encode(mask_png(640, 480)).decode()}"
    given = {name: {"ID": image_id, "FILE": file}.get(value, value) for name, value in fields.items()}
    refused = edit(guarded, **given)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    assert "image id" in refused.json()["error"]["message"]


def test_what_is_pasted_into_the_image_behind_a_link_keeps_its_pixels(guarded, link):
    original = open_bytes(loopback.get(link).content).convert("RGB")
    mask = f"data:image/png;base64,{pybase64.b64encode(mask_png(512, 384)).decode()}"
    answer = edit(guarded, image=link, mask=mask, response_format="b64_json")
    made = open_bytes(pybase64.b64decode(answer.json()["data"][0]["b64_json"])).convert("RGB")
    kept = (256, 0, 512, 384)
    assert made.crop(kept).tobytes() == original.crop(kept).tobytes()
