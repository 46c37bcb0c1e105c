"""Addresses inside fields that are passed on."""

import pytest

from app.planning.nested_addresses import addresses_in, with_addresses

FIELDS = {
    "uploadEndpoint": "http://10.0.0.1/put",
    "controlNet": [{"guideImage": "https://a.example/b.png", "weight": 1}, {"guideImage": " HTTP://B.example/ "}],
    "inputs": {"referenceImages": ["id", "https://c.example/d"], "deep": {"er": [["http://e.example"]]}},
    "lora": [{"model": "civitai:1@2"}, {"model": "https://f.example/lora.safetensors"}],
    "settings": {
        "text": "see https://g.example for more",
        "quote": "https://h.example is it",
        "number": 3,
        "none": None,
    },
}


def test_every_address_is_found_with_the_callers_path_to_it():
    assert dict(addresses_in(FIELDS)) == {
        "uploadEndpoint": "http://10.0.0.1/put",
        "controlNet[0].guideImage": "https://a.example/b.png",
        "controlNet[1].guideImage": "HTTP://B.example/",
        "inputs.referenceImages[1]": "https://c.example/d",
        "inputs.deep.er[0][0]": "http://e.example",
        "lora[1].model": "https://f.example/lora.safetensors",
    }


@pytest.mark.parametrize(
    "text", ["", "http", "http:x", "ftp://x", "data:image/png;base64,aaaa", "https://a b", "https://a\nis what I mean"]
)
def test_what_is_no_single_address_is_none(text):
    assert list(addresses_in({"field": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "http:/10.0.0.1",
        "http:\\\\10.0.0.1",
        "ht\ntp://10.0.0.1",
        "http://10.0.0.1/\ta",
        "http://10.0.0.1/" + "x" * 5000,
    ],
    ids=["one slash", "backslashes", "line break", "tab", "long"],
)
def test_what_a_lenient_reader_takes_for_an_address_is_one(text):
    assert list(addresses_in({"field": text})) == [("field", text)]


def test_an_address_is_replaced_where_it_stands_and_nothing_else_changes():
    made = with_addresses(FIELDS, {"controlNet[0].guideImage": "data:1", "inputs.deep.er[0][0]": "data:2"})
    assert made["controlNet"] == [{"guideImage": "data:1", "weight": 1}, FIELDS["controlNet"][1]]
    assert made["inputs"] == {"referenceImages": ["id", "https://c.example/d"], "deep": {"er": [["data:2"]]}}
    assert {name: made[name] for name in ("lora", "settings")} == {name: FIELDS[name] for name in ("lora", "settings")}
