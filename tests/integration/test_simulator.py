"""The simulator by itself: as strict as Runware is documented to be, deterministic, and honest in its bytes."""

import uuid

import pytest

from app.simulator.rules import load_rules
from app.simulator.validation import validate
from tests.support import loopback
from tests.support.images import data_uri, encode, open_base64, open_bytes, photo, png
from tests.support.waiting import seen


@pytest.fixture(scope="module")
def post(simulator):
    with loopback.client(base_url=simulator.url, headers={"Authorization": "Bearer any"}, timeout=30) as client:
        yield lambda *tasks, **headers: client.post("/v1", json=list(tasks), headers=headers)


def task(**changes: object) -> dict:
    base = {
        "taskType": "imageInference", "taskUUID": str(uuid.uuid4()), "model": "runware:100@1", "positivePrompt": "a lighthouse",
        "width": 256, "height": 256,
    }  # fmt: skip
    return {name: value for name, value in (base | changes).items() if value is not None}


REFERENCE = data_uri(png(320, 320))
RIVERFLOW = {"model": "sourceful:1@0", "width": 1024, "height": 1024}


@pytest.mark.parametrize(
    ("changes", "code", "parameter"),
    [
        ({"width": 100}, "invalidWidth", "width"),
        ({"width": 2064}, "invalidWidth", "width"),
        ({"height": 257}, "invalidHeight", "height"),
        ({"width": None}, "missingDimensionParameters", ["width", "height"]),
        ({"width": None, "height": None}, "missingDimensionParameters", ["width", "height"]),
        ({"positivePrompt": None}, "missingPositivePrompt", "positivePrompt"),
        ({"positivePrompt": "x"}, "invalidPositivePromptLength", "positivePrompt"),
        ({"positivePrompt": "x" * 3001}, "invalidPositivePromptLength", "positivePrompt"),
        ({"model": "nobody:1@1"}, "invalidModel", "model"),
        ({"taskUUID": "seven"}, "invalidTaskUUID", "taskUUID"),
        ({"colour": "red"}, "unknownParameter", "colour"),
        ({"resolution": "1K"}, "unsupportedParameter", "resolution"),
        ({"steps": "many"}, "invalidSteps", "steps"),
        ({"scheduler": "Nonsense"}, "invalidScheduler", "scheduler"),
        ({"numberResults": 21}, "invalidNumberResults", "numberResults"),
        ({"numberResults": 0}, "invalidNumberResults", "numberResults"),
        ({"outputFormat": "GIF"}, "invalidOutputFormat", "outputFormat"),
        ({"outputQuality": 100}, "invalidOutputQuality", "outputQuality"),
        ({"outputQuality": 19}, "invalidOutputQuality", "outputQuality"),
        ({"outputType": "file"}, "invalidOutputType", "outputType"),
        ({"deliveryMethod": "later"}, "invalidDeliveryMethod", "deliveryMethod"),
        ({"ttl": 59}, "invalidTtl", "ttl"),
        ({"seed": -1}, "invalidSeed", "seed"),
        ({"model": "runware:111@1", "steps": 51}, "invalidSteps", "steps"),
        (RIVERFLOW, "invalidReferenceImages", "inputs.referenceImages"),
        (
            RIVERFLOW | {"width": 1184, "height": 880, "inputs": {"referenceImages": [REFERENCE]}},
            "invalidWidth",
            "width",
        ),
        (
            RIVERFLOW | {"inputs": {"referenceImages": [REFERENCE] * 11}},
            "invalidReferenceImages",
            "inputs.referenceImages",
        ),
        (
            RIVERFLOW | {"inputs": {"referenceImages": ["data:image/png;base64,AAAA"]}},
            "failedToTransferImage",
            "inputs.referenceImages",
        ),
        (
            RIVERFLOW | {"inputs": {"referenceImages": [data_uri(png(100, 100))]}},
            "invalidReferenceImages",
            "inputs.referenceImages",
        ),
        (RIVERFLOW | {"inputs": {"referenceImages": [REFERENCE]}, "seed": 7}, "unsupportedParameter", "seed"),
        ({"inputs": {"referenceImages": [REFERENCE]}}, "unsupportedParameter", "inputs.referenceImages"),
        ({"model": "bfl:5@1", "numberResults": 2}, "invalidNumberResults", "numberResults"),
        ({"model": "bytedance:5@0", "width": 300, "height": 300}, "invalidWidth", "width"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_task_is_refused_in_runwares_own_shape(post, changes, code, parameter):
    wrong = task(**changes)
    response = post(wrong)
    assert response.status_code == 400
    error = response.json()["errors"][0]
    assert (error["code"], error["parameter"]) == (code, parameter)
    assert error.get("taskUUID") == wrong["taskUUID"]
    assert response.json()["data"] == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"[7]", b"nonsense"])
def test_a_body_that_is_no_array_of_tasks_is_refused(simulator, body):
    response = loopback.post(f"{simulator.url}/v1", content=body, headers={"Authorization": "Bearer any"})
    assert response.status_code == 400


def test_a_key_is_needed_as_header_or_as_first_task(simulator):
    ping = {"taskType": "ping", "ping": True}
    assert loopback.post(f"{simulator.url}/v1", json=[ping]).status_code == 401
    assert loopback.post(f"{simulator.url}/v1", json=[ping]).json()["errors"][0]["code"] == "invalidApiKey"
    answer = loopback.post(f"{simulator.url}/v1", json=[{"taskType": "authentication", "apiKey": "k"}, ping])
    assert answer.json()["data"] == [{"taskType": "ping", "pong": True}]


@pytest.mark.parametrize("format_", ["PNG", "JPG", "WEBP", "png", "JPEG"])
def test_bytes_are_really_in_the_format_and_exactly_the_size(post, format_):
    item = post(task(outputFormat=format_, width=272, height=144)).json()["data"][0]
    response = loopback.get(item["imageURL"])
    image = open_bytes(response.content)
    assert image.format == {"JPG": "JPEG"}.get(format_.upper(), format_.upper())
    assert image.size == (272, 144)
    assert response.headers["content-type"] == f"image/{image.format.lower()}"


def test_images_are_deterministic_from_prompt_seed_and_size(post):
    def make(**changes: object) -> str:
        return post(task(outputType="base64Data", outputFormat="PNG", **changes)).json()["data"][0]["imageBase64Data"]

    assert make(seed=5) == make(seed=5)
    assert len({make(seed=5), make(seed=6), make(seed=5, positivePrompt="a boat"), make(seed=5, width=272)}) == 4


def test_an_edit_visibly_changes_its_reference_only_inside_the_mask(post):
    image = photo(256, 256)
    mask = photo(256, 256, "L").point(lambda _: 0)
    mask.paste(255, (0, 0, 128, 256))
    inputs = {"seedImage": data_uri(encode(image)), "maskImage": data_uri(encode(mask))}
    item = post(task(inputs=inputs, outputType="base64Data", outputFormat="PNG")).json()["data"][0]
    result = open_base64(item["imageBase64Data"]).convert("RGB")
    assert result.crop((128, 0, 256, 256)).tobytes() == image.crop((128, 0, 256, 256)).tobytes()
    assert result.crop((0, 0, 128, 256)).tobytes() != image.crop((0, 0, 128, 256)).tobytes()


def test_cost_seed_and_safety_appear_when_they_should(post):
    bare = post(task()).json()["data"][0]
    assert "cost" not in bare
    assert "NSFWContent" not in bare
    assert "seed" in bare
    full = post(task(includeCost=True, safety={"checkContent": True})).json()["data"][0]
    assert (full["cost"], full["NSFWContent"]) == (0.0006, False)
    gpt = post(task(model="openai:gpt-image@2", width=1024, height=1024)).json()["data"][0]
    assert "seed" not in gpt


def test_a_used_task_id_conflicts_and_the_first_can_be_collected(post):
    first = task(deliveryMethod="async", numberResults=2, positivePrompt="a boat [sim:slow=1.5]")
    assert post(first).json()["data"] == [{"taskType": "imageInference", "taskUUID": first["taskUUID"]}]
    again = post(first)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "conflictTaskUUID")
    question = {"taskType": "getResponse", "taskUUID": first["taskUUID"]}
    assert post(question).json()["data"][-1]["status"] == "processing"
    data = seen(
        lambda: post(question).json()["data"],
        lambda data: not any(item["status"] == "processing" for item in data),
    )
    assert [item["status"] for item in data] == ["success", "success"]
    details = post({"taskType": "getTaskDetails", "taskUUID": first["taskUUID"]}).json()["data"][0]
    assert (details["request"], len(details["response"]["data"])) == ([first], 2)


def test_an_unknown_task_is_an_empty_answer(post):
    assert post({"taskType": "getResponse", "taskUUID": str(uuid.uuid4())}).json() == {"data": []}


def test_an_uploaded_image_can_be_used_by_its_id(post):
    upload = post({"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": REFERENCE}).json()["data"][0]
    response = post(task(**RIVERFLOW, inputs={"referenceImages": [upload["imageUUID"]]}))
    assert response.status_code == 200


def test_several_tasks_in_one_array_stand_for_themselves(post):
    good, bad = task(), task(width=7)
    response = post(good, bad)
    assert response.status_code == 200
    assert [item["taskUUID"] for item in response.json()["data"]] == [good["taskUUID"]]
    assert [error["taskUUID"] for error in response.json()["errors"]] == [bad["taskUUID"]]


@pytest.mark.parametrize("air", sorted(load_rules()))
def test_every_models_own_sizes_are_legal_for_it(air):
    rules = load_rules()[air]
    tiers = rules.dimensions.get("tiers") or {}
    for width, height in [size for sizes in tiers.values() for size in sizes]:
        wire = {
            "taskType": "imageInference",
            "taskUUID": str(uuid.uuid4()),
            "model": air,
            "width": width,
            "height": height,
        }
        assert not [fault for fault in validate(wire) if fault.parameter in {"width", "height"}]


def test_held_tasks_go_on_one_by_one_when_they_are_released(post, simulator):
    prompt = f"a harbor {uuid.uuid4().hex} [sim:hold]"
    for _ in range(3):
        post(task(positivePrompt=prompt, deliveryMethod="async"))

    def release(count: int) -> int:
        query = {"prompt": prompt, "count": count}
        return simulator.client.post(f"{simulator.url}/_simulator/release", params=query).json()["released"]

    def finished() -> int:
        return sum(one["finished"] for one in simulator.tasks(prompt))

    # The tasks wait from a moment after they were accepted.
    assert seen(lambda: release(1), bool) == 1
    assert seen(finished, lambda count: count >= 1) == 1
    remaining = [seen(lambda: release(1), bool), seen(lambda: release(5), bool)]
    assert remaining == [1, 1]
    assert seen(finished, lambda count: count >= 3) == 3
    assert release(1) == 0
