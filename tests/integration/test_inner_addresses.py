"""Addresses of the inner network are refused wherever a request can name one. Decisions only: nothing is connected to."""

import uuid

import pytest

INNER = "http://168.63.129.16/metadata"
NESTED = {
    "uploadEndpoint": ({"uploadEndpoint": INNER}, "uploadEndpoint"),
    "webhookURL": ({"webhookURL": "https://10.0.0.7/hook"}, "webhookURL"),
    "webhook_url": ({"webhook_url": "https://[fec0::1]/hook"}, "webhook_url"),
    "guideImage": ({"controlNet": [{"model": "civitai:1@2", "guideImage": INNER}]}, "controlNet[0].guideImage"),
    "ipAdapters": (
        {"ipAdapters": [{"model": "runware:55@1", "guideImages": ["http://192.0.0.192/opc"]}]},
        "ipAdapters[0].guideImages[0]",
    ),
    "lora": ({"lora": [{"model": "http://[fec0::1]/a.safetensors", "weight": 1}]}, "lora[0].model"),
    "inputs": (
        {"inputs": {"superResolutionReferences": ["http://[::ffff:10.0.0.1]/a.png"]}},
        "inputs.superResolutionReferences[0]",
    ),
    "any field": ({"somethingNew": {"deep": [{"er": "http://127.0.0.1:9/a"}]}}, "somethingNew.deep[0].er"),
    "a tab in it": ({"somethingNew": "http://10.0.0.7/\ta"}, "somethingNew"),
    "backslashes": ({"somethingNew": "http:\\\\10.0.0.7\\a"}, "somethingNew"),
    "a long one": ({"uploadEndpoint": "http://10.0.0.7/" + "a" * 5000}, "uploadEndpoint"),
    "a user in it": ({"somethingNew": "http://user:secret@images.example/a"}, "somethingNew"),
}


def look_up(host: str, port: int) -> list[str]:
    """A stand-in for name servers: `inner…` leads inside, everything else to an address that is only judged."""
    if host == "127.0.0.1":
        return [host]
    return ["192.168.7.7"] if host.startswith("inner") else ["8.8.8.8"]


@pytest.fixture(scope="module")
def guarded(start_shared_gateway):
    return start_shared_gateway(SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="false", parts={"lookup": look_up})


@pytest.mark.parametrize(("fields", "param"), NESTED.values(), ids=NESTED)
def test_an_inner_address_is_refused_wherever_it_stands(guarded, fields, param):
    prompt = uuid.uuid4().hex
    refused = guarded.generate(prompt=prompt, model="flux.1-dev", **fields)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, param), error
    assert "address" in error["message"]
    assert "secret" not in refused.text
    assert guarded.simulator.made(prompt) == 0


def test_a_name_that_leads_inside_is_refused_too(guarded):
    refused = guarded.generate(somethingNew={"source": "https://inner.example/a"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "somethingNew.source")


def test_addresses_of_the_open_internet_pass_as_they_are(guarded):
    fields = {"lora": [{"model": "https://models.example/a.safetensors", "weight": 1}]}
    answer = guarded.client.post(
        "/images/generations?dryRun=true", json={"prompt": "a pear", "model": "flux.1-dev", "size": "512x512"} | fields
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["plan"][0]["lora"] == fields["lora"]


def test_more_addresses_than_anyone_needs_are_refused(guarded):
    refused = guarded.generate(somethingNew=[f"https://{number}.example/" for number in range(65)])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "somethingNew")


def test_a_link_of_this_gateway_inside_such_a_field_becomes_the_image(start_gateway):
    gateway = start_gateway(SPILLWAY_ALLOW_PRIVATE_INPUT_URLS="false", SPILLWAY_HOST_ALL_PICTURES="true")
    link = gateway.generate().json()["data"][0]["url"]
    answer = gateway.client.post(
        "/images/generations?dryRun=true",
        json={"prompt": "a pear", "model": "flux.1-dev", "size": "512x512", "somethingNew": {"image": link}},
    )
    assert answer.status_code == 200, answer.text
    assert "127.0.0.1" not in str(answer.json()["plan"][0]["somethingNew"])
