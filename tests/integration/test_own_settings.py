"""What a model has of its own: qualities and styles by its own words, and images that grow by what is added to them."""

import pytest

from tests.support.images import data_uri, png


def fates(response) -> list[tuple[str, str]]:
    """What was told."""
    return [(one["param"], one["mode"]) for one in response.json()["metadata"]["adjustments"]]


@pytest.mark.parametrize(
    ("model", "fields", "place", "told"),
    [
        ("ideogram-3-0", {"style": "realistic"}, ("styleType", "REALISTIC"), []),
        ("ideogram-3-0", {"style": "DESIGN"}, ("styleType", "DESIGN"), []),
        ("ideogram-3-0", {"quality": "turbo"}, ("renderingSpeed", "TURBO"), []),
        ("ideogram-3-0", {"quality": "high"}, ("renderingSpeed", "QUALITY"), []),
        ("ideogram-3-0", {"style": "vivid"}, None, [("style", "dropped")]),
        ("ideogram-3-0", {"style": "watercolor"}, None, [("style", "dropped")]),
        ("ideogram-3-0", {"quality": "ultra"}, None, [("quality", "dropped")]),
        ("midjourney:3@1", {"quality": 0.25, "n": 4}, ("quality", 0.25), []),
        ("midjourney:3@1", {"quality": "2", "n": 4}, ("quality", 2), []),
        ("flux.1-schnell", {"quality": "ultra"}, None, [("quality", "dropped")]),
        ("flux.1-schnell", {"style": "anime"}, None, [("style", "dropped")]),
    ],
    ids=str,
)
def test_a_value_openai_does_not_know_goes_to_the_models_own_setting_or_is_told(gateway, model, fields, place, told):
    body = {"prompt": "a quiet harbor", "model": model} | fields
    response = gateway.client.post("/images/generations?dryRun=true", json=body)
    assert response.status_code == 200, response.text
    (task,) = response.json()["plan"]
    provider = task.get("providerSettings", {})
    settings = next(iter(provider.values()), {})
    assert settings == ({} if place is None else dict([place]))
    assert [(one["param"], one["mode"]) for one in response.json()["adjustments"]] == told


def test_a_value_the_model_lacks_is_told_with_those_it_has(gateway):
    body = {"prompt": "a quiet harbor", "model": "ideogram-3-0", "style": "watercolor"}
    (told,) = gateway.client.post("/images/generations?dryRun=true", json=body).json()["adjustments"]
    assert (told["requested"], "REALISTIC" in told["reason"]) == ("watercolor", True)


@pytest.mark.parametrize("value", [True, ["vivid"], {"a": 1}, "x" * 101], ids=["true", "list", "object", "long"])
@pytest.mark.parametrize("field", ["quality", "style"])
def test_what_can_be_no_choice_at_all_is_refused_by_field(gateway, field, value):
    response = gateway.generate(**{field: value})
    assert (response.status_code, response.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    ("outpaint", "fields", "size", "told"),
    [
        ({"left": 64}, {}, (384, 320), []),
        ({"left": 64, "right": 64, "top": 128, "bottom": 32}, {}, (448, 480), []),
        ({"left": 0}, {}, (320, 320), []),
        ({"top": 50}, {}, (320, 368), [("outpaint", "changed")]),
        ({"right": 320}, {"resolution": "1K"}, (1440, 720), []),
        ({"left": 64}, {"size": "512x512"}, (512, 512), []),
        ({"left": 64}, {"aspect_ratio": "1:1"}, (1024, 1024), []),
    ],
    ids=str,
)
@pytest.mark.parametrize("native", [False, True], ids=["OpenAI's words", "Runware's"])
def test_an_extended_image_has_the_size_of_the_image_and_what_is_added(gateway, outpaint, fields, size, told, native):
    image = data_uri(png(320, 320))
    body = {"prompt": "a quiet harbor", "model": "runware:111@1", "outpaint": outpaint} | fields
    body |= {"inputs": {"seedImage": image}} if native else {"image": image}
    response = gateway.client.post("/images/edits", json=body)
    assert response.status_code == 200, response.text
    (task,) = gateway.sent(response)
    assert ((task["width"], task["height"]), task["outpaint"]) == (size, outpaint)
    assert fates(response) == told


@pytest.mark.parametrize("outpaint", [{"left": -1}, {"left": "wide"}, {"left": True}, 7], ids=str)
def test_an_extension_that_is_none_is_refused_by_its_place(gateway, outpaint):
    body = {
        "prompt": "a quiet harbor",
        "model": "runware:111@1",
        "outpaint": outpaint,
        "image": data_uri(png(320, 320)),
    }
    error = gateway.client.post("/images/edits", json=body).json()["error"]
    assert error["param"].startswith("outpaint")


def test_a_form_extends_an_image_too(gateway):
    response = gateway.edit(
        [("image", ("a.png", png(320, 320)))], model="runware:111@1", **{"outpaint[left]": "64", "outpaint[top]": "32"}
    )
    (task,) = gateway.sent(response)
    assert (task["width"], task["height"]) == (384, 352)
