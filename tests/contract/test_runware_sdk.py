"""The official Runware SDK against the simulator, unmodified: the judge of "speaks Runware"."""

import asyncio

import pytest
import runware
from runware import Runware

from tests.support import loopback
from tests.support.images import data_uri, open_bytes, png


def run(simulator, parameters: dict, **options: object) -> list:
    async def work() -> list:
        async with Runware(api_key="any", transport="rest", http_base_url=f"{simulator.url}/v1") as client:
            return await client.run(parameters, **options)

    return asyncio.run(work())


TASK = {
    "taskType": "imageInference",
    "model": "runware:100@1",
    "positivePrompt": "a lighthouse",
    "width": 256,
    "height": 256,
}


def test_a_task_is_submitted_polled_and_delivered(simulator):
    results = run(simulator, TASK | {"numberResults": 2, "includeCost": True, "outputFormat": "PNG"})
    assert len(results) == 2
    first = results[0]
    url = first["imageURL"] if isinstance(first, dict) else first.imageURL
    assert open_bytes(loopback.get(url).content).size == (256, 256)


def test_a_synchronous_task_with_images_is_delivered(simulator):
    task = {
        "taskType": "imageInference",
        "model": "sourceful:1@0",
        "positivePrompt": "make it night",
        "width": 1024,
        "height": 1024,
        "inputs": {"referenceImages": [data_uri(png(320, 320))]},
        "deliveryMethod": "sync",
    }
    assert len(run(simulator, task)) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width": 100}, "width"),
        ({"model": "nobody:1@1"}, "model"),
        ({"colour": "red"}, "colour"),
        ({"positivePrompt": "x"}, "positivePrompt"),
    ],
    ids=["width", "model", "unknown field", "short prompt"],
)
def test_a_wrong_task_is_the_sdks_own_error_and_names_the_field(simulator, change, named):
    with pytest.raises(runware.RunwareError) as caught:
        run(simulator, TASK | change)
    assert named in str(caught.value)
