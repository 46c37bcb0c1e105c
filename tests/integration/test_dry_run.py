"""`?dryRun=true`: everything is validated, nothing is sent, and the plan is the truth."""

import hashlib

import pytest

from app.openai_api.schemas import DryRunResponse
from tests.support.images import data_uri, encode, photo, png


@pytest.fixture(scope="module")
def alone(start_shared_gateway):
    """A gateway whose upstream is not there."""
    return start_shared_gateway(upstream="http://127.0.0.1:9/v1")


def dry(gateway, endpoint: str = "generations", **fields: object):
    body = {"prompt": "a quiet harbor"} | fields
    return gateway.client.post(f"/images/{endpoint}?dryRun=true", json=body)


def test_an_estimate_is_lumenfalls_and_needs_no_upstream(alone):
    response = dry(alone, model="bfl:3@1", n=2, size="1024x1024")
    body = response.json()
    assert response.status_code == 200
    assert (body["estimated"], body["total_cost_micros"], body["currency"], body["provider"]) == (
        True,
        80000,
        "USD",
        "runware",
    )
    assert body["components"] == [
        {
            "type": "output",
            "metric": "image",
            "quantity": 2,
            "billable_quantity": 2,
            "unit_price": 0.04,
            "total_cost": 80000,
        }
    ]
    strict = type("Strict", (DryRunResponse,), {"model_config": {"extra": "forbid"}, "__module__": __name__})
    strict.model_validate(body)


def test_an_unknown_price_is_null_with_a_word_why(alone):
    body = dry(alone, model="flux.1-dev-srpo").json()
    assert (body["total_cost_micros"], body["components"]) == (None, [])
    assert "no price" in body["reason"]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "flux.1-schnell", "size": "256x256", "n": 2, "seed": 7},
        {"model": "flux.2-pro", "size": "256x256", "n": 2, "seed": 7},
        {"model": "riverflow-1", "aspect_ratio": "16:9", "output_format": "gif"},
        {"model": "flux.1-dev", "size": "256x256", "steps": 20, "lora": [{"model": "a:1@1", "weight": 1}]},
        {"model": "nano-banana-2", "resolution": "2K"},
    ],
    ids=str,
)
def test_the_plan_is_exactly_what_a_real_call_sends(gateway, alone, fields):
    planned = dry(alone, **fields).json()
    response = gateway.client.post("/images/generations", json={"prompt": "a quiet harbor"} | fields)
    sent = gateway.sent(response)

    def comparable(tasks: list[dict]) -> list[dict]:
        return [{name: value for name, value in task.items() if name not in {"taskUUID", "inputs"}} for task in tasks]

    assert comparable(planned["plan"]) == comparable(sent)
    assert planned["adjustments"] == response.json()["metadata"]["adjustments"]


def test_images_of_the_plan_are_described_not_carried(alone):
    data = encode(photo(640, 480), "JPEG")
    body = dry(alone, "edits", model="riverflow-1", image=data_uri(data, "jpeg")).json()
    (reference,) = body["plan"][0]["inputs"]["referenceImages"]
    assert reference == {
        "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "type": "image/jpeg", "width": 640, "height": 480,
    }  # fmt: skip
    assert body["total_cost_micros"] == 39000


def test_images_inside_fields_passed_on_are_described_too(alone):
    image, guide = png(), {"controlNet": [{"model": "runware:25@1", "guideImage": data_uri(png())}]}
    (task,) = dry(alone, model="flux.1-dev", **guide).json()["plan"]
    assert task["controlNet"][0]["guideImage"]["sha256"] == hashlib.sha256(image).hexdigest()


@pytest.mark.parametrize(
    "text", ["data:,hello", "data:image/png;base64,abcde", "data:text/plain;base64,aGVsbG8=", "data:"]
)
@pytest.mark.parametrize("field", ["inputs", "something"])
def test_what_looks_like_an_image_and_is_none_is_shown_as_it_is(alone, field, text):
    answer = dry(alone, model="vendor:1@1", **{field: {"styled": text}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["plan"][0][field] == {"styled": text}


def test_a_form_can_be_estimated_too(alone):
    files = [("image", ("a.png", png(640, 480)))]
    response = alone.client.post("/images/edits?dryRun=true", data={"prompt": "hat", "model": "bfl:7@1"}, files=files)
    assert response.json()["total_cost_micros"] == 70000 + 30000


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"n": 0}, "n"), ({"size": "huge"}, "size"), ({"model": "nobody"}, "model"), ({"image": "!!"}, "image")],
    ids=str,
)
def test_a_dry_run_refuses_what_a_real_call_refuses(alone, fields, param):
    response = dry(alone, **fields)
    assert (response.status_code in {400, 404}, response.json()["error"]["param"]) == (True, param)


def test_strictness_holds_in_a_dry_run(alone):
    response = alone.client.post(
        "/images/generations?dryRun=true",
        json={"prompt": "a harbor", "size": "1000x1000"},
        headers={"X-Spillway-Strict": "true"},
    )
    assert response.status_code == 400


@pytest.mark.parametrize(("value", "status"), [("false", 503), ("0", 503), ("maybe", 400)])
def test_only_true_asks_for_a_dry_run(alone, value, status):
    body = {"prompt": "a harbor", "size": "256x256"}
    assert alone.client.post(f"/images/generations?dryRun={value}", json=body).status_code == status


def test_a_quality_that_is_asked_for_has_its_price(gateway):
    body = {"model": "gpt-image-2", "prompt": "a fox", "quality": "medium", "size": "1024x1024", "n": 2}
    estimate = gateway.client.post("/images/generations?dryRun=true", json=body).json()
    assert estimate["total_cost_micros"] == 106_000


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        pytest.param(
            {"model": "flux.1-schnell", "size": "1000x700"}, "1008x704", id="the nearest that the model makes"
        ),
        pytest.param({"model": "flux.1-schnell", "size": "1000x700", "fit": "cover"}, "1000x700", id="made to fit"),
        pytest.param({"model": "flux.1-schnell"}, "1024x1024", id="none asked for"),
        pytest.param({"model": "recraft-vectorize", "image": data_uri(png())}, None, id="the model's to decide"),
    ],
)
def test_an_estimate_says_what_the_images_will_measure(alone, fields, size):
    assert dry(alone, "edits" if "image" in fields else "generations", **fields).json()["size"] == size
