"""Upscalers, background removers and vectorizers behind the same two endpoints; vector models; uploads; transparency."""

import base64

import httpx2
import pytest

from tests.support import loopback
from tests.support.images import data_uri, open_base64, png
from tests.support.waiting import seen


def fates(response: httpx2.Response) -> list[tuple[str, str]]:
    return [(one["param"], one["mode"]) for one in response.json()["metadata"]["adjustments"]]


def edit(gateway, model, **fields):
    body = {"model": model, "image": data_uri(png(320, 240)), "response_format": "b64_json"} | fields
    response = gateway.client.post("/images/edits", json=body)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.parametrize(
    ("model", "factor", "sent", "size", "told"),
    [
        ("real-esrgan", 4, 4, (1280, 960), []),
        ("real-esrgan", 3, 4, (1280, 960), [("scale_factor", "changed")]),
        ("ccsr", 4, 2, (640, 480), [("scale_factor", "changed")]),
        ("clarity-upscaler", 1.5, 1.5, (480, 360), []),
        ("topazlabs:wonder@3.5", 2.2, 2, (640, 480), [("scale_factor", "changed")]),
        ("swinir", None, None, (640, 480), []),
    ],
)
def test_an_upscaler_enlarges_by_the_factor_asked_for_without_a_prompt(gateway, model, factor, sent, size, told):
    response = edit(gateway, model, **({"scale_factor": factor} if factor else {}))
    assert open_base64(response.json()["data"][0]["b64_json"]).size == size
    assert fates(response) == told
    (task,) = gateway.sent(response)
    assert (task["taskType"], task.get("upscaleFactor")) == ("upscale", sent)
    assert "positivePrompt" not in task
    assert "numberResults" not in task


def test_the_factor_of_a_form_is_read_too(gateway):
    form = {"model": "real-esrgan", "scale_factor": "2"}
    response = gateway.client.post("/images/edits", data=form, files={"image": png(320, 320)})
    assert gateway.sent(response)[0]["upscaleFactor"] == 2


def test_a_prompt_or_a_factor_that_means_nothing_is_told(gateway):
    assert fates(edit(gateway, "real-esrgan", prompt="sharper")) == [("prompt", "dropped")]
    assert ("scale_factor", "dropped") in fates(edit(gateway, "boogu-image-0-1-edit", prompt="sharper", scale_factor=2))


@pytest.mark.parametrize("format_", ["png", "webp", "gif", "avif"])
def test_a_background_remover_answers_with_transparency(gateway, format_):
    response = edit(gateway, "birefnet-general", output_format=format_, background="transparent")
    image = open_base64(response.json()["data"][0]["b64_json"]).convert("RGBA")
    assert image.getpixel((0, 0))[3] == 0
    assert image.getpixel((160, 120))[3] == 255
    assert fates(response) == []
    assert gateway.sent(response)[0]["taskType"] == "removeBackground"


@pytest.mark.parametrize(
    ("model", "body"),
    [("recraft-vectorize", {"image": data_uri(png(320, 240))}), ("recraft-v4-vector", {"prompt": "a fox"})],
)
@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_a_vector_model_answers_with_svg(gateway, model, body, form):
    path = "/images/edits" if "image" in body else "/images/generations"
    response = gateway.client.post(path, json={"model": model, "response_format": form} | body)
    assert response.json()["output_format"] == "svg", response.text
    (image,) = response.json()["data"]
    data = loopback.get(image["url"]).content if form == "url" else base64.b64decode(image["b64_json"])
    assert data.startswith(b"<svg")
    assert data.endswith(b"</svg>")
    # A drawing is as large as it is shown.
    assert "size" not in response.json()
    assert fates(response) == []


def test_hosted_vector_graphics_cannot_run_scripts(start_gateway):
    gateway = start_gateway(SPILLWAY_HOST_ALL_PICTURES="true")
    response = gateway.client.post("/images/generations", json={"model": "recraft-v4-vector", "prompt": "a fox"})
    hosted = loopback.get(response.json()["data"][0]["url"])
    assert hosted.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in hosted.headers["content-security-policy"]
    assert hosted.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/images/generations", {"model": "flux.1-schnell", "prompt": "a fox", "output_format": "svg"}, "output_format"),
        ("/images/generations", {"model": "recraft-v4-vector", "prompt": "a fox", "size": "64x64", "fit": "cover"}, "fit"),
        ("/images/edits", {"model": "swinir", "image": data_uri(png(320, 320)), "mask": data_uri(png(320, 320))}, "mask"),
        ("/images/edits", {"model": "swinir", "images": [data_uri(png(320, 320))] * 2}, "image"),
        ("/images/generations", {"model": "swinir", "prompt": "a fox"}, "model"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_a_tool_cannot_do_is_refused(gateway, path, body, param):
    response = gateway.client.post(path, json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_a_raster_format_asked_of_a_vector_model_is_told_and_refused_when_strict(gateway):
    body = {"model": "recraft-v4-vector", "prompt": "a fox", "output_format": "png"}
    response = gateway.client.post("/images/generations", json=body)
    assert fates(response) == [("output_format", "changed")]
    assert response.json()["output_format"] == "svg"
    strict = gateway.client.post("/images/generations", json=body, headers={"X-Spillway-Strict": "true"})
    assert (strict.status_code, strict.json()["error"]["param"]) == (400, "output_format")


@pytest.mark.parametrize("form", ["url", "b64_json"])
@pytest.mark.parametrize(("marker", "told"), [("", []), ("[sim:opaque]", [("background", "changed")])])
def test_transparency_that_was_promised_is_looked_for(gateway, form, marker, told):
    response = gateway.generate(
        model="gpt-image-1", prompt=f"a fox {marker}", background="transparent", size="1024x1024", response_format=form
    )
    assert [fate for fate in fates(response) if fate[0] == "background"] == told


@pytest.mark.parametrize("extra", [{"layerDiffuse": True}, {"advancedFeatures": {"layerDiffuse": True}}])
def test_layer_diffuse_is_transparent_and_needs_a_format_that_can_be(gateway, extra):
    response = gateway.generate(model="srpo", response_format="b64_json", **extra)
    assert open_base64(response.json()["data"][0]["b64_json"]).mode == "RGBA"
    refused = gateway.generate(model="srpo", output_format="jpeg", **extra)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "output_format")


def stored_uploads(gateway) -> tuple[int, int]:
    body = loopback.get(f"{gateway.simulator.url}/_simulator/ledger").json()
    return body["uploads"], body["deletions"]


@pytest.mark.parametrize("stream", [False, True])
def test_images_that_several_tasks_need_are_uploaded_once_and_deleted_after(gateway, stream):
    uploads, deletions = stored_uploads(gateway)
    images = [data_uri(png(320, side)) for side in (320, 330, 320)]
    body = {"model": "flux.2-pro", "prompt": "a fox", "images": images, "n": 3, "size": "256x256"}
    if stream:
        with gateway.client.stream("POST", "/images/edits", json=body | {"stream": True}) as response:
            text = response.read().decode()
        assert text.count("image_edit.completed") == 6
    else:
        response = gateway.client.post("/images/edits", json=body)
        tasks = gateway.sent(response)
        references = [task["inputs"]["referenceImages"] for task in tasks]
        assert len(tasks) == 3
        assert references[0] == references[1] == references[2]
        assert references[0][0] == references[0][2] != references[0][1]
        assert all(reference.startswith("http") for reference in references[0])
    wanted = (uploads + 2, deletions + 2)
    assert seen(lambda: stored_uploads(gateway), lambda stored: stored == wanted) == wanted


def test_images_of_a_single_task_travel_with_it(gateway):
    before = stored_uploads(gateway)
    response = edit(gateway, "riverflow-1", prompt="a fox", n=3)
    assert "sha256" in gateway.sent(response)[0]["inputs"]["referenceImages"][0]
    assert stored_uploads(gateway) == before


def test_a_factor_on_a_model_that_is_no_upscaler_scales_the_size_of_the_image(gateway):
    answer = gateway.edit([("image", ("a.png", png(500, 400), "image/png"))], model="riverflow-1-pro", scale_factor="2")
    assert answer.status_code == 200, answer.text
    (told,) = [one for one in answer.json()["metadata"]["adjustments"] if one["param"] == "scale_factor"]
    assert (told["applied"], told["mode"]) == ("1152x896", "emulated")
    (task,) = gateway.sent(answer)
    assert (task["width"], task["height"]) == (1152, 896)
