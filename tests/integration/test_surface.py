"""What stands around the image endpoints: models, hosted images, health, and a true OpenAPI document."""

import json
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from app.errors import GatewayError
from app.openai_api.schemas import ErrorResponse, ImagesResponse, ModelList
from app.openai_api.vocabulary import BY_NAME, FIELDS, OWN_NAMES, RUNWARE_NAMES, Kind
from tests.support import loopback
from tests.support.images import open_bytes


@pytest.mark.parametrize(
    "name",
    [
        "riverflow-1",
        "RIVERFLOW-1",
        "runware/riverflow-1",
        "sourceful:1@1",
        "runware/sourceful:1@1",
        "riverflow-1.1",
        "riverflow-1-base",
    ],
)
@pytest.mark.parametrize("encode", [quote, lambda name: quote(name, safe="")], ids=["plain", "encoded"])
def test_a_model_is_found_by_every_name_encoded_or_not(gateway, name, encode):
    response = gateway.client.get(f"/models/{encode(name)}")
    assert (response.status_code, response.json()["id"]) == (200, "riverflow-1")


def test_a_model_tells_what_a_client_needs_to_choose(gateway):
    model = gateway.client.get("/models/riverflow-1-mini").json()
    assert (model["object"], model["owned_by"], model["status"]) == ("model", "Sourceful", "live")
    assert (model["modes"], model["emulated_modes"]) == (["text-to-image", "image-edit"], ["text-to-image"])
    assert (model["input_modalities"], model["output_modalities"]) == (["text", "image"], ["image"])
    assert (model["unlisted"], "may still answer" in model["status_note"]) == (True, True)
    assert model["max_input_images"] == 10
    assert len(model["sizes"]["tiers"]["1K"]) == 11
    assert model["pricing"]["text"] == "$0.03025 an image"
    assert (model["pricing"]["confidence"], model["pricing"]["per_image"]) == ("published", "0.03025")
    assert model["created"] == 1761523200


@pytest.mark.parametrize(
    ("name", "confidence", "summary", "text"),
    [
        ("flux.1-dev-srpo", "unknown", "unknown", "not published"),
        ("seedream-4-5", "estimated", "~$0.04", "$0.04 an image (estimated)"),
        ("civitai:1@1", "unknown", "unknown", "not published"),
    ],
)
def test_a_price_that_runware_does_not_publish_is_told_as_what_it_is(gateway, name, confidence, summary, text):
    pricing = gateway.client.get(f"/models/{name}").json()["pricing"]
    assert (pricing["confidence"], pricing["summary"], pricing["text"]) == (confidence, summary, text)


def test_what_is_not_known_of_a_model_is_absent(gateway):
    models = gateway.client.get("/models").json()["data"]
    assert all("created" not in model or model["created"] > 1_600_000_000 for model in models)
    assert all(None not in model.values() for model in models)
    assert any("created" not in model for model in models)


@pytest.mark.parametrize("prefix", ["/v1", "/openai/v1", ""])
def test_the_same_routes_stand_under_every_prefix(gateway, prefix):
    headers = {"Authorization": "Bearer test-key"}
    assert loopback.get(f"{gateway.origin}{prefix}/models", headers=headers).json()["object"] == "list"
    body = {"prompt": "a pear", "size": "256x256"}
    answer = loopback.post(f"{gateway.origin}{prefix}/images/generations", headers=headers, json=body)
    assert answer.status_code == 200


def hosted(gateway) -> str:
    return gateway.generate(output_format="gif").json()["data"][0]["url"]


def test_a_hosted_image_is_served_from_the_same_origin_without_a_key(gateway):
    item = gateway.generate(output_format="avif").json()["data"][0]
    assert item["url"].startswith(f"{gateway.origin}/v1/media/")
    response = loopback.get(item["url"])
    assert response.headers["content-type"] == "image/avif"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert open_bytes(response.content).size == (256, 256)
    assert 3500 < item["expires_at"] - gateway.generate().json()["created"] <= 3600


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url.replace("signature=", "signature=A"),
        lambda url: url.replace("expires=", "expires=9"),
        lambda url: url.split("?")[0],
        lambda url: url.replace(".gif", ".png"),
        lambda url: url.replace("expires=", "expires=%00"),
    ],
    ids=["signature", "expiry", "no signature", "ending", "nonsense"],
)
def test_a_spoiled_link_is_refused(gateway, spoil):
    response = loopback.get(spoil(hosted(gateway)))
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (403, "permission_error", "link_forged")


def test_a_link_out_of_the_folder_is_no_path_of_this_gateway(gateway):
    response = loopback.get(hosted(gateway).replace("/media/", "/media/..%2F"))
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")


def test_links_carry_the_known_host_the_caller_used_unless_a_public_url_is_set(start_gateway):
    body, headers = {"prompt": "a pear", "size": "256x256", "output_format": "gif"}, {"Host": "images.lan:8443"}
    known = start_gateway(SPILLWAY_ALLOWED_HOSTS="images.lan")
    url = known.client.post("/images/generations", json=body, headers=headers).json()["data"][0]["url"]
    assert urlsplit(url).netloc == "images.lan:8443"
    bad = {"Host": "evil.example/path?x"}
    url = known.client.post("/images/generations", json=body, headers=bad).json()["data"][0]["url"]
    assert "evil" not in url
    public = start_gateway(SPILLWAY_PUBLIC_URL="https://images.example.com/")
    assert hosted(public).startswith("https://images.example.com/v1/media/")


def test_health_and_readiness(gateway, start_gateway):
    assert loopback.get(f"{gateway.origin}/healthz").json() == {"status": "ok"}
    ready = loopback.get(f"{gateway.origin}/readyz")
    assert (ready.status_code, ready.json()["upstream"], ready.json()["models"]) == (200, "runware", 192)
    assert "x-spillway-upstream" not in ready.headers
    simulated = start_gateway(SPILLWAY_UPSTREAM_NAME="simulator")
    ready = loopback.get(f"{simulated.origin}/readyz")
    assert ready.json()["upstream"] == "simulator"
    assert "RUNWARE_API_KEY" in ready.json()["note"]
    assert simulated.generate().headers["x-spillway-upstream"] == "simulator"


@pytest.fixture(scope="module")
def document(gateway) -> dict:
    return loopback.get(f"{gateway.origin}/openapi.json").json()


def test_the_document_lists_exactly_the_public_routes(document):
    assert set(document["paths"]) == {
        "/v1/images/generations", "/v1/images/edits", "/v1/models", "/v1/models/{model_id}", "/v1/media/{name}", "/healthz", "/readyz", "/metrics",
        "/v1/requests", "/v1/requests/{request_id}", "/v1/requests/{request_id}/result", "/v1/requests/{request_id}/payloads",
        "/v1/webhooks/secret", "/v1/usage", "/v1/balance", "/v1/ledger/verify", "/v1/audit",
        "/v1/key", "/v1/keys", "/v1/keys/{key_id}", "/v1/keys/{key_id}/rotate",
    }  # fmt: skip


def test_every_field_the_parser_knows_is_documented_and_the_reverse(document):
    known = set(OWN_NAMES)
    schemas = document["components"]["schemas"]
    for name in ("GenerationRequest", "EditRequest"):
        assert set(schemas[name]["properties"]) == known
    assert set(schemas["EditForm"]["properties"]) == known - {"images", "image_url", "reference_images"}


def test_every_word_of_runwares_the_parser_knows_is_documented_and_the_reverse(document):
    properties = document["components"]["schemas"]["RunwareRequest"]["properties"]
    assert set(properties) == {*RUNWARE_NAMES, "model"}
    for name, (low, high) in {"numberResults": (1, 20), "outputQuality": (20, 99)}.items():
        assert (properties[name]["anyOf"][0]["minimum"], properties[name]["anyOf"][0]["maximum"]) == (low, high)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("quality", ["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]),
        ("style", ["vivid", "natural"]),
    ],
)
def test_documented_examples_of_open_choices_are_openais(document, field, words):
    assert document["components"]["schemas"]["GenerationRequest"]["properties"][field]["examples"] == words


@pytest.mark.parametrize("field", [one.name for one in FIELDS if one.kind is Kind.CHOICE])
def test_every_documented_choice_is_taken_and_no_other(gateway, document, field):
    choices = document["components"]["schemas"]["GenerationRequest"]["properties"][field]["anyOf"][0]["enum"]
    for value in choices:
        refused = gateway.generate(**{field: value}).json().get("error", {})
        assert "expected one of" not in refused.get("message", "")
    refused = gateway.generate(**{field: "no-such-word"}).json()["error"]
    assert (refused["param"], f"expected one of {', '.join(choices)}" in refused["message"]) == (field, True)


@pytest.mark.parametrize("field", [one.name for one in FIELDS if one.kind in {Kind.INTEGER, Kind.NUMBER}])
def test_documented_bounds_are_those_the_server_enforces(gateway, document, field):
    schema = document["components"]["schemas"]["GenerationRequest"]["properties"][field]["anyOf"][0]
    assert (schema["minimum"], schema["maximum"]) == (BY_NAME[field].low, BY_NAME[field].high)
    for value, status in ((schema["minimum"] - 1, 400), (schema["maximum"] + 1, 400)):
        assert gateway.generate(**{field: value}).status_code == status


def test_every_status_the_gateway_can_answer_is_documented(document):
    def statuses(error: type) -> set[int]:
        return {error.status}.union(*(statuses(child) for child in error.__subclasses__()))

    links = {"404", "410", "416"}
    for path in ("/v1/images/generations", "/v1/images/edits"):
        assert ({str(status) for status in statuses(GatewayError)} - links) | {"200", "202", "404"} == set(
            document["paths"][path]["post"]["responses"]
        )
    assert links < set(document["paths"]["/v1/media/{name}"]["get"]["responses"])


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        pytest.param("/v1/requests", {"403", "404"}, id="of a key that is another's, or that there is not"),
        pytest.param("/v1/webhooks/secret", {"403"}, id="of the operator"),
        pytest.param("/v1/balance", {"400", "403"}, id="where callers pay, or for administrators"),
    ],
)
def test_what_a_key_may_not_ask_is_documented(document, path, statuses):
    assert statuses <= set(document["paths"][path]["get"]["responses"])


def test_answers_fit_their_documented_schemas(gateway):
    forbid = {"extra": "forbid"}
    for fields in (
        {},
        {"response_format": "b64_json"},
        {"output_format": "gif"},
        {"n": 3, "prompt": "x [sim:partial=1]"},
    ):
        answer = gateway.generate(**fields)
        strict = type("Strict", (ImagesResponse,), {"model_config": forbid, "__module__": __name__})
        strict.model_validate(answer.json())
    ErrorResponse.model_validate(gateway.generate(n=0).json())
    ModelList.model_validate(gateway.client.get("/models").json())


@pytest.mark.parametrize("name", ["GenerationRequest", "EditRequest", "EditForm", "RunwareRequest"])
def test_documented_requests_say_that_other_fields_pass(document, name):
    assert document["components"]["schemas"][name]["additionalProperties"] is True


def test_the_documentation_page_is_there(gateway):
    response = loopback.get(f"{gateway.origin}/docs")
    assert (response.status_code, "openapi.json" in response.text) == (200, True)


def test_headers_of_an_answer_are_all_documented(gateway, document):
    documented = {
        name.lower() for name in document["paths"]["/v1/images/generations"]["post"]["responses"]["200"]["headers"]
    }
    sent = set(gateway.generate(quality="high").headers) - {"content-type", "content-length", "date", "server"}
    assert sent <= documented


def test_base64_in_an_answer_is_exactly_what_runware_sent(gateway):
    body = gateway.generate(response_format="b64_json").content
    assert msgspec.json.decode(body) == json.loads(body)


def test_a_model_tells_everything_it_accepts_as_a_schema(gateway):
    schema = gateway.client.get("/models/riverflow-1?schema=true").json()
    fields = schema["properties"]
    assert fields["mask"]["x-spillway-mode"] == "emulated"
    assert fields["seed"]["x-spillway-mode"] == "dropped"
    assert fields["image"]["x-maximum-items"] == 10
    assert len(fields["size"]["x-native"]) == 11
    assert schema["required"] == ["prompt"]
    assert gateway.client.get("/models/nobody?schema=true").status_code == 404
    assert "capabilities" in gateway.client.get("/models/riverflow-1?schema=false").json()


@pytest.mark.parametrize(
    ("endpoint", "model", "named"),
    [
        ("edits", "google-imagen-4-fast", "does not edit them. Models that do: flux.1-schnell, riverflow-1-mini, "),
        ("generations", "bfl:1@2", "does not make them from text alone. Models that do: flux.1-schnell, "),
    ],
)
def test_a_model_asked_for_what_it_does_not_do_names_three_that_do_the_defaults_first(gateway, endpoint, model, named):
    body = {"prompt": "a hat", "model": model} | ({"image": "https://example.com/a.png"} if endpoint == "edits" else {})
    error = gateway.client.post(f"/images/{endpoint}", json=body).json()["error"]
    assert (error["param"], error["code"]) == ("model", "unsupported_model")
    assert named in error["message"]
    assert len(error["message"].partition("Models that do: ")[2].split(", ")) == 3
