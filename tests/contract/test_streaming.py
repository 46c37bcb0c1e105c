"""Streams, as the official SDKs parse them: one event per image the moment it exists."""

import shutil
import subprocess
import time
from pathlib import Path

import openai
import pytest

from tests.support.images import open_base64, png
from tests.support.processes import unique
from tests.support.waiting import seen


@pytest.fixture(scope="module")
def client(gateway):
    with openai.OpenAI(api_key="test-key", base_url=gateway.base_url, max_retries=0, timeout=60) as client:
        yield client


def test_a_generation_streams_one_completed_event_per_image(client, gateway):
    events = list(
        client.images.generate(
            model="flux.1-schnell", prompt="a dune", size="256x256", n=3, stream=True, extra_body={"seed": 7}
        )
    )
    assert [event.type for event in events] == ["image_generation.completed"] * 3
    assert sorted((event.index, event.seed) for event in events) == [(0, 7), (1, 8), (2, 9)]
    for event in events:
        assert open_base64(event.b64_json).size == (256, 256)
        assert (event.size, event.output_format, event.usage.total_tokens) == ("256x256", "png", 0)
        assert event.metadata["cost"] == 0.0006
        assert len(event.metadata["task_uuids"]) == 1
        assert len(gateway.simulator.task(event.metadata["task_uuids"][0])["request"]["taskUUID"]) == 36


def test_an_edit_streams_its_own_kind_of_event(client):
    (event,) = client.images.edit(
        model="riverflow-1", image=png(400, 300), prompt="a hat", stream=True, output_format="webp"
    )
    assert event.type == "image_edit.completed"
    assert open_base64(event.b64_json).format == "WEBP"


def test_an_image_is_sent_before_the_slower_ones_exist(start_gateway):
    gateway = start_gateway(SPILLWAY_SYNC_WAIT="0.2")
    with openai.OpenAI(api_key="test-key", base_url=gateway.base_url, max_retries=0) as client:
        started = time.monotonic()
        stream = client.images.generate(
            prompt="a dune [sim:fail-odd] [sim:slow=4]", size="256x256", stream=True, extra_body={"seed": 2}
        )
        assert time.monotonic() - started < 4, "the head must not wait for the first image"
        assert len(list(stream)) == 1


def test_what_can_be_refused_is_refused_before_the_first_byte(client):
    with pytest.raises(openai.BadRequestError):
        client.images.generate(prompt="a dune", size="huge", stream=True)
    with pytest.raises(openai.NotFoundError):
        client.images.generate(model="nobody", prompt="a dune", stream=True)


def test_a_failure_ends_the_stream_after_the_images_that_were_paid_for(client):
    stream = client.images.generate(
        model="flux.2-pro", prompt="a dune [sim:fail-odd]", size="256x256", n=4, stream=True, extra_body={"seed": 10}
    )
    seeds: list[int] = []
    with pytest.raises(openai.APIError) as caught:
        seeds.extend(event.seed for event in stream)
    assert sorted(seeds) == [10, 12]
    assert caught.value.code == "provider_error"


def test_a_refusal_by_moderation_arrives_in_the_stream(client):
    with pytest.raises(openai.APIError) as caught:
        list(client.images.generate(prompt="a dune [sim:moderation]", size="256x256", stream=True))
    assert caught.value.code == "content_policy_violation"


def test_adjustments_stand_in_the_head_and_in_every_event(gateway):
    body = {"prompt": "a dune", "size": "1000x1000", "stream": True, "partial_images": 2, "response_format": "url"}
    with gateway.client.stream("POST", "/images/generations", json=body) as response:
        text = response.read().decode()
    assert response.headers["content-type"].startswith("text/event-stream")
    told = set(response.headers["x-spillway-adjustments"].split("; "))
    assert told == {"size=changed", "partial_images=dropped", "response_format=dropped"}
    assert text.endswith("\n\n")
    assert '"param":"partial_images"' in text


def test_a_caller_who_leaves_does_not_end_paid_work(gateway):
    prompt = f"{unique()} [sim:slow=0.4]"
    body = {"prompt": prompt, "size": "256x256", "n": 3, "stream": True}
    with gateway.client.stream("POST", "/images/generations", json=body):
        pass
    assert seen(lambda: gateway.simulator.made(prompt), lambda made: made == 3) == 3


SCRIPT = """
import OpenAI from 'openai';
const client = new OpenAI({ apiKey: 'test-key', baseURL: BASE_URL });
const stream = await client.images.generate({ prompt: 'a dune', size: '256x256', n: 2, stream: true });
for await (const event of stream) console.log(event.type, event.b64_json.length > 1000);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
def test_the_node_sdk_reads_the_stream(gateway):
    script = SCRIPT.replace("BASE_URL", f"'{gateway.base_url}'")
    command = ["node", "--input-type=module", "-e", script]
    finished = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=True
    )
    assert finished.stdout.splitlines() == ["image_generation.completed true"] * 2
