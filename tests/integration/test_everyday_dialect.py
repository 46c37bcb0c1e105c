"""What people write who never read our documents: names, sizes, seeds and typos, over HTTP."""

import json

import pytest

from tests.support import loopback
from tests.support.images import data_uri, open_base64, open_bytes, png


def fates(response) -> list[tuple[str, str]]:
    """What was told."""
    return [(one["param"], one["mode"]) for one in response.json()["metadata"]["adjustments"]]


@pytest.mark.parametrize(
    ("fields", "size", "told"),
    [
        ({"size": "1K"}, "1024x1024", []),
        ({"size": "0.25MP"}, "512x512", []),
        ({"size": "4K", "model": "flux.1-schnell"}, "2048x2048", [("size", "changed")]),
        ({"size": "0.5K", "aspect_ratio": "16:9"}, "688x384", []),
        ({"size": "auto", "resolution": 0.25}, "512x512", []),
        ({"size": "auto", "resolution": "512px"}, "512x512", []),
        ({"size": "auto", "resolution": "2048"}, "2048x2048", []),
        ({"size": "0.5K", "resolution": "2K"}, "512x512", [("resolution", "dropped")]),
        ({"seed": -1}, "256x256", []),
    ],
    ids=str,
)
def test_sizes_and_seeds_of_everyday_dialect(gateway, fields, size, told):
    response = gateway.generate(**fields)
    assert response.status_code == 200, response.text
    assert (response.json()["size"], fates(response)) == (size, told)
    (task,) = gateway.sent(response)
    assert "seed" not in task


@pytest.mark.parametrize(
    "name", ["gpt-image-1", "openai/gpt-image-1", "GPT_IMAGE_1", "gpt-image-1.5", "chatgpt-image-latest"]
)
def test_gpt_image_names_answer_base64_unless_the_caller_says_otherwise(start_gateway, name):
    aliased = start_gateway(
        SPILLWAY_MODEL_ALIASES="gpt-image-1=flux.1-schnell,gpt-image-1.5=flux.1-schnell,chatgpt-image-latest=flux.1-schnell"
    )
    assert open_base64(aliased.generate(model=name).json()["data"][0]["b64_json"]).size == (256, 256)
    assert "b64_json" not in aliased.generate(model=name, response_format="url").json()["data"][0]


def test_every_other_name_and_none_answer_with_the_default(start_gateway):
    aliased = start_gateway(SPILLWAY_MODEL_ALIASES="gpt-image-1=flux.1-schnell", SPILLWAY_DEFAULT_MODEL="gpt-image-1")
    assert "url" in aliased.generate().json()["data"][0]
    assert "url" in aliased.generate(model="flux.1-schnell").json()["data"][0]


@pytest.mark.parametrize(
    ("field", "meant"), [("apsect_ratio", "aspect_ratio"), ("qualtiy", "quality"), ("shceduler", "scheduler")]
)
def test_a_misspelled_field_is_told_before_anything_is_sent(gateway, simulator, field, meant):
    before = simulator.accepted()
    response = gateway.generate(**{field: "16:9"})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, field, "unknown_parameter")
    assert f"`{meant}`" in error["message"]
    assert simulator.accepted() == before


@pytest.mark.parametrize(
    "name",
    ["a:b@\u017f", "\u212aa:b@c", "a\nb", "a\r\nx-evil: 1", "\x00", "\U0001f3a8", "x" * 50_000, "/" * 500, "\ud800"],
    ids=ascii,
)
def test_an_odd_model_name_is_400_or_404(gateway, name):
    response = gateway.client.post(
        "/images/generations",
        content=json.dumps({"prompt": "a harbor", "model": name}),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code in {400, 404}
    assert response.json()["error"]["param"] == "model"
    assert "x-evil" not in response.headers


@pytest.mark.parametrize("name", ["a:b@c", "Civitai:ABC@1", "a.b-c_d:e@f"])
def test_a_model_nobody_listed_goes_into_the_headers_as_it_is(gateway, name):
    response = gateway.client.post("/images/generations?dryRun=true", json={"prompt": "a harbor", "model": name})
    assert (response.status_code, response.headers["x-spillway-model"]) == (200, name)


@pytest.mark.parametrize(
    "name", ["foo\r\nx-evil: 1", "n\u00e4me", "a;b=c", "\x7f\x00", "\U0001f3a8", "x" * 9000], ids=ascii
)
def test_no_name_of_a_field_gets_into_a_header_unescaped(gateway, name):
    body = {
        "prompt": "a harbor",
        "size": "1000x1000",
        "inputs": {"seedImage": "x", name: 1},
        "image": data_uri(png()),
        name: 1,
    }
    response = gateway.client.post("/images/generations?dryRun=true", json=body)
    assert response.status_code in {200, 400}
    assert "x-evil" not in response.headers
    assert all(" " <= letter <= "~" for value in response.headers.values() for letter in value)


@pytest.mark.parametrize("key", ["b64_json", "base64", "data", "url", "image_url"])
def test_an_object_that_holds_an_image_is_one(gateway, key):
    value = data_uri(png(400, 300)) if "url" in key else data_uri(png(400, 300)).partition(",")[2]
    body = {"prompt": "a hat", "model": "riverflow-1", "images": [{key: value}]}
    assert gateway.client.post("/images/edits", json=body).json()["size"] == "1152x864"


def test_an_image_of_an_answer_can_be_sent_as_it_came(gateway):
    item = gateway.generate(response_format="b64_json").json()["data"][0]
    body = {"prompt": "make it night", "model": "flux.1-schnell", "image": item, "output_format": "jpeg"}
    response = gateway.client.post("/images/edits", json=body)
    assert response.status_code == 200, response.text
    assert open_bytes(loopback.get(response.json()["data"][0]["url"]).content).size == (1024, 1024)
