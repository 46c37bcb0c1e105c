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
    def run(case: str, of=None, key: str = "test-key") -> dict:
        command = ["node", "node_client.mjs", case, (of or gateway).base_url, str(image), key]
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


@pytest.fixture(scope="module")
def house(start_shared_gateway):
    """A gateway whose administrator makes keys."""
    return start_shared_gateway(SPILLWAY_ADMIN_KEYS="boss")


@pytest.fixture
def make_key(house):
    def make(name: str, **limits: object) -> str:
        headers = {"Authorization": "Bearer boss"}
        made = house.client.post("/keys", json={"name": name, **limits}, headers=headers)
        return made.json()["key"]

    return make


def test_a_spent_budget_is_told_and_not_tried_again(run, house, make_key):
    failure = run("generate", house, make_key("poor", budget=0))
    assert (failure["error"], failure["status"], failure["code"]) == ("APIError", 402, "budget_exceeded")
    assert failure["type"] == "insufficient_quota"
    assert failure["retry_after"] is None


def test_a_model_the_key_may_not_use_is_told(run, house, make_key):
    failure = run("generate", house, make_key("narrow", models=["riverflow-*"]))
    assert (failure["error"], failure["status"]) == ("PermissionDeniedError", 403)
    assert (failure["code"], failure["param"]) == ("model_not_allowed", "model")


def test_too_many_requests_are_told_with_how_long_to_wait(run, house, make_key):
    key = make_key("slow", rpm=1)
    assert run("generate", house, key)["data"]
    failure = run("generate", house, key)
    assert (failure["error"], failure["status"], failure["code"]) == ("RateLimitError", 429, "rate_limit_exceeded")
    assert 1 <= int(failure["retry_after"]) <= 60


def test_the_sdk_waits_as_long_as_it_is_told_and_succeeds(run, house, make_key):
    answer = run("again", house, make_key("steady", images_per_minute=10))
    assert len(answer["data"]) == 1
    # Ten a minute: after ten at once the next one is there six seconds later.
    assert answer["elapsed_ms"] > 5900
