"""The examples Lumenfall prints for its users, with nothing changed but the host."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from openai import OpenAI

from tests.support.images import png

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def base_url(gateway):
    return f"{gateway.origin}/openai/v1"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("lumenfall") / "source.png"
    path.write_bytes(png(512, 384))
    return path


def run(command: list[str], folder: Path) -> dict:
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(finished.stdout)


def test_curl_edits_with_riverflow_1(base_url, source):
    command = ["curl", "-s", "-X", "POST", f"{base_url}/images/edits", "-H", "Authorization: Bearer test-key"]
    command += [
        "-F",
        "model=riverflow-1",
        "-F",
        "image=@source.png",
        "-F",
        "prompt=Add a starry night sky to this image",
        "-F",
        "size=1024x1024",
    ]
    answer = run(command, source.parent)
    assert answer["size"] == "1024x1024"
    assert answer["data"][0]["url"]


def test_curl_generates_with_riverflow_1_mini(base_url, source):
    body = '{"model": "riverflow-1-mini", "prompt": "A serene mountain landscape at sunset", "size": "1024x1024"}'
    command = ["curl", "-s", "-X", "POST", f"{base_url}/images/generations", "-H", "Authorization: Bearer test-key"]
    answer = run([*command, "-H", "Content-Type: application/json", "-d", body], source.parent)
    assert answer["data"][0]["url"]
    assert [(a["param"], a["mode"]) for a in answer["metadata"]["adjustments"]] == [("image", "emulated")]


def test_python_generates_and_edits(base_url, source):
    client = OpenAI(api_key="test-key", base_url=base_url)
    response = client.images.generate(
        model="riverflow-1-mini", prompt="A serene mountain landscape at sunset", size="1024x1024"
    )
    assert response.data[0].url
    with source.open("rb") as image:
        response = client.images.edit(
            model="riverflow-1-mini", image=image, prompt="Add a starry night sky to this image", size="1024x1024"
        )
    assert response.data[0].url
    client.close()


SCRIPT = """
import OpenAI from 'openai';
import fs from 'fs';
const client = new OpenAI({ apiKey: 'test-key', baseURL: BASE_URL });
const one = await client.images.generate({
  model: 'riverflow-1-mini', prompt: 'A serene mountain landscape at sunset', size: '1024x1024' });
const two = await client.images.edit({
  model: 'riverflow-1-mini', image: fs.createReadStream(SOURCE),
  prompt: 'Add a starry night sky to this image', size: '1024x1024' });
console.log(JSON.stringify({ urls: [one.data[0].url, two.data[0].url] }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")
def test_javascript_generates_and_edits(base_url, source):
    script = SCRIPT.replace("BASE_URL", json.dumps(base_url)).replace("SOURCE", json.dumps(str(source)))
    answer = run(["node", "--input-type=module", "-e", script], HERE)
    assert all(url.startswith("http") for url in answer["urls"])
