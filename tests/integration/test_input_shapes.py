"""Input images of shapes a model cannot take, and shapes asked for beside them: estimate, plan and request agree."""

import pytest
from PIL import Image

from tests.support.images import data_uri, encode, open_base64, photo, png

EXTREME = [(6000, 400), (2048, 299), (400, 6000)]


def post(gateway, body: dict, *, dry_run: bool = False):
    return gateway.client.post(f"/images/edits{'?dryRun=true' if dry_run else ''}", json={"prompt": "a hat"} | body)


def references(gateway, response) -> list[dict]:
    """The input images as Runware got them."""
    (task,) = gateway.sent(response)
    return task["inputs"]["referenceImages"]


@pytest.mark.parametrize("model", ["riverflow-1", "nano-banana-2", "nano-banana-pro"])
@pytest.mark.parametrize("size", EXTREME, ids=str)
def test_an_image_no_scaling_brings_within_the_limits_is_padded_and_told(gateway, model, size):
    body = {"model": model, "image": data_uri(png(*size))}
    planned, response = post(gateway, body, dry_run=True), post(gateway, body)
    assert (planned.status_code, response.status_code) == (200, 200), response.text
    (reference,) = references(gateway, response)
    assert min(reference["width"], reference["height"]) == 300
    told = [one for one in response.json()["metadata"]["adjustments"] if one["param"] == "image"]
    assert [(one["requested"], one["applied"], one["mode"]) for one in told] == [
        (f"{size[0]}x{size[1]}", f"{reference['width']}x{reference['height']}", "changed")
    ]
    assert "padded" in told[0]["reason"]
    assert [one for one in planned.json()["adjustments"] if one["param"] == "image"] == told
    (shown,) = planned.json()["plan"][0]["inputs"]["referenceImages"]
    assert (shown["width"], shown["height"]) == (reference["width"], reference["height"])


def test_a_later_image_is_padded_as_well(gateway):
    body = {"model": "riverflow-1", "images": [data_uri(png(400, 300)), data_uri(png(6000, 400))]}
    response = post(gateway, body)
    assert [(one["width"], one["height"]) for one in references(gateway, response)] == [(400, 300), (2048, 300)]
    assert [one["requested"] for one in response.json()["metadata"]["adjustments"]] == ["6000x400"]


@pytest.mark.parametrize("size", EXTREME, ids=str)
@pytest.mark.parametrize("dry_run", [True, False])
def test_with_a_mask_it_is_refused_before_any_price_is_quoted(gateway, size, dry_run):
    before = gateway.simulator.accepted()
    mask = photo(*size).convert("RGBA")
    mask.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    body = {"model": "riverflow-1", "image": data_uri(png(*size)), "mask": data_uri(encode(mask))}
    response = post(gateway, body, dry_run=dry_run)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "image")
    assert "shape" in response.json()["error"]["message"]
    assert gateway.simulator.accepted() == before


def test_an_image_of_a_body_that_is_short_enough_to_be_remembered_is_sent_each_time(gateway):
    body = {"model": "riverflow-1", "image": data_uri(encode(Image.new("L", (1, 1))))}
    assert sum(map(len, [*body, *body.values()])) < 256
    answers = [post(gateway, {"prompt": prompt, **body}) for prompt in ("a hat", "a cap", "a tie")]
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    assert all(len(references(gateway, answer)) == 1 for answer in answers)


def test_strictness_refuses_what_would_be_padded(gateway):
    body = {"prompt": "a hat", "model": "riverflow-1", "image": data_uri(png(6000, 400))}
    response = gateway.client.post("/images/edits", json=body, headers={"X-Spillway-Strict": "true"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "image")


FOLLOWS = ["nano-banana", "nano-banana-pro", "nano-banana-2"]


@pytest.mark.parametrize("model", FOLLOWS)
@pytest.mark.parametrize(("fit", "sent"), [("contain", (1067, 600)), ("cover", (600, 338))])
def test_fit_gives_the_first_reference_the_shape_asked_for(gateway, model, fit, sent):
    body = {"model": model, "images": [data_uri(png(600, 600)), data_uri(png(500, 500))], "fit": fit, "size": "800x450"}
    response = post(gateway, body | {"response_format": "b64_json"})
    assert response.status_code == 200, response.text
    first, second = references(gateway, response)
    assert (first["width"], first["height"]) == sent
    assert (second["width"], second["height"]) == (500, 500)
    answer = response.json()
    assert open_base64(answer["data"][0]["b64_json"]).size == (800, 450)
    told = {one["param"]: one["mode"] for one in answer["metadata"]["adjustments"]}
    assert (told["image[0]"] if "image[0]" in told else told["images[0]"], told["size"]) == ("emulated", "converted")
    assert not {"changed", "dropped"} & set(told.values())


@pytest.mark.parametrize("fit", ["contain", "cover"])
def test_fit_gives_a_mere_aspect_ratio_too(gateway, fit):
    body = {"model": "nano-banana-2", "image": data_uri(png(600, 600)), "fit": fit, "aspect_ratio": "2:1"}
    response = post(gateway, body)
    assert response.status_code == 200, response.text
    (reference,) = references(gateway, response)
    assert reference["width"] == 2 * reference["height"]
    told = {one["param"]: one["mode"] for one in response.json()["metadata"]["adjustments"]}
    assert told == {"image": "emulated", "aspect_ratio": "emulated"}


def test_an_address_is_fetched_to_be_given_the_shape(gateway, simulator):
    hosted = gateway.generate(size="512x512").json()["data"][0]["url"]
    body = {"model": "nano-banana-2", "image": hosted, "fit": "cover", "aspect_ratio": "2:1"}
    (reference,) = references(gateway, post(gateway, body))
    assert (reference["width"], reference["height"]) == (600, 300)


def test_without_fit_the_shape_of_the_image_stays_and_that_is_told(gateway):
    body = {"model": "nano-banana-2", "image": data_uri(png(600, 600)), "aspect_ratio": "2:1"}
    response = post(gateway, body)
    (reference,) = references(gateway, response)
    assert (reference["width"], reference["height"]) == (600, 600)
    assert [(one["param"], one["mode"]) for one in response.json()["metadata"]["adjustments"]] == [
        ("aspect_ratio", "dropped")
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"model": "nano-banana-2", "fit": "exact", "aspect_ratio": "2:1"},
        {"model": "riverflow-1", "fit": "cover", "aspect_ratio": "2:1"},
        {"model": "nano-banana-2", "fit": "cover"},
    ],
    ids=["exact", "a model that takes sizes", "no shape"],
)
def test_elsewhere_fit_still_needs_an_exact_size(gateway, body):
    response = post(gateway, {"image": data_uri(png(600, 600))} | body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "fit")
