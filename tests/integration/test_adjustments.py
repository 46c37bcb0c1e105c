"""Every field is honored, or what became of it is reported: sizes, words, strictness, names."""

import httpx2
import pytest

from tests.support.images import data_uri, open_base64, png


def fates(response: httpx2.Response) -> list[tuple[str, str]]:
    return [(one["param"], one["mode"]) for one in response.json()["metadata"]["adjustments"]]


@pytest.mark.parametrize(
    ("model", "requested", "size", "reported"),
    [
        ("flux.1-schnell", {"size": "512x320"}, "512x320", []),
        ("flux.1-schnell", {"size": "1000x1000"}, "1008x1008", [("size", "changed")]),
        ("flux.1-schnell", {"size": "3000x1000"}, "2048x688", [("size", "changed")]),
        ("flux.1-schnell", {"size": "auto"}, "1024x1024", []),
        ("flux.1-schnell", {"size": "16:9", "resolution": "0.5K"}, "688x384", []),
        ("flux.1-schnell", {"aspect_ratio": "16:9", "resolution": "0.25MP"}, "688x384", []),
        ("flux.1-schnell", {"aspect_ratio": "1:1", "resolution": "4K"}, "2048x2048", [("resolution", "changed")]),
        ("flux.1-schnell", {"aspect_ratio": "100:1"}, "2048x128", [("aspect_ratio", "changed")]),
        ("flux.1-schnell", {"size": "256x256", "aspect_ratio": "16:9"}, "256x256", [("aspect_ratio", "dropped")]),
        ("flux.1-schnell", {"size": "256x256", "resolution": "4K"}, "256x256", [("resolution", "dropped")]),
        ("riverflow-1", {"size": "1920x1080"}, "1280x720", [("size", "changed")]),
        ("riverflow-1", {"aspect_ratio": "16:9"}, "1280x720", []),
        ("riverflow-1", {"aspect_ratio": "7:1"}, "1512x648", [("aspect_ratio", "changed")]),
        ("riverflow-1", {"resolution": "4K"}, "1024x1024", [("resolution", "changed")]),
        ("civitai:1@2", {"size": "640x448"}, "640x448", []),
        ("civitai:1@2", {"aspect_ratio": "16:9"}, "1344x768", [("aspect_ratio", "changed")]),
        ("civitai:1@2", {}, "1024x1024", []),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_size_is_met_or_the_nearest_is_reported(gateway, model, requested, size, reported):
    response = gateway.client.post("/images/generations", json={"prompt": "a harbor", "model": model} | requested)
    assert response.status_code == 200, response.text
    assert response.json()["size"] == size
    assert [fate for fate in fates(response) if fate[0] != "image"] == reported
    header = response.headers.get("x-spillway-adjustments", "")
    assert all(f"{param}={mode}" in header for param, mode in reported)


@pytest.mark.parametrize(
    ("image", "size"),
    [((400, 300), "1152x864"), ((300, 400), "864x1152"), ((320, 320), "1024x1024"), ((900, 301), "1512x648")],
)
def test_an_edit_without_a_size_follows_its_first_image(gateway, image, size):
    files = [("image[]", ("a.png", png(*image))), ("image[]", ("b.png", png(400, 400)))]
    assert gateway.edit(files, model="riverflow-1").json()["size"] == size


@pytest.mark.parametrize(
    ("model", "requested", "reported"),
    [
        ("flux.1-schnell", {"quality": "high"}, [("quality", "dropped")]),
        ("flux.1-schnell", {"quality": "auto", "style": None, "moderation": "auto", "background": "auto"}, []),
        ("flux.1-schnell", {"output_compression": 100}, []),
        ("flux.1-schnell", {"output_compression": 50}, [("output_compression", "dropped")]),
        ("flux.1-schnell", {"output_format": "jpeg", "output_compression": 50}, []),
        ("flux.1-schnell", {"seed": 7, "negative_prompt": "fog", "guidance_scale": 3.5, "num_inference_steps": 9}, []),
        ("flux.1-schnell", {"background": "opaque"}, []),
        ("flux.1-schnell", {"background": "transparent"}, []),
        ("flux.2-pro", {"background": "transparent"}, [("background", "dropped")]),
        ("flux.2-pro", {"negative_prompt": "fog"}, [("negative_prompt", "dropped")]),
        ("riverflow-1", {"seed": 7}, [("seed", "dropped"), ("image", "emulated")]),
        ("flux.1-schnell", {"user": "u", "safety_identifier": "s"}, []),
        ("flux.1-schnell", {"frame_count": 3, "svg": {"model": "x"}}, [("frame_count", "dropped"), ("svg", "dropped")]),
        ("flux.1-schnell", {"partial_images": 2}, [("partial_images", "dropped")]),
        (
            "flux.1-schnell",
            {"taskUUID": "x", "includeCost": False},
            [("taskUUID", "dropped"), ("includeCost", "dropped")],
        ),
        ("flux.1-schnell", {"taskUUID": "x"}, [("taskUUID", "dropped")]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_parameter_is_honored_or_its_fate_is_reported(gateway, model, requested, reported):
    response = gateway.generate(model=model, **requested)
    assert response.status_code == 200, response.text
    assert [fate for fate in fates(response) if fate[0] != "size"] == reported


def test_the_common_words_reach_runware_in_its_own(gateway):
    response = gateway.generate(seed=7, negative_prompt="fog", guidance_scale=3.5, num_inference_steps=9)
    (task,) = gateway.sent(response)
    assert (task["seed"], task["negativePrompt"], task["CFGScale"], task["steps"]) == (7, "fog", 3.5, 9)


def test_a_transparent_background_is_transparent(gateway):
    response = gateway.generate(background="transparent", response_format="b64_json")
    assert open_base64(response.json()["data"][0]["b64_json"]).convert("RGBA").getchannel("A").getextrema() == (0, 255)


def test_the_gateways_own_fields_cannot_be_set_from_outside(gateway):
    response = gateway.generate(taskType="upscale", taskUUID="x", includeCost=False)
    (task,) = gateway.sent(response)
    assert (task["taskType"], task["deliveryMethod"], task["includeCost"]) == ("imageInference", "sync", True)
    assert fates(response) == [("taskType", "dropped"), ("taskUUID", "dropped"), ("includeCost", "dropped")]


@pytest.mark.parametrize(
    ("requested", "param"),
    [
        ({"size": "1000x1000"}, "size"),
        ({"quality": "high"}, "quality"),
        ({"taskUUID": "x"}, "taskUUID"),
        ({"model": "flux.2-pro", "background": "transparent"}, "background"),
    ],
    ids=["changed size", "dropped word", "protected field", "background"],
)
def test_strictness_refuses_what_would_be_changed_or_dropped(gateway, requested, param):
    body = {"prompt": "a harbor", "size": "256x256"} | requested
    for value, status in (("true", 400), ("false", 200)):
        headers = {"X-Spillway-Strict": value}
        response = gateway.client.post("/images/generations", json=body, headers=headers)
        assert response.status_code == status
        if status == 400:
            assert response.json()["error"]["param"] == param


def test_strictness_leaves_emulation_and_conversion_alone(gateway):
    body = {"prompt": "a harbor", "model": "riverflow-1", "output_format": "gif"}
    response = gateway.client.post("/images/generations", json=body, headers={"X-Spillway-Strict": "true"})
    assert response.status_code == 200
    assert fates(response) == [("image", "emulated")]


def test_images_guide_a_generation(gateway):
    response = gateway.generate(model="flux.2-pro", reference_images=[data_uri(png()), data_uri(png(330, 330))])
    (task,) = gateway.sent(response)
    assert [one["width"] for one in task["inputs"]["referenceImages"]] == [320, 330]


def test_a_callers_own_inputs_never_hide_the_images_sent_under_openais_names(gateway):
    body = {"model": "flux.1-dev", "prompt": "a hat", "image": data_uri(png()), "size": "256x256"}
    response = gateway.client.post("/images/edits", json=body | {"inputs": {"seedImage": "x"}})
    assert gateway.sent(response)[0]["inputs"]["seedImage"]["width"] == 320
    assert fates(response) == [("inputs.seedImage", "dropped")]


def test_operators_aliases_win_and_defaults_are_his(start_gateway):
    own = start_gateway(
        SPILLWAY_MODEL_ALIASES="gpt-image-1=flux.2-pro, Flux.1-Schnell=flux.1-dev",
        SPILLWAY_DEFAULT_MODEL="gpt-image-1",
        SPILLWAY_DEFAULT_RESPONSE_FORMAT="b64_json",
    )
    answers = [own.generate(**fields).json() for fields in ({}, {"model": "GPT-Image-1"}, {"model": "flux.1-schnell"})]
    assert [answer["metadata"]["model"] for answer in answers] == ["flux.2-pro", "flux.2-pro", "flux.1-dev"]
    assert all("b64_json" in answer["data"][0] for answer in answers)
    assert "gpt-image-1" in own.client.get("/models/flux.2-pro").json()["aliases"]


def test_a_client_that_only_reads_base64_gets_it_unasked(gateway):
    headers = {"User-Agent": "ai/7.0.173 ai-sdk-provider-utils/5.0.81 node.js/24"}
    body = {"prompt": "a harbor", "size": "256x256"}
    assert "b64_json" in gateway.client.post("/images/generations", json=body, headers=headers).json()["data"][0]
    asked = gateway.client.post("/images/generations", json=body | {"response_format": "url"}, headers=headers)
    assert "url" in asked.json()["data"][0]


@pytest.mark.parametrize("fields", [{"size": "256x256"}, {}], ids=["requested", "unknown"])
def test_a_model_that_does_not_exist_is_told_with_its_neighbors(gateway, fields):
    error = gateway.client.post("/images/generations", json={"prompt": "p", "model": "riverflow-12"} | fields).json()[
        "error"
    ]
    assert error["code"] == "model_not_found"
    assert "riverflow-1" in error["message"]


def test_a_model_that_only_makes_fours_delivers_what_was_asked_and_tells_what_was_made(gateway):
    response = gateway.generate(model="midjourney:1@1", size="1024x1024", n=1)
    body = response.json()
    assert len(body["data"]) == 1
    assert fates(response) == [("n", "emulated")]
    assert gateway.sent(response)[0]["numberResults"] == 4


@pytest.mark.parametrize(
    ("requested", "tier", "reported"),
    [
        ({}, None, []),
        ({"resolution": "4K"}, "4K", []),
        ({"resolution": "3K"}, "4K", [("resolution", "changed")]),
        ({"size": "2048x2048"}, "2K", [("size", "changed")]),
        ({"aspect_ratio": "16:9", "resolution": "2K"}, "2K", [("aspect_ratio", "dropped")]),
    ],
    ids=str,
)
def test_where_images_and_dimensions_exclude_each_other_a_tier_stands_in(gateway, requested, tier, reported):
    body = {"prompt": "a hat", "model": "nano-banana-2", "image": data_uri(png(400, 300))} | requested
    response = gateway.client.post("/images/edits", json=body)
    (task,) = gateway.sent(response)
    assert ("width" in task, task.get("resolution")) == (False, tier)
    assert fates(response) == reported


def test_a_model_whose_sizes_are_not_published_is_not_asked_for_one_unless_the_caller_asks(gateway):
    for requested, width in (({}, None), ({"size": "777x333"}, 777), ({"aspect_ratio": "1:1"}, 1024)):
        response = gateway.client.post(
            "/images/generations", json={"prompt": "a hat", "model": "bfl:flux@3-image"} | requested
        )
        assert gateway.sent(response)[0].get("width") == width


def test_a_model_that_needs_a_mask_says_so(gateway):
    error = gateway.client.post(
        "/images/edits", json={"prompt": "a hat", "model": "bfl:1@2", "image": data_uri(png())}
    ).json()["error"]
    assert (error["param"], error["code"]) == ("mask", "missing_required_parameter")


def test_a_model_that_takes_no_prompt_drops_it_and_says_so(gateway):
    model = next(m["id"] for m in gateway.client.get("/models").json()["data"] if m["air"] == "bfl:flux@erase")
    response = gateway.client.post("/images/edits", json={"prompt": "a hat", "model": model, "image": data_uri(png())})
    assert response.status_code == 200, response.text
    assert ("prompt", "dropped") in fates(response)
    assert "positivePrompt" not in gateway.sent(response)[0]


@pytest.mark.parametrize(
    ("model", "requested", "path", "value", "reported"),
    [
        ("gpt-image-1", {"quality": "high"}, "providerSettings.openai.quality", "high", []),
        ("gpt-image-1", {"quality": "hd"}, "providerSettings.openai.quality", "high", [("quality", "changed")]),
        ("gpt-image-1", {"quality": "auto"}, "providerSettings", None, []),
        ("gpt-image-1", {"background": "transparent"}, "providerSettings.openai.background", "transparent", []),
        ("gpt-image-2", {"moderation": "low"}, "settings.moderation", "low", []),
        ("gpt-image-2", {"style": "vivid"}, "settings", None, [("style", "dropped")]),
        ("dall-e-3", {}, "providerSettings.openai.style", "vivid", []),
        ("dall-e-3", {"style": "natural", "quality": "hd"}, "providerSettings.openai.style", "natural", []),
        ("midjourney:2@1", {"quality": "high", "n": 4}, "providerSettings.midjourney.quality", 2, []),
        ("ideogram:4@1", {"quality": "low"}, "providerSettings.ideogram.renderingSpeed", "TURBO", []),
        (
            "gpt-image-1",
            {"quality": "low", "providerSettings": {"openai": {"quality": "high"}}},
            "providerSettings.openai.quality",
            "high",
            [("quality", "dropped")],
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_openais_values_reach_the_models_own_settings(gateway, model, requested, path, value, reported):
    response = gateway.client.post(
        "/images/generations", json={"prompt": "a harbor", "model": model, "size": "1024x1024"} | requested
    )
    assert response.status_code == 200, response.text
    (task,) = gateway.sent(response)
    found = task
    for part in path.split("."):
        found = (found or {}).get(part)
    assert found == value
    assert fates(response) == reported


def test_a_field_under_the_providers_own_name_wins_and_the_word_is_reported(gateway):
    response = gateway.generate(num_inference_steps=9, steps=20)
    assert gateway.sent(response)[0]["steps"] == 20
    assert fates(response) == [("num_inference_steps", "dropped")]


def test_a_padding_color_without_padding_is_reported(gateway):
    assert fates(gateway.generate(background="white")) == [("background", "dropped")]


@pytest.mark.parametrize("name", ["mask", "markup"])
@pytest.mark.parametrize("model", ["google-imagen-4-fast", "flux.1-schnell", "riverflow-1"])
def test_a_mask_without_an_image_is_refused_on_every_model(gateway, name, model):
    error = gateway.client.post(
        "/images/generations", json={"prompt": "hat", "model": model, name: data_uri(png())}
    ).json()["error"]
    assert error["param"] == name
