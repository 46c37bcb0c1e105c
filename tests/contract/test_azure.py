"""Azure's classes of the official SDKs against a live gateway: they put the model into the address and the key elsewhere."""

import json
import shutil
import subprocess
from pathlib import Path

import openai
import pytest

from tests.support.images import png

HERE = Path(__file__).parent
SMALL = {"prompt": "a lighthouse", "size": "256x256"}


def client(gateway, **more) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=gateway.origin,
        api_key="test-key",
        api_version="2025-04-01-preview",
        max_retries=0,
        timeout=60,
        **more,
    )


def executed(answer) -> str:
    return answer.model_extra["metadata"]["model"]


def test_the_model_becomes_the_deployment(gateway):
    with client(gateway) as azure:
        assert executed(azure.images.generate(model="flux.2-pro", **SMALL)) == "flux.2-pro"
        assert executed(azure.images.edit(model="flux.2-pro", image=png(320, 320), **SMALL)) == "flux.2-pro"


def test_a_deployment_of_the_client_wins(gateway):
    with client(gateway, azure_deployment="flux.2-pro") as azure:
        assert executed(azure.images.generate(model="gpt-image-1", response_format="url", **SMALL)) == "flux.2-pro"
        assert executed(azure.images.edit(image=png(320, 320), **SMALL)) == "flux.2-pro"


def test_a_stream_and_a_bare_model_work(gateway):
    with client(gateway) as azure:
        events = list(azure.images.generate(model="flux.2-pro", stream=True, **SMALL))
        assert [event.type for event in events] == ["image_generation.completed"]
        assert executed(azure.images.generate(**SMALL)) == "flux.1-schnell"
        assert len(azure.models.list().data) > 50


def test_a_token_of_the_directory_is_a_key_too(gateway):
    with openai.AzureOpenAI(
        azure_endpoint=gateway.origin, azure_ad_token="test-key", api_version="2024-02-01", max_retries=0
    ) as azure:
        assert executed(azure.images.generate(model="flux.2-pro", **SMALL)) == "flux.2-pro"


def test_a_wrong_key_is_told(gateway):
    with client(gateway).with_options(api_key="wrong") as azure, pytest.raises(openai.AuthenticationError):
        azure.images.generate(model="flux.2-pro", **SMALL)


def test_the_newer_address_works_with_the_plain_class(gateway):
    with openai.OpenAI(base_url=f"{gateway.origin}/openai/v1/", api_key="test-key", max_retries=0) as plain:
        assert executed(plain.images.generate(model="flux.2-pro", **SMALL)) == "flux.2-pro"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
@pytest.mark.parametrize("case", ["generate", "deployment", "edit", "editByModel"])
def test_the_node_class_works(gateway, tmp_path, case):
    answer = run_node(gateway, tmp_path, case)
    assert (answer["metadata"]["model"], len(answer["data"]), answer["request_id"]) == ("flux.2-pro", 1, answer["id"])


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
def test_the_node_class_lists_models(gateway, tmp_path):
    assert run_node(gateway, tmp_path, "models")["count"] > 50


def run_node(gateway, folder: Path, case: str) -> dict:
    (folder / "otter.png").write_bytes(png(320, 320))
    command = ["node", "azure_client.mjs", case, gateway.origin, str(folder / "otter.png")]
    finished = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)
