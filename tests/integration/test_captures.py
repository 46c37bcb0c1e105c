"""Every captured request of a real client, replayed byte for byte against a live server."""

import json
from functools import partial

import pytest

from app.main import create_app
from app.resources import Parts
from app.settings.load import load_settings
from tests.conftest import FIXTURES, serving
from tests.support.captures import load
from tests.support.recorder import Recorder, exchange
from tests.support.understood import summarize

UNDERSTOOD: dict[str, dict] = {
    "node-7.55.0__edit_stream": {
        "mode": "edit",
        "prompt": "hat",
        "images": {"image": 74},
        "parameters": {"partial_images": 1},
        "stream": True,
    },
    "node-7.55.0__generate_stream": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "m",
        "parameters": {"partial_images": 2},
        "stream": True,
    },
    "py-3.52.0__edit_stream": {
        "mode": "edit",
        "prompt": "hat",
        "images": {"image": 74},
        "parameters": {"partial_images": 1},
        "stream": True,
    },
    "py-3.52.0__generate_stream": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "m",
        "parameters": {"partial_images": 2},
        "stream": True,
    },
    "aisdk-openai-compatible-3.0.92__edit_one": {
        "mode": "edit",
        "prompt": "hat",
        "model": "stub-model",
        "images": {"image": 74},
    },
    "aisdk-openai-compatible-3.0.92__generate_minimal": {"mode": "generate", "prompt": "a cat", "model": "stub-model"},
    "aisdk-openai-compatible-3.0.92__generate_n12.req2": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "stub-model",
        "count": 2,
    },
    "aisdk-openai-compatible-3.0.92__generate_n12": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "stub-model",
        "count": 10,
    },
    "aisdk-openai-compatible-3.0.92__generate_url_response": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "stub-model",
        "count": 2,
        "size": {"text": "1024x1024", "exact": (1024, 1024), "ignored": ["aspect_ratio"]},
        "seed": 7,
        "parameters": {"quality": "hd"},
        "passthrough": {"lora": [{"model": "x", "weight": 1}]},
    },
    "curl__edit_big_expect100": {"mode": "edit", "prompt": "hat", "images": {"image": 2000000}},
    "curl__edit_image_brackets": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "count": 2,
        "images": {"image[0]": 74, "image[1]": 74},
        "mask": 74,
    },
    "node-7.55.0__edit_extra_nested": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "size": {"text": "16:9", "exact": None, "ignored": []},
        "images": {"image": 74},
        "seed": 42,
        "passthrough": {
            "flag": True,
            "opts": {"a": {"b": 1}, "list": ["p", "q"]},
            "lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}],
        },
    },
    "node-7.55.0__edit_extra_nested_readstream": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "size": {"text": "16:9", "exact": None, "ignored": []},
        "images": {"image": 74},
        "seed": 42,
        "passthrough": {
            "lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}],
            "flag": True,
            "opts": {"a": {"b": 1}, "list": ["p", "q"]},
        },
    },
    "node-7.55.0__edit_list1": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "node-7.55.0__edit_list3_mask": {
        "mode": "edit",
        "prompt": "multi\nline ünï",
        "model": "m",
        "count": 2,
        "size": {"text": "1024x1024", "exact": (1024, 1024), "ignored": []},
        "delivery": "embedded",
        "format": "webp",
        "compression": 80,
        "background": "opaque",
        "images": {"image[0]": 74, "image[1]": 74, "image[2]": 74},
        "mask": 74,
        "parameters": {"quality": "high", "input_fidelity": "high"},
        "user": "u",
    },
    "node-7.55.0__edit_list_readstreams": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "images": {"image[0]": 74, "image[1]": 74},
    },
    "node-7.55.0__edit_single_readstream": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "count": 2,
        "size": {"text": "1024x1024", "exact": (1024, 1024), "ignored": []},
        "images": {"image": 74},
    },
    "node-7.55.0__edit_single_response.req2": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "node-7.55.0__edit_single_toFile": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "count": 2,
        "images": {"image": 74},
    },
    "node-7.55.0__edit_single_toFile_notype": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "node-7.55.0__edit_single_toFile_readstream": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "node-7.55.0__edit_string_image": {"mode": "edit", "prompt": "hat", "images": {"image": "http://x/y.png"}},
    "node-7.55.0__generate_extra_fields": {
        "mode": "generate",
        "prompt": "a cät",
        "model": "m",
        "count": 2,
        "size": {"text": "16:9", "exact": None, "ignored": []},
        "delivery": "embedded",
        "seed": 42,
        "passthrough": {
            "lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}],
            "flag": True,
            "opts": {"a": {"b": 1}, "list": ["p", "q"]},
        },
    },
    "node-7.55.0__generate_minimal": {"mode": "generate", "prompt": "a cat"},
    "node-7.55.0__generate_options_body": {"mode": "generate", "prompt": "other", "passthrough": {"extra": 1}},
    "node-7.55.0__generate_opts": {"mode": "generate", "prompt": "a cat"},
    "openwebui-0.12.4__edit_list": {
        "mode": "edit",
        "prompt": "hat\nline2",
        "model": "stub",
        "size": {"text": "512x512", "exact": (512, 512), "ignored": []},
        "delivery": "embedded",
        "images": {"image[0]": 74, "image[1]": 74},
    },
    "openwebui-0.12.4__generate": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "stub",
        "size": {"text": "512x512", "exact": (512, 512), "ignored": []},
        "delivery": "embedded",
    },
    "py-3.52.0__async_edit_list": {"mode": "edit", "prompt": "x", "images": {"image[0]": 74, "image[1]": 74}},
    "py-3.52.0__async_generate": {"mode": "generate", "prompt": "x"},
    "py-3.52.0__base_url_no_v1": {"mode": "generate", "prompt": "x"},
    "py-3.52.0__edit_extra_body_nested": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "size": {"text": "16:9", "exact": None, "ignored": []},
        "images": {"image": 74},
        "seed": 42,
        "passthrough": {
            "lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}],
            "flag": True,
            "opts": {"a": {"b": 1}, "list": ["p", "q"]},
        },
    },
    "py-3.52.0__edit_extra_body_override_n": {
        "mode": "edit",
        "prompt": "hat",
        "count": 4,
        "images": {"image": 74, "image_url": "http://x/y.png"},
    },
    "py-3.52.0__edit_json_via_extra_headers": {"mode": "edit", "prompt": "hat", "images": {"images[0].image_url": 3}},
    "py-3.52.0__edit_list3_mask": {
        "mode": "edit",
        "prompt": "multi\nline ünï",
        "model": "m",
        "count": 2,
        "size": {"text": "1024x1024", "exact": (1024, 1024), "ignored": []},
        "delivery": "embedded",
        "format": "webp",
        "compression": 80,
        "background": "opaque",
        "images": {"image[0]": 74, "image[1]": 74, "image[2]": 74},
        "mask": 74,
        "parameters": {"quality": "high", "input_fidelity": "high"},
        "user": "u",
    },
    "py-3.52.0__edit_list3_plain_bytes": {
        "mode": "edit",
        "prompt": "hat",
        "images": {"image[0]": 74, "image[1]": 74, "image[2]": 74},
    },
    "py-3.52.0__edit_list_bytesio_tuples": {
        "mode": "edit",
        "prompt": "hat",
        "images": {"image[0]": 74, "image[1]": 74},
    },
    "py-3.52.0__edit_markup_svg": {
        "mode": "edit",
        "prompt": "hat",
        "images": {"image": 74},
        "markup": 74,
        "parameters": {"frame_count": 3, "svg": {"model": "gpt-x", "reasoning": {"effort": "low"}}},
        "user": "s",
    },
    "py-3.52.0__edit_nulls": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__edit_single_bytes": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__edit_single_bytesio": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__edit_single_bytesio_named": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__edit_single_file": {
        "mode": "edit",
        "prompt": "hat",
        "model": "m",
        "count": 2,
        "size": {"text": "1024x1024", "exact": (1024, 1024), "ignored": []},
        "images": {"image": 74},
    },
    "py-3.52.0__edit_single_list1": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__edit_single_path": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__edit_single_tuple": {"mode": "edit", "prompt": "hat", "images": {"image": 74}},
    "py-3.52.0__generate_all_params": {
        "mode": "generate",
        "prompt": 'a cät 🐈 "q"\nnl',
        "model": "gpt-image-2",
        "count": 3,
        "size": {"text": "1536x864", "exact": (1536, 864), "ignored": []},
        "delivery": "embedded",
        "format": "webp",
        "compression": 80,
        "background": "opaque",
        "parameters": {
            "quality": "high",
            "style": "vivid",
            "moderation": "low",
            "complexity": "low",
            "frame_count": 4,
            "frame_duration_ms": 100,
            "svg": {"model": "gpt-x", "reasoning": {"effort": "low"}},
        },
        "user": "sid",
    },
    "py-3.52.0__generate_extra_body": {
        "mode": "generate",
        "prompt": "a cat",
        "model": "m",
        "count": 5,
        "size": {"text": "16:9", "exact": None, "ignored": []},
        "seed": 42,
        "passthrough": {
            "lora": [{"model": "x", "weight": 1}, {"model": "y", "weight": 0.5}],
            "flag": True,
            "opts": {"a": {"b": 1}, "list": ["p", "q"]},
        },
    },
    "py-3.52.0__generate_extra_query_headers": {"mode": "generate", "prompt": "a cat"},
    "py-3.52.0__generate_minimal": {"mode": "generate", "prompt": "a cat"},
    "py-3.52.0__generate_nulls": {"mode": "generate", "prompt": "a cat"},
    "py-3.52.0__generate_org_project": {"mode": "generate", "prompt": "x"},
    "py-3.52.0__generate_timeout30": {"mode": "generate", "prompt": "a cat"},
}
REFUSED = {
    "aisdk-openai-compatible-3.0.92__edit_two_mask": (400, "invalid_value", "lora"),
    "node-7.55.0__edit_extra_hetero": (400, "invalid_value", "mat"),
    "node-7.55.0__edit_json_via_post": (400, "invalid_value", "images[1].file_id"),
    "node-7.55.0__models_retrieve_slash": (404, "model_not_found", "model"),
    "node-7.55.0__variation": (400, "unsupported_endpoint", None),
    "py-3.52.0__edit_empty_list": (400, "missing_required_parameter", "image"),
    "py-3.52.0__edit_extra_body_hetero": (400, "invalid_value", "lora"),
    "py-3.52.0__edit_json_via_post": (400, "invalid_value", "images[1].file_id"),
    "py-3.52.0__models_retrieve": (404, "model_not_found", "model"),
    "py-3.52.0__models_retrieve_slash": (404, "model_not_found", "model"),
    "py-3.52.0__variation": (400, "unsupported_endpoint", None),
}
ANSWERED_WITHOUT_IMAGES = {
    "node-7.55.0__models_list": "list",
    "py-3.52.0__models_list": "list",
    "py-3.52.0__base_url_query": "list",
}
NAMES = sorted(path.stem for path in (FIXTURES / "captures").glob("*.txt"))


@pytest.fixture(scope="module")
def understood():
    return []


@pytest.fixture(scope="module")
def origin(understood, tmp_path_factory):
    variables = {
        "RUNWARE_API_KEY": "unused",
        "SPILLWAY_API_KEYS": "test-key",
        "SPILLWAY_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "SPILLWAY_LOG_LEVEL": "error",
    }
    with serving(create_app(load_settings(variables), Parts(service=partial(Recorder, understood)))) as origin:
        yield origin


def replay(origin: str, name: str) -> tuple[int, dict]:
    capture = load(FIXTURES / "captures" / f"{name}.txt")
    status, body = exchange(
        origin, capture.wire, continue_after=len(capture.head) if capture.expects_continue else None
    )
    streamed = status == 200 and UNDERSTOOD.get(name, {}).get("stream")
    return status, {"events": body} if streamed else json.loads(body)


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_captured_request_is_understood(origin, understood, name):
    understood.clear()
    status, _ = replay(origin, name)
    assert status == 200
    assert summarize(understood[0]) == UNDERSTOOD[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_captured_request_that_lost_its_meaning_is_refused_by_name(origin, understood, name):
    understood.clear()
    status, body = replay(origin, name)
    assert (status, body["error"]["code"], body["error"]["param"]) == REFUSED[name]
    assert not understood


@pytest.mark.parametrize("name", ANSWERED_WITHOUT_IMAGES)
def test_a_captured_model_list_is_answered(origin, name):
    status, body = replay(origin, name)
    assert (status, body["object"]) == (200, ANSWERED_WITHOUT_IMAGES[name])
    assert all({"id", "object", "owned_by"} <= set(item) for item in body["data"])
    assert all(item.get("created", 1) > 0 for item in body["data"])


def test_no_capture_is_left_out():
    assert sorted([*UNDERSTOOD, *REFUSED, *ANSWERED_WITHOUT_IMAGES]) == NAMES


TO_THE_END_REFUSED = {
    "curl__edit_big_expect100": "image",  # 2 MB of noise named .png
    "curl__edit_image_brackets": "mask",
    "node-7.55.0__edit_list3_mask": "mask",
    "py-3.52.0__edit_list3_mask": "mask",
    "node-7.55.0__edit_string_image": "image",  # http://x/ is nowhere, and the size must follow the image
    "py-3.52.0__edit_extra_body_override_n": None,  # the same host, only handed on: Runware refuses it
    "py-3.52.0__edit_json_via_extra_headers": "images[0].image_url",  # three bytes of base64
    "node-7.55.0__edit_extra_nested": "flag",
    "node-7.55.0__edit_extra_nested_readstream": "lora",
    "py-3.52.0__edit_extra_body_nested": "lora",
    "node-7.55.0__generate_extra_fields": "lora",
    "py-3.52.0__generate_extra_body": "lora",
    "node-7.55.0__generate_options_body": "extra",
    "aisdk-openai-compatible-3.0.92__generate_url_response": "lora",
}
"""By field; fields that Runware does not know come back under the caller's own name for them."""


@pytest.fixture(scope="module")
def whole_gateway(start_shared_gateway):
    aliases = ",".join(f"{name}=flux.2-pro" for name in ("m", "stub", "stub-model", "gpt-image-2"))
    return start_shared_gateway(SPILLWAY_MODEL_ALIASES=aliases, SPILLWAY_DEFAULT_MODEL="flux.2-pro")


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_captured_request_goes_through_to_images_or_a_named_refusal(whole_gateway, name):
    status, body = replay(whole_gateway.origin, name)
    if name in TO_THE_END_REFUSED:
        assert status == 400
        assert TO_THE_END_REFUSED[name] in {None, body["error"]["param"]}
        return
    assert status == 200, body
    if "events" in body:
        assert body["events"].count(b".completed\ndata: ") == 1
        return
    assert len(body["data"]) == UNDERSTOOD[name].get("count", 1)
    wants_base64 = UNDERSTOOD[name].get("delivery") == "embedded" or name.startswith("aisdk")
    assert all(("b64_json" in item) is wants_base64 and ("url" in item) is not wants_base64 for item in body["data"])
