"""Requests in Runware's own words: the founding documents' bodies as printed, and every word by itself."""

import json

import pytest

from tests.conftest import FIXTURES
from tests.support.images import data_uri, encode, open_base64, open_bytes, photo, png
from tests.support.upstreams import RecordingTransport

PRINTED = json.loads((FIXTURES / "seeds" / "runware_tasks.json").read_text(encoding="utf-8"))
MADE_BY_US = {"taskUUID", "numberResults", "outputType", "outputFormat", "deliveryMethod", "includeCost"}
ENDPOINTS = ["/images/generations", "/images/edits"]
ADDRESS = "https://assets.runware.ai/assets/inputs/fcdafdde-b9e4-4c3a-bff9-bb45f9174e43.jpg"
OTHER = "https://assets.runware.ai/assets/inputs/8e8eac44-000c-4d32-86f9-ac187e3ee25f.jpg"
PRO = {"model": "sourceful:1@2", "positivePrompt": "a box", "width": 1248, "height": 832}
SRPO = {
    "taskType": "imageInference",
    "model": "runware:111@1",
    "positivePrompt": "a quiet harbor",
    "width": 1024,
    "height": 768,
}
HARBOR = {"model": "runware:100@1", "positivePrompt": "a quiet harbor", "width": 256, "height": 256}


@pytest.fixture(scope="module")
def upstream():
    return RecordingTransport()


@pytest.fixture(scope="module")
def recording_gateway(start_shared_gateway, upstream):
    return start_shared_gateway(parts={"connect": lambda *_: upstream}, SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="false")


def send(gateway, upstream, body, endpoint="/images/edits"):
    """The answer, and the task it became, without what the gateway adds to every one."""
    response = gateway.client.post(endpoint, json=body)
    assert response.status_code == 200, response.text
    return response.json(), {name: value for name, value in upstream.tasks[-1].items() if name not in MADE_BY_US}


def fates(answer: dict) -> dict:
    """What was told, by the caller's name."""
    return {one["param"]: one["mode"] for one in answer["metadata"]["adjustments"]}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("wrap", [lambda task: task, lambda task: [task]], ids=["object", "list"])
@pytest.mark.parametrize("printed", PRINTED, ids=lambda task: f"{task['model']}-{task['taskUUID'][:8]}")
def test_a_printed_body_sent_as_printed_makes_exactly_that_task(recording_gateway, upstream, printed, wrap, endpoint):
    answer, task = send(recording_gateway, upstream, wrap(printed), endpoint)
    assert task == {name: value for name, value in printed.items() if name != "taskUUID"}
    assert fates(answer) == {"taskType": "dropped", "taskUUID": "dropped"}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    "extra",
    [
        {"inputs": {"seedImage": ADDRESS}, "strength": 0.7},
        {"inputs": {"seedImage": ADDRESS, "maskImage": OTHER}, "maskMargin": 64},
        {"inputs": {"seedImage": ADDRESS}, "negativePrompt": "people and boats", "steps": 28, "CFGScale": 3.5, "seed": 7,
         "scheduler": "Euler", "acceleratorOptions": {"teaCache": True}, "lora": [{"model": "civitai:1@1", "weight": 0.8}]},
    ],
    ids=["seed image", "mask", "settings"],
)  # fmt: skip
def test_a_body_of_srpos_page_makes_exactly_that_task(recording_gateway, upstream, extra, endpoint):
    answer, task = send(recording_gateway, upstream, SRPO | extra, endpoint)
    assert task == SRPO | extra
    assert fates(answer) == {"taskType": "dropped"}


def test_srpo_makes_images_from_text_alone_in_its_own_words(recording_gateway, upstream):
    answer, task = send(recording_gateway, upstream, [SRPO], "/images/generations")
    assert (task, answer["size"]) == (SRPO, "1024x768")


@pytest.mark.parametrize(
    "images",
    [
        {"referenceImages": [ADDRESS, OTHER]},
        {"inputs": {"referenceImages": [ADDRESS, OTHER]}},
        {"seedImage": ADDRESS, "inputs": {"image": OTHER}},
        {"image": [ADDRESS, OTHER], "inputs": {"referenceImages": [ADDRESS, OTHER]}},
    ],
    ids=["at the root", "under inputs", "one each", "said twice"],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_images_are_found_where_runwares_clients_put_them(recording_gateway, upstream, images, endpoint):
    answer, task = send(recording_gateway, upstream, PRO | images, endpoint)
    assert task["inputs"] == {"referenceImages": [ADDRESS, OTHER]}
    assert "referenceImages" not in task
    assert fates(answer) == {}


def test_other_members_of_inputs_go_along_with_ours(recording_gateway, upstream):
    body = PRO | {"inputs": {"referenceImages": [ADDRESS], "someMember": 1}}
    _, task = send(recording_gateway, upstream, body)
    assert task["inputs"] == {"referenceImages": [ADDRESS], "someMember": 1}


@pytest.mark.parametrize(
    ("native", "own", "kept"),
    [
        ({"width": 1024, "height": 1024}, {"size": "1152x864"}, {"width": 1152, "height": 864}),
        ({"positivePrompt": "a box"}, {"prompt": "a jar"}, {"positivePrompt": "a jar"}),
        ({"referenceImages": [ADDRESS]}, {"image": OTHER}, {"inputs": {"referenceImages": [OTHER]}}),
        ({"numberResults": 3}, {"n": 2}, {"numberResults": 2}),
        ({"outputFormat": "WEBP"}, {"output_format": "jpg"}, {"outputFormat": "JPG"}),
    ],
    ids=["size", "prompt", "images", "count", "format"],
)
def test_where_both_are_given_openais_word_wins_and_the_other_is_told(recording_gateway, upstream, native, own, kept):
    base = {"model": "sourceful:1@2", "prompt": "a box", "size": "1024x1024", "image": ADDRESS}
    for name in own:
        base.pop(name, None)
    answer, _ = send(recording_gateway, upstream, base | native | own)
    assert kept.items() <= upstream.tasks[-1].items()
    assert fates(answer) == dict.fromkeys(list(native)[:1], "dropped")


@pytest.mark.parametrize(
    ("native", "own"),
    [
        ({"width": 1024, "height": 1024}, {"size": "1024x1024"}),
        ({"numberResults": 2}, {"n": "2"}),
        ({"outputFormat": "JPG"}, {"output_format": "jpeg"}),
        ({"outputType": "URL"}, {"response_format": "url"}),
    ],
    ids=["size", "count", "format", "delivery"],
)
def test_where_both_say_the_same_nothing_is_told(recording_gateway, upstream, native, own):
    base = {"model": "sourceful:1@2", "prompt": "a box", "size": "1024x1024", "image": ADDRESS}
    answer, _ = send(recording_gateway, upstream, base | native | own)
    assert fates(answer) == {}


def native(gateway, **fields):
    """Small and cheap, in Runware's words."""
    return gateway.client.post("/images/generations", json=HARBOR | fields)


@pytest.mark.parametrize(("count", "tasks"), [(12, 1), (20, 1)])
def test_number_results_reaches_as_far_as_runwares_own_limit(gateway, count, tasks):
    response = native(gateway, numberResults=count)
    assert [task["numberResults"] for task in gateway.sent(response)] == [count] * tasks
    assert len(response.json()["data"]) == count


@pytest.mark.parametrize(("quality", "sent"), [(20, 20), (73, 73), (99, 99)])
def test_output_quality_is_honored(gateway, quality, sent):
    (task,) = gateway.sent(native(gateway, outputFormat="JPG", outputQuality=quality))
    assert (task["outputFormat"], task["outputQuality"]) == ("JPG", sent)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"outputQuality": 19}, "outputQuality"),
        ({"outputQuality": 100}, "outputQuality"),
        ({"outputFormat": "TIFF"}, "outputFormat"),
        ({"outputType": "file"}, "outputType"),
        ({"outputType": {"a": 1}}, "outputType"),
        ({"outputType": ["URL"] * 10_000}, "outputType"),
        ({"numberResults": 21}, "numberResults"),
        ({"numberResults": 0}, "numberResults"),
        ({"width": None}, "width"),
        ({"height": 0}, "height"),
        ({"width": "wide"}, "width"),
        ({"positivePrompt": "a"}, "positivePrompt"),
        ({"positivePrompt": 7}, "positivePrompt"),
        ({"deliveryMethod": "later"}, "deliveryMethod"),
        ({"seedImage": "no image at all!"}, "seedImage"),
        ({"inputs": {"seedImage": [ADDRESS, 7]}}, "inputs.seedImage[1]"),
        ({"seedImage": ADDRESS, "maskImage": [ADDRESS, OTHER]}, "maskImage[1]"),
        ({"webhookURL": "ftp://nowhere.example"}, "webhookURL"),
        ({"maskImage": OTHER}, "maskImage"),
        ({"seedImage": "c64351d5-4c59-42f7-95e1-eace013eddab"}, "seedImage"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_told_by_the_name_the_caller_used(gateway, fields, param):
    error = native(gateway, **fields).json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert param in error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "runware:111@1", "referenceImages": [ADDRESS, OTHER]}, "referenceImages"),
        ({"model": "google:2@1", "inputs": {"referenceImages": [ADDRESS]}}, "inputs.referenceImages[0]"),
    ],
    ids=["too many", "none taken"],
)
def test_images_a_model_does_not_take_are_told_by_the_name_the_caller_used(gateway, fields, param):
    assert native(gateway, **fields).json()["error"]["param"] == param


def test_what_is_changed_is_told_by_the_name_the_caller_used(recording_gateway, upstream):
    answer, task = send(recording_gateway, upstream, PRO | {"width": 1000, "height": 1000, "seedImage": ADDRESS})
    (told,) = answer["metadata"]["adjustments"]
    assert (told["param"], told["requested"], told["applied"]) == ("width", "1000x1000", "1024x1024")
    assert (task["width"], task["height"]) == (1024, 1024)


def test_output_types_say_how_images_come_back(gateway):
    assert native(gateway, outputType="URL").json()["data"][0]["url"].startswith("http")
    assert open_base64(native(gateway, outputType="base64Data").json()["data"][0]["b64_json"]).size == (256, 256)
    (item,) = native(gateway, outputType=["dataURI"], outputFormat="WEBP").json()["data"]
    head, _, data = item["url"].partition(",")
    assert (head, open_base64(data).format, "b64_json" in item) == ("data:image/webp;base64", "WEBP", False)


def test_a_data_uri_is_the_same_again_under_its_key(gateway):
    headers = {"Idempotency-Key": "a-data-uri-again"}
    first, second = (
        gateway.client.post("/images/generations", json=HARBOR | {"outputType": "dataURI"}, headers=headers).json()
        for _ in range(2)
    )
    assert first["data"] == second["data"]
    assert first["data"][0]["url"].startswith("data:image/png;base64,")


def test_delivery_method_async_is_respond_async(gateway):
    response = native(gateway, deliveryMethod="async")
    assert (response.status_code, response.json()["object"]) == (202, "request")
    assert response.headers["location"] == f"/v1/requests/{response.json()['id']}"
    assert native(gateway, deliveryMethod="sync").status_code == 200


def test_the_gateways_own_fields_stay_its_own(gateway):
    response = native(
        gateway, taskUUID="592996f9-2bea-4e3a-b050-df6e7953947d", taskType="upscale", includeCost=False, apiKey="secret"
    )
    (task,) = gateway.sent(response)
    assert (task["taskType"], task["includeCost"], "apiKey" in task) == ("imageInference", True, False)
    assert task["taskUUID"] != "592996f9-2bea-4e3a-b050-df6e7953947d"
    assert fates(response.json()) == dict.fromkeys(["taskUUID", "taskType", "includeCost", "apiKey"], "dropped")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    "body", [[], [HARBOR, HARBOR], [[HARBOR]], ["a harbor"]], ids=["none", "two", "nested", "text"]
)
def test_a_list_that_is_not_one_request_is_refused(gateway, body):
    response = gateway.client.post("/images/generations", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "body")


def test_a_form_takes_files_and_texts_under_runwares_names(gateway):
    files = [("seedImage", ("a.png", png(256, 256))), ("maskImage", ("m.png", encode(photo(256, 256, "L"))))]
    data = {"model": "runware:111@1", "positivePrompt": "a quiet harbor", "width": "256", "height": "256"}
    response = gateway.client.post("/images/edits", data=data, files=files)
    assert response.status_code == 200, response.text
    (task,) = gateway.sent(response)
    assert set(task["inputs"]) == {"seedImage", "maskImage"}
    assert (task["positivePrompt"], task["width"]) == ("a quiet harbor", 256)


def test_a_tool_takes_its_image_as_runware_prints_it(gateway):
    body = {"taskType": "upscale", "model": "runware:502@1", "inputs": {"image": data_uri(png(256, 256))}}
    response = gateway.client.post("/images/edits", json=[body])
    assert response.status_code == 200, response.text
    assert set(gateway.sent(response)[0]["inputs"]) == {"image"}
    assert open_bytes(gateway.client.get(response.json()["data"][0]["url"]).content)


def test_a_retry_with_another_task_id_is_the_same_request(gateway, simulator):
    headers = {"Idempotency-Key": "another-task-id"}
    answers = [
        gateway.client.post(
            "/images/generations",
            json=HARBOR | {"taskUUID": f"592996f9-2bea-4e3a-b050-df6e7953947{number}"},
            headers=headers,
        )
        for number in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["data"] == answers[1].json()["data"]
    assert answers[1].headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("name", "called", "param"),
    [("maskImage", "image", "maskImage"), ("mask", "image", "mask"), ("mask", "seedImage", "mask")],
)
def test_an_error_names_a_file_as_the_form_did(gateway, name, called, param):
    files = [(called, ("a.png", png(256, 256))), (name, ("m.png", png(100, 300)))]
    error = gateway.client.post("/images/edits", data={"prompt": "a hat"}, files=files).json()["error"]
    assert error["param"] == param
    assert error["message"].startswith(f"`{param}` is 100x300")
