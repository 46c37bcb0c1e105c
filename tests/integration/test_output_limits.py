"""Sizes that cannot be delivered are refused before anything is sent, and before a price is quoted."""

import pytest

from tests.support.images import data_uri, encode, open_base64, photo, png


def ask(gateway, *, dry_run: bool = False, path: str = "generations", **fields):
    body = {"prompt": "a quiet harbor", "model": "flux.1-schnell"} | fields
    return gateway.client.post(f"/images/{path}{'?dryRun=true' if dry_run else ''}", json=body)


TOO_LARGE = {
    "more pixels than this machine delivers": ({"size": "16000x16000", "fit": "cover"}, "size"),
    "the largest size that can be written": ({"size": "65536x65536", "fit": "exact"}, "size"),
    "one pixel row too many": ({"size": "8000x8001", "fit": "contain"}, "size"),
    "a wide WebP": ({"size": "20000x100", "fit": "cover", "output_format": "webp"}, "size"),
    "a WebP one pixel too wide": ({"size": "16384x100", "fit": "cover", "output_format": "webp"}, "size"),
    "a wide JPEG": ({"size": "65536x64", "fit": "cover", "output_format": "jpeg"}, "size"),
    "a wide GIF": ({"size": "65536x64", "fit": "exact", "output_format": "gif"}, "size"),
    "a high AVIF": ({"size": "64x32769", "fit": "exact", "output_format": "avif"}, "size"),
    "a size of no model we know": ({"size": "20000x100", "output_format": "webp", "model": "acme:1@1"}, "size"),
    "too many pixels of no model we know": ({"size": "9000x9000", "model": "acme:1@1"}, "size"),
    "Runware's own words": ({"width": 20000, "height": 100, "outputFormat": "WEBP", "model": "acme:1@1"}, "width"),
}


@pytest.mark.parametrize(("fields", "param"), TOO_LARGE.values(), ids=TOO_LARGE)
@pytest.mark.parametrize("dry_run", [True, False], ids=["estimate", "request"])
def test_a_size_that_cannot_be_delivered_is_refused(gateway, fields, param, dry_run):
    before = gateway.simulator.accepted()
    response = ask(gateway, dry_run=dry_run, **fields)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] in {param, "size"}
    assert gateway.simulator.accepted() == before


@pytest.mark.parametrize(
    "fields",
    [
        {"size": "16383x64", "fit": "cover", "output_format": "webp"},
        {"size": "64x65500", "fit": "exact", "output_format": "jpeg"},
        {"size": "65535x16", "fit": "exact", "output_format": "gif"},
        {"size": "32768x64", "fit": "cover", "output_format": "avif"},
        {"size": "65536x32", "fit": "contain", "output_format": "png"},
    ],
    ids=lambda fields: fields["output_format"],
)
def test_a_size_at_the_limit_is_delivered(gateway, fields):
    response = ask(gateway, response_format="b64_json", **fields)
    assert response.status_code == 200, response.text
    answer = response.json()
    image = open_base64(answer["data"][0]["b64_json"])
    assert f"{image.width}x{image.height}" == answer["size"] == fields["size"]


def test_an_image_that_is_pasted_into_must_fit_into_the_format_as_well(gateway):
    own = photo(16400, 1200)
    mask = own.convert("RGBA")
    mask.paste((0, 0, 0, 0), (0, 0, 8000, 1200))
    body = {"image": data_uri(encode(own)), "mask": data_uri(encode(mask)), "output_format": "webp"}
    before = gateway.simulator.accepted()
    response = ask(gateway, path="edits", model="flux.2-pro", **body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "image")
    assert gateway.simulator.accepted() == before


def test_an_enlarged_image_must_fit_into_a_format_that_we_make(gateway):
    fields = {"model": "runware:500@1", "image": data_uri(png(9000, 20)), "scale_factor": 4}
    response = ask(gateway, path="edits", output_format="avif", dry_run=True, **fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "scale_factor")
    assert ask(gateway, path="edits", output_format="png", dry_run=True, **fields).status_code == 200


def test_the_operator_sets_how_many_pixels_are_delivered(start_gateway):
    small = start_gateway(SPILLWAY_MAX_OUTPUT_PIXELS="300000")
    assert ask(small, size="512x512").status_code == 200
    refused = ask(small, size="1024x1024")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "size")
    assert "300000" in refused.json()["error"]["message"]
    assert ask(small, aspect_ratio="1:1").json()["error"]["param"] == "aspect_ratio"
