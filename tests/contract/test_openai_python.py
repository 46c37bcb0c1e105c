"""The official OpenAI Python SDK against a live gateway: the judge of "compatible"."""

import io
import time

import openai
import pytest

from tests.support import loopback
from tests.support.images import encode, open_base64, open_bytes, photo, png


@pytest.fixture(scope="module")
def client(gateway):
    with openai.OpenAI(api_key="test-key", base_url=gateway.base_url, max_retries=0, timeout=60) as client:
        yield client


def fetch(url: str) -> tuple[bytes, str]:
    response = loopback.get(url)
    assert response.status_code == 200
    return response.content, response.headers["content-type"]


def test_a_generation_answers_a_link_by_default(client):
    answer = client.images.generate(prompt="a lighthouse", size="256x256")
    data, kind = fetch(answer.data[0].url)
    assert kind == "image/png"
    assert open_bytes(data).size == (256, 256)
    assert (answer.size, answer.output_format, answer.data[0].b64_json) == ("256x256", "png", None)


def test_a_generation_answers_base64_when_asked(client):
    answer = client.images.generate(prompt="a lighthouse", size="256x256", response_format="b64_json")
    image = open_base64(answer.data[0].b64_json)
    assert (image.format, image.size) == ("PNG", (256, 256))
    assert answer.data[0].url is None


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp", "gif", "avif"])
@pytest.mark.parametrize("compression", [None, 0, 55, 100])
def test_the_bytes_are_what_the_label_says(client, response_format, output_format, compression):
    extra = {} if compression is None else {"output_compression": compression}
    answer = client.images.generate(
        model="flux.1-schnell",
        prompt="a harbor",
        size="256x192",
        response_format=response_format,
        output_format=output_format if output_format != "avif" else openai.omit,
        extra_body={"output_format": output_format},
        **extra,
    )
    item = answer.data[0]
    data = io.BytesIO(fetch(item.url)[0]) if item.url else None
    image = open_bytes(data.getvalue()) if data else open_base64(item.b64_json)
    assert image.format == output_format.upper()
    assert image.size == (256, 192)
    assert (answer.output_format, answer.size) == (output_format, "256x192")


def test_a_lower_compression_makes_a_smaller_file(client):
    sizes = []
    for compression in (5, 60, 100):
        answer = client.images.generate(
            prompt="a forest",
            size="512x512",
            response_format="b64_json",
            output_format="jpeg",
            output_compression=compression,
        )
        sizes.append(len(answer.data[0].b64_json))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2] / 2


@pytest.mark.parametrize(("model", "tasks"), [("flux.1-schnell", 1), ("flux.2-pro", 4)])
def test_n_images_come_in_order_natively_or_from_parallel_tasks(client, gateway, model, tasks):
    answer = client.images.generate(model=model, prompt="a dune", size="256x256", n=4, extra_body={"seed": 7})
    assert [item.seed for item in answer.data] == [7, 8, 9, 10]
    assert len(answer.metadata["task_uuids"]) == tasks
    assert len({item.url for item in answer.data}) == 4


def test_an_edit_takes_an_open_file(client, tmp_path):
    path = tmp_path / "otter.png"
    path.write_bytes(png(400, 300))
    with path.open("rb") as file:
        answer = client.images.edit(model="riverflow-1-mini", image=file, prompt="add a hat")
    assert answer.size == "1152x864"
    assert open_bytes(fetch(answer.data[0].url)[0]).size == (1152, 864)


@pytest.mark.parametrize(
    "image",
    [png(), ("a.png", png()), ("a.png", png(), "application/octet-stream"), io.BytesIO(png()), [png()]],
    ids=["bytes", "named", "octet-stream", "stream", "list of one"],
)
def test_an_edit_takes_an_image_in_every_form_the_sdk_sends(client, image):
    answer = client.images.edit(model="flux.2-pro", image=image, prompt="make it night", size="256x256")
    assert answer.size == "256x256"


def test_an_edit_sends_all_images_in_order(client, gateway):
    images = [
        ("one.png", png(320, 320)),
        ("two.jpg", encode(photo(330, 330), "JPEG")),
        ("three.webp", encode(photo(340, 340), "WEBP")),
    ]
    answer = client.images.edit(model="riverflow-1", image=images, prompt="combine them")
    references = gateway.simulator.task(answer.metadata["task_uuids"][0])["request"]["inputs"]["referenceImages"]
    assert [(one["format"], one["width"]) for one in references] == [("PNG", 320), ("JPEG", 330), ("WEBP", 340)]


def test_a_mask_is_sent_in_runwares_convention_and_obeyed(client):
    image = photo(256, 256)
    mask = image.convert("RGBA")
    mask.paste((0, 0, 0, 0), (128, 0, 256, 256))
    answer = client.images.edit(
        model="flux.1-dev",
        image=("a.png", encode(image)),
        mask=("m.png", encode(mask)),
        prompt="a window",
        size="256x256",
        response_format="b64_json",
    )
    result = open_base64(answer.data[0].b64_json).convert("RGB")
    left, right = (0, 0, 128, 256), (128, 0, 256, 256)
    assert result.crop(left).tobytes() == image.crop(left).tobytes()
    assert result.crop(right).tobytes() != image.crop(right).tobytes()


def test_unknown_parameters_reach_runware_under_their_own_names(client, gateway):
    extra = {
        "seed": 7,
        "steps": 28,
        "lora": [{"model": "runware:120@2", "weight": 0.8}],
        "acceleratorOptions": {"teaCache": True, "teaCacheDistance": 0.4},
    }
    answer = client.images.generate(model="flux.1-dev-srpo", prompt="a portrait", size="256x256", extra_body=extra)
    sent = gateway.simulator.task(answer.metadata["task_uuids"][0])["request"]
    assert {name: sent[name] for name in extra} == extra


def test_unknown_parameters_survive_a_form(client, gateway):
    extra = {
        "steps": 28,
        "lora": [{"model": "a:1@1", "weight": 1}, {"model": "b:1@1", "weight": 0.5}],
        "ultralytics": {"confidence": 0.5},
    }
    answer = client.images.edit(model="flux.1-dev", image=png(), prompt="a portrait", size="256x256", extra_body=extra)
    sent = gateway.simulator.task(answer.metadata["task_uuids"][0])["request"]
    assert {name: sent[name] for name in extra} == extra


def test_the_answer_tells_model_cost_and_tasks(client):
    raw = client.images.with_raw_response.generate(model="RUNWARE/Riverflow-1.1", prompt="a box", n=2)
    answer = raw.parse()
    assert abs(answer.created - time.time()) < 60
    assert answer.id == raw.headers["x-request-id"] == raw.headers["x-spillway-request-id"] == answer._request_id
    metadata = answer.metadata
    assert (metadata["model"], metadata["executed_model"]) == ("riverflow-1", "runware/sourceful:1@1")
    assert (metadata["provider"], metadata["provider_name"]) == ("runware", "Runware")
    assert (metadata["cost"], metadata["cost_currency"]) == (0.078, "USD")
    assert raw.headers["x-spillway-cost"] == "0.078"
    assert raw.headers["x-spillway-model"] == "riverflow-1"
    assert raw.headers["x-spillway-provider"] == "runware"
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert [attempt["outcome"] for attempt in metadata["attempts"]] == ["ok"]
    assert metadata["adjustments"][0]["mode"] == "emulated"


@pytest.mark.parametrize(
    ("kwargs", "error", "code", "param"),
    [
        ({"model": "riverflow-9"}, openai.NotFoundError, "model_not_found", "model"),
        ({"n": 0}, openai.BadRequestError, "invalid_value", "n"),
        ({"size": "huge"}, openai.BadRequestError, "invalid_value", "size"),
        ({"prompt": "x" * 5000}, openai.BadRequestError, "string_above_max_length", "prompt"),
        ({"prompt": "an apple [sim:moderation]"}, openai.BadRequestError, "content_policy_violation", None),
        ({"prompt": "an apple [sim:no-credits]"}, openai.APIStatusError, "insufficient_quota", None),
        ({"prompt": "an apple [sim:rate-limit]"}, openai.RateLimitError, "rate_limit_exceeded", None),
        ({"prompt": "an apple [sim:outage]"}, openai.InternalServerError, "provider_unavailable", None),
    ],
    ids=["model", "n", "size", "prompt", "moderation", "money", "rate", "outage"],
)
def test_errors_arrive_as_the_sdks_own_exceptions(client, kwargs, error, code, param):
    with pytest.raises(error) as caught:
        client.images.generate(**({"prompt": "a pear", "size": "256x256"} | kwargs))
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.message
    assert caught.value.request_id.startswith("req_")


def test_a_wrong_key_is_an_authentication_error(gateway):
    with (
        openai.OpenAI(api_key="sk-wrong", base_url=gateway.base_url, max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.images.generate(prompt="a pear")
    assert caught.value.code == "invalid_api_key"


def test_models_are_listed_and_found_by_every_kind_of_name(client):
    listed = client.models.list()
    assert {"riverflow-1", "flux.1-schnell"} <= {model.id for model in listed}
    for name in ("riverflow-1-base", "sourceful:1@1", "runware/riverflow-1", "RIVERFLOW-1.1"):
        assert client.models.retrieve(name).id == "riverflow-1"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


@pytest.mark.parametrize("path", ["", "/v1", "/openai/v1"])
def test_every_base_url_a_user_may_have_works(gateway, path):
    with openai.OpenAI(api_key="test-key", base_url=gateway.origin + path, max_retries=0) as client:
        assert client.images.generate(prompt="a pear", size="256x256").data[0].url


def test_answers_pass_the_sdks_strict_validation(gateway):
    with openai.OpenAI(
        api_key="test-key", base_url=gateway.base_url, max_retries=0, _strict_response_validation=True
    ) as client:
        answer = client.images.generate(
            prompt="a pear", size="256x256", output_format="jpeg", response_format="b64_json"
        )
        assert open_base64(answer.data[0].b64_json).format == "JPEG"
        assert client.models.retrieve("flux.2-pro").created > 0


def test_a_model_whose_release_is_not_known_is_listed_without_a_date_of_its_own(client):
    listed = {model.id: model.model_dump() for model in client.models.list().data}
    assert len(listed) > 150
    dated = [model["created"] for model in listed.values() if model.get("created") is not None]
    assert 50 < len(dated) < len(listed)
    assert min(dated) > 1_600_000_000, "a model of 1970 would be a lie"


@pytest.mark.parametrize("size", [40 * 1024 * 1024, 80 * 1024 * 1024], ids=["image too large", "body too large"])
def test_a_huge_upload_is_an_error_the_sdk_can_read(client, size):
    with pytest.raises(openai.APIStatusError) as caught:
        client.images.edit(image=("big.png", png() + b"\0" * size), prompt="x")
    assert caught.value.status_code == 413
