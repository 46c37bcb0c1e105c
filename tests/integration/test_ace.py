"""ACE++ as the page of FLUX.1 [dev] SRPO prints it, through the gateway to the model it needs."""

import base64
import uuid

import pytest

from tests.support.images import png


@pytest.fixture
def image_id(simulator):
    """An image that Runware keeps."""
    task = {"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": base64.b64encode(png(640, 480)).decode()}
    answer = simulator.client.post(
        f"{simulator.url}/v1", json=[task], headers={"Authorization": "Bearer test-runware-key"}
    )
    return answer.json()["data"][0]["imageUUID"]


@pytest.mark.parametrize("path", ["/images/generations", "/images/edits"])
def test_the_creation_example_goes_to_flux_fill_as_it_is_printed(gateway, image_id, path):
    ace = {"type": "portrait", "images": [image_id], "repaintingScale": 0.5}
    body = {
        "model": "runware:102@1",
        "prompt": "the same person as an astronaut",
        "size": "512x512",
        "acePlusPlus": ace,
    }
    answer = gateway.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    (task,) = gateway.sent(answer)
    assert (task["model"], task["acePlusPlus"]) == ("runware:102@1", ace)
    assert "seedImage" not in task.get("inputs", {})
    assert answer.json()["metadata"]["adjustments"] == []


@pytest.mark.parametrize("path", ["/images/generations", "/images/edits"])
def test_the_editing_example_goes_to_flux_fill_with_its_mask(gateway, image_id, path):
    ace = {"type": "local_editing", "images": [image_id], "masks": [image_id], "repaintingScale": 0.7}
    body = {
        "model": "runware:102@1",
        "prompt": "a red hat",
        "size": "512x512",
        "referenceImages": [image_id],
        "acePlusPlus": ace,
    }
    answer = gateway.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    (task,) = gateway.sent(answer)
    assert (task["model"], task["acePlusPlus"]) == ("runware:102@1", ace)
    assert task["inputs"] == {"seedImage": image_id}, "its reference image goes where this model takes one"


@pytest.mark.parametrize("model", ["srpo", "runware:111@1"])
def test_srpo_refuses_ace_with_the_model_it_needs_and_sends_nothing(gateway, simulator, image_id, model):
    before = simulator.accepted()
    answer = gateway.generate(model=model, acePlusPlus={"images": [image_id]})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "acePlusPlus")
    assert "runware:102@1" in error["message"]
    assert simulator.accepted() == before
