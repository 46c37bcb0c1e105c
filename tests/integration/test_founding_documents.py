"""The requests printed in the founding documents, each asked for in OpenAI's words."""

import json

import pytest

from app.catalog.model import FixedSizes
from app.domain.request import SizeRequest
from app.planning.sizing import choose_size
from tests.conftest import FIXTURES
from tests.support.upstreams import RecordingTransport

PRINTED = json.loads((FIXTURES / "seeds" / "runware_tasks.json").read_text(encoding="utf-8"))
SLUGS = {"sourceful:1@0": "riverflow-1-mini", "sourceful:1@2": "riverflow-1-pro"}
OWN = {"taskUUID", "numberResults", "outputType", "outputFormat", "deliveryMethod", "includeCost"}


@pytest.fixture(scope="module")
def upstream():
    return RecordingTransport()


@pytest.fixture(scope="module")
def recording_gateway(start_shared_gateway, upstream):
    return start_shared_gateway(parts={"connect": lambda *_: upstream}, SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="false")


@pytest.mark.parametrize("printed", PRINTED, ids=lambda task: f"{task['model']}-{task['taskUUID'][:8]}")
def test_the_openai_request_that_means_the_same_becomes_exactly_this_task(recording_gateway, upstream, printed):
    response = recording_gateway.client.post(
        "/images/edits",
        json={
            "model": SLUGS[printed["model"]],
            "prompt": printed["positivePrompt"],
            "size": f"{printed['width']}x{printed['height']}",
            "images": [{"image_url": url} for url in printed["inputs"]["referenceImages"]],
        },
    )
    assert response.status_code == 200, response.text
    sent = upstream.tasks[-1]
    assert {name: value for name, value in sent.items() if name not in OWN} == {
        name: value for name, value in printed.items() if name != "taskUUID"
    }
    assert response.json()["metadata"]["adjustments"] == []


def test_seven_to_one_between_four_and_eight_to_one_is_eight_to_one():
    sizes = FixedSizes(kind="fixed", tiers={"1K": ["1024x1024", "2048x512", "3072x384"]})
    assert choose_size(sizes, SizeRequest(ratio=7.0)).size == (3072, 384)


RIVERFLOW = [
    ("1:1", "1024x1024"), ("4:3", "1152x864"), ("3:4", "864x1152"), ("16:9", "1280x720"), ("9:16", "720x1280"),
    ("3:2", "1248x832"), ("2:3", "832x1248"), ("7:3", "1512x648"), ("3:7", "648x1512"), ("9:7", "1152x896"), ("7:9", "896x1152"),
]  # fmt: skip


@pytest.mark.parametrize(("ratio", "size"), RIVERFLOW)
@pytest.mark.parametrize("model", ["riverflow-1-mini", "riverflow-1", "riverflow-1-pro"])
def test_each_of_the_eleven_riverflow_sizes_follows_from_its_shape(recording_gateway, model, ratio, size):
    for fields in (
        {"aspect_ratio": ratio},
        {"size": ratio},
        {"size": size},
        {"aspect_ratio": ratio, "resolution": "1K"},
    ):
        body = {"model": model, "prompt": "a box", "image": "c64351d5-4c59-42f7-95e1-eace013eddab"} | fields
        answer = recording_gateway.client.post("/images/edits", json=body).json()
        assert answer["size"] == size
        assert answer["metadata"]["adjustments"] == []
