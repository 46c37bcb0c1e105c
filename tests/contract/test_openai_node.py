"""The official OpenAI Node SDK against a live gateway, where there is Node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.images import open_base64, png

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node on this machine")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("node") / "otter.png"
    path.write_bytes(png(320, 320))
    return path


@pytest.fixture
def run(gateway, image):
    def run(case: str) -> dict:
        command = ["node", "node_client.mjs", case, gateway.base_url, str(image)]
        finished = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    return run


def test_a_generation_answers_a_link(run):
    answer = run("generate")
    assert answer["data"][0]["url"].startswith("http://")
    assert answer["request_id"] == answer["id"]


def test_a_generation_answers_base64(run):
    answer = run("base64")
    assert open_base64(answer["data"][0]["b64_json"]).format == "WEBP"
    assert answer["output_format"] == "webp"


def test_extra_keys_reach_runware(run, gateway):
    answer = run("extras")
    sent = gateway.simulator.task(answer["metadata"]["task_uuids"][0])["request"]
    assert (sent["steps"], sent["lora"], sent["seed"], sent["numberResults"]) == (
        28,
        [{"model": "a:1@1", "weight": 0.5}],
        7,
        2,
    )


@pytest.mark.parametrize("case", ["editStream", "editToFile", "editJSON"])
def test_an_edit_takes_every_form_of_image(run, case):
    assert run(case)["size"] == "256x256"


def test_an_edit_takes_a_list_of_streams(run, gateway):
    answer = run("editList")
    sent = gateway.simulator.task(answer["metadata"]["task_uuids"][0])["request"]
    assert len(sent["inputs"]["referenceImages"]) == 2


def test_nested_fields_survive_a_form(run, gateway):
    answer = run("editNested")
    sent = gateway.simulator.task(answer["metadata"]["task_uuids"][0])["request"]
    assert sent["lora"] == [{"model": "a:1@1", "weight": 1}, {"model": "b:1@1", "weight": 0.5}]


def test_models_are_listed_and_found(run):
    assert "riverflow-1" in run("models")["ids"]
    assert run("model")["id"] == run("slash")["id"] == "riverflow-1"


@pytest.mark.parametrize(
    ("case", "error", "status", "code", "param"),
    [
        ("badModel", "NotFoundError", 404, "model_not_found", "model"),
        ("moderation", "BadRequestError", 400, "content_policy_violation", None),
    ],
)
def test_errors_arrive_as_the_sdks_own_exceptions(run, case, error, status, code, param):
    failure = run(case)
    assert (failure["error"], failure["status"], failure["code"], failure["param"]) == (error, status, code, param)
    assert failure["request_id"].startswith("req_")
