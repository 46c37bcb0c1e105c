"""Exact sizes by `fit`, and masks on models that take none: measured in pixels."""

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.images import encode, open_base64, open_bytes, photo, png


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference over all channels."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def half_mask(width: int, height: int) -> bytes:
    """Transparent, to be edited, on the left half."""
    mask = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    return encode(mask)


@pytest.mark.parametrize("model", ["riverflow-1-mini", "flux.2-pro", "nano-banana-2", "gpt-image-1"])
@pytest.mark.parametrize("size", [None, "500x400"])
def test_outside_the_mask_the_answer_is_the_callers_image_to_the_pixel(gateway, model, size):
    image = photo(640, 512)
    files = [("image", ("a.png", encode(image))), ("mask", ("m.png", half_mask(640, 512)))]
    fields = {"model": model, "response_format": "b64_json"} | ({"size": size} if size else {})
    response = gateway.edit(files, **fields)
    assert response.status_code == 200, response.text
    answer = response.json()
    result = open_base64(answer["data"][0]["b64_json"]).convert("RGB")
    width, height = (500, 400) if size else (640, 512)
    assert (answer["size"], result.size) == (f"{width}x{height}", (width, height))
    own = image if size is None else image.resize((width, height), Image.Resampling.LANCZOS)
    edge = 8 if size else 0
    right, left = (width // 2 + edge, 0, width, height), (0, 0, width // 2 - edge, height)
    assert difference(result.crop(right), own.crop(right)) == 0
    assert difference(result.crop(left), own.crop(left)) > 20
    told = {(one["param"], one["mode"]) for one in answer["metadata"]["adjustments"]}
    assert ("mask", "emulated") in told
    assert not {mode for _, mode in told} & {"changed", "dropped"}


def test_a_turned_photograph_is_pasted_upright(gateway):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(photo(640, 512), "JPEG", exif=exif, quality=95)
    files = [("image", ("a.jpg", data)), ("mask", ("m.png", half_mask(512, 640)))]
    answer = gateway.edit(files, model="riverflow-1", response_format="b64_json").json()
    assert answer["size"] == "512x640"


@pytest.mark.parametrize("output_format", ["jpeg", "webp", "gif"])
def test_a_pasted_image_comes_in_the_asked_format(gateway, output_format):
    files = [("image", ("a.png", png(640, 512))), ("mask", ("m.png", half_mask(640, 512)))]
    answer = gateway.edit(files, model="flux.2-pro", output_format=output_format, response_format="b64_json").json()
    assert open_base64(answer["data"][0]["b64_json"]).format.lower() == answer["output_format"] == output_format


def test_a_mask_on_a_model_that_takes_none_stays_within_strictness(gateway):
    files = [("image", ("a.png", png(640, 512))), ("mask", ("m.png", half_mask(640, 512)))]
    response = gateway.client.post(
        "/images/edits",
        data={"prompt": "hat", "model": "flux.2-pro"},
        files=files,
        headers={"X-Spillway-Strict": "true"},
    )
    assert response.status_code == 200


@pytest.mark.parametrize("fit", ["cover", "contain", "exact"])
@pytest.mark.parametrize("size", ["500x300", "300x500", "1000x1000"])
def test_fit_delivers_exactly_the_size_asked_for_and_tells_how(gateway, fit, size):
    response = gateway.generate(model="riverflow-1", size=size, fit=fit, response_format="b64_json")
    answer = response.json()
    width, height = (int(side) for side in size.split("x"))
    assert open_base64(answer["data"][0]["b64_json"]).size == (width, height)
    assert answer["size"] == size
    assert ("size", "converted") in {(one["param"], one["mode"]) for one in answer["metadata"]["adjustments"]}


def test_contain_pads_transparently_or_in_the_color_asked_for(gateway):
    def corner(**fields: object) -> tuple:
        answer = gateway.generate(
            model="riverflow-1", size="900x300", fit="contain", response_format="b64_json", **fields
        ).json()
        return open_base64(answer["data"][0]["b64_json"]).convert("RGBA").getpixel((0, 150))

    assert corner()[3] == 0
    assert corner(background="white") == (255, 255, 255, 255)
    assert corner(background="black") == (0, 0, 0, 255)
    assert min(corner(output_format="jpeg")) > 250


def test_fit_does_nothing_where_the_model_makes_the_size_itself(gateway):
    response = gateway.generate(size="512x320", fit="cover")
    assert (response.json()["size"], response.json()["metadata"]["adjustments"]) == ("512x320", [])


def test_a_fitted_image_is_hosted_when_a_link_is_asked_for(gateway):
    item = gateway.generate(model="riverflow-1", size="300x300", fit="cover").json()["data"][0]
    assert open_bytes(gateway.client.get(item["url"]).content).size == (300, 300)


@pytest.mark.parametrize("requested", [{}, {"size": "16:9"}, {"aspect_ratio": "16:9"}], ids=str)
def test_fit_needs_an_exact_size(gateway, requested):
    error = gateway.client.post("/images/generations", json={"prompt": "p", "fit": "cover"} | requested).json()["error"]
    assert error["param"] == "fit"


@pytest.mark.parametrize("model", ["flux.1-dev", "riverflow-1"], ids=["takes a mask", "takes none"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_mask_that_edits_nothing_is_refused_before_anything_is_sent(gateway, model, dry_run):
    before = gateway.simulator.accepted()
    files = [
        ("image", ("a.png", png(512, 512))),
        ("mask", ("m.jpg", encode(Image.new("RGB", (512, 512), (3, 3, 3)), "JPEG"))),
    ]
    path = "/images/edits?dryRun=true" if dry_run else "/images/edits"
    response = gateway.client.post(path, data={"prompt": "a hat", "model": model}, files=files)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "mask")
    assert "0.1 %" in response.json()["error"]["message"]
    assert gateway.simulator.accepted() == before
