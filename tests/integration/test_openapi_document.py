"""The OpenAPI document against a live gateway: its examples succeed, and answers are as it declares them."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from app.api.examples import CHANGES, EDITS, FORMS, GENERATIONS, KEYS, ROTATIONS
from tests.support import loopback
from tests.support.images import png

ADMIN = {"Authorization": "Bearer boss"}
# Strict, so that a member nobody documented is found; these are open on purpose.
OPEN = {"ModelPricing"}


@pytest.fixture(scope="module")
def house(start_shared_gateway):
    """A gateway with an administrator."""
    return start_shared_gateway(SPILLWAY_ADMIN_KEYS="boss", SPILLWAY_ALLOW_PRIVATE_WEBHOOKS="true")


@pytest.fixture(scope="module")
def document(house) -> dict:
    return loopback.get(f"{house.origin}/openapi.json").json()


@pytest.fixture
def check(document):
    """Compares an answer with what the document declares for it."""
    components = json.loads(json.dumps(document["components"]))
    for name, schema in components["schemas"].items():
        if schema.get("type") == "object" and name not in OPEN:
            schema.setdefault("additionalProperties", False)

    def check(method: str, path: str, answer) -> None:
        declared = document["paths"][path][method]["responses"][str(answer.status_code)]
        if "$ref" in declared:
            declared = components["responses"][declared["$ref"].rpartition("/")[2]]
        kind = answer.headers["content-type"].partition(";")[0]
        schema = declared["content"][kind]["schema"] | {"components": components}
        value = answer.json() if kind == "application/json" else answer.text
        assert [error.message for error in Draft202012Validator(schema).iter_errors(value)] == []
        sent = set(answer.headers) - {"content-type", "content-length", "date", "server", "transfer-encoding"}
        assert sent <= {name.lower() for name in declared["headers"]} | {"cache-control", "x-accel-buffering"}

    return check


def events(text: str) -> list[dict]:
    return [json.loads(line) for line in re.findall(r"^data: (.*)$", text, re.MULTILINE)]


def shown(document: dict, method: str, path: str) -> list[dict]:
    body = document["paths"][path][method]["requestBody"]["content"]["application/json"]
    return [example["value"] for example in body["examples"].values()]


@pytest.mark.parametrize("name", GENERATIONS)
def test_an_example_of_a_generation_succeeds(house, document, check, name):
    body = GENERATIONS[name]["value"]
    assert body in shown(document, "post", "/v1/images/generations")
    answer = house.client.post("/images/generations", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    check("post", "/v1/images/generations", answer)


@pytest.mark.parametrize("name", EDITS)
def test_an_example_of_an_edit_succeeds(house, document, check, name):
    assert EDITS[name]["value"] in shown(document, "post", "/v1/images/edits")
    answer = house.client.post("/images/edits", json=EDITS[name]["value"], headers=ADMIN)
    assert answer.status_code == 200, answer.text
    check("post", "/v1/images/edits", answer)


def test_the_events_of_a_stream_are_as_declared(house, document):
    answer = house.client.post("/images/generations", json=GENERATIONS["stream"]["value"], headers=ADMIN)
    assert answer.headers["content-type"].startswith("text/event-stream")
    schema = {"$ref": "#/components/schemas/ImageEvent", "components": document["components"]}
    found = events(answer.text)
    assert sorted(event["index"] for event in found) == [0, 1]
    for event in found:
        assert [error.message for error in Draft202012Validator(schema).iter_errors(event)] == []


def test_a_form_is_taken_as_declared(house, document, check):
    form = document["components"]["schemas"]["EditForm"]
    assert form["properties"]["image"]["items"] == {"type": "string", "format": "binary"}
    # As the page fills it in, with empty texts in what is left alone.
    shown = {name: field["examples"][0] for name, field in form["properties"].items() if "examples" in field}
    assert len(shown) > 20
    for fields in (shown, *(example["value"] for example in FORMS.values())):
        answer = house.edit([("image", ("house.png", png(320, 320)))], **fields)
        assert answer.status_code == 200, answer.text
        check("post", "/v1/images/edits", answer)


@pytest.mark.parametrize(
    ("fields", "headers", "query", "status"),
    [
        pytest.param({}, {}, "?dryRun=true", 200, id="an estimate"),
        pytest.param({}, {"Prefer": "respond-async"}, "", 202, id="in the background"),
        pytest.param({"prompt": "a pear [sim:says-more]"}, {}, "", 200, id="what else Runware says"),
        pytest.param({"n": 3, "prompt": "a pear [sim:partial=1]"}, {}, "", 200, id="some of the images"),
        pytest.param({"quality": "high"}, {}, "", 200, id="adjusted"),
        pytest.param({}, {"Idempotency-Key": "documented"}, "", 200, id="with a key"),
        pytest.param({}, {"Idempotency-Key": "documented"}, "", 200, id="replayed"),
        pytest.param({"n": 0}, {}, "", 400, id="refused"),
        pytest.param({"prompt": "a pear [sim:no-credits]"}, {}, "", 402, id="no credit"),
        pytest.param({"model": "nobody"}, {}, "", 404, id="no such model"),
        pytest.param({"prompt": "a pear [sim:rate-limit]"}, {}, "", 429, id="too many at Runware"),
        pytest.param({"prompt": "a pear [sim:provider-error]"}, {}, "", 502, id="failed"),
    ],
)
def test_every_kind_of_answer_to_an_image_request_is_as_declared(house, check, fields, headers, query, status):
    body = {"prompt": "a pear", "size": "256x256"} | fields
    answer = house.client.post(f"/images/generations{query}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    check("post", "/v1/images/generations", answer)


def test_the_life_of_a_key_is_as_declared(house, document, check):
    made = {}
    for name, example in KEYS.items():
        assert example["value"] in shown(document, "post", "/v1/keys")
        answer = house.client.post("/keys", json=example["value"], headers=ADMIN)
        assert answer.status_code == 200, answer.text
        check("post", "/v1/keys", answer)
        made[name] = answer.json()["id"]
    one = f"/keys/{made['budget']}"
    for example in CHANGES.values():
        answer = house.client.patch(one, json=example["value"], headers=ADMIN)
        assert answer.status_code == 200, answer.text
        check("patch", "/v1/keys/{key_id}", answer)
    for example in ROTATIONS.values():
        answer = house.client.post(f"{one}/rotate", json=example["value"], headers=ADMIN)
        assert answer.status_code == 200, answer.text
        check("post", "/v1/keys/{key_id}/rotate", answer)
    check("get", "/v1/keys/{key_id}", house.client.get(one, headers=ADMIN))
    check("get", "/v1/keys", house.client.get("/keys?limit=2", headers=ADMIN))
    check("delete", "/v1/keys/{key_id}", house.client.delete(one, headers=ADMIN))
    check("get", "/v1/keys/{key_id}", house.client.get("/keys/nobody", headers=ADMIN))
    check("post", "/v1/keys", house.client.post("/keys", json={"name": "x", "budget": -1}, headers=ADMIN))
    audit = house.client.get("/audit", headers=ADMIN)
    assert {entry["action"] for entry in audit.json()["data"]} >= {
        "key.created",
        "key.updated",
        "key.rotated",
        "key.revoked",
    }
    check("get", "/v1/audit", audit)


def test_the_answers_to_a_limited_key_are_as_declared(house, check):
    limits = {"name": "limited", "budget": 5, "rpm": 600, "images_per_minute": 600, "models": ["flux.*"]}
    key = house.client.post("/keys", json=limits, headers=ADMIN).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    body = {"prompt": "a pear", "size": "512x512", "model": "flux.1-schnell"}
    answer = house.client.post("/images/generations", json=body, headers=headers)
    assert answer.headers["x-ratelimit-limit-images"] == "600"
    check("post", "/v1/images/generations", answer)
    check("get", "/v1/models", house.client.get("/models", headers=headers))
    refused = house.client.post("/images/generations", json=body | {"model": "riverflow-1"}, headers=headers)
    assert refused.status_code == 403


@pytest.fixture(scope="module")
def request_id(house) -> str:
    return house.generate(webhook_url="http://127.0.0.1:9/hook").json()["id"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("/v1/models", "", id="models"),
        pytest.param("/v1/models/{model_id}", "", id="a model"),
        pytest.param("/v1/models/{model_id}", "?schema=true", id="what a model accepts"),
        pytest.param("/v1/requests", "?limit=5&summary=true", id="requests with sums"),
        pytest.param("/v1/requests", "?status=failed", id="requests that failed"),
        pytest.param("/v1/requests", "?status=nonsense", id="requests with a wrong filter"),
        pytest.param("/v1/requests/{request_id}", "", id="a request"),
        pytest.param("/v1/requests/{request_id}/result", "", id="its images"),
        pytest.param("/v1/webhooks/secret", "", id="the secret of webhooks"),
        pytest.param("/v1/webhooks/secret", "?of=operator", id="the operator's"),
        pytest.param("/v1/usage", "", id="usage by day"),
        pytest.param("/v1/usage", "?group_by=model", id="usage by model"),
        pytest.param("/v1/usage", "?group_by=key&tz=Europe/Berlin&limit=1", id="usage by key"),
        pytest.param("/v1/balance", "", id="the balance"),
        pytest.param("/v1/ledger/verify", "", id="the ledger"),
        pytest.param("/healthz", "", id="alive"),
        pytest.param("/readyz", "", id="ready"),
    ],
)
def test_an_answer_is_as_declared(house, check, request_id, path, query):
    address = path.replace("{model_id}", "riverflow-1").replace("{request_id}", request_id)
    answer = loopback.get(f"{house.origin}{address}{query}", headers=ADMIN)
    assert answer.status_code == (400 if "nonsense" in query else 200), answer.text
    check("get", path, answer)


def test_usage_as_csv_is_declared(house, check):
    answer = loopback.get(f"{house.origin}/v1/usage", headers=ADMIN | {"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    check("get", "/v1/usage", answer)


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/usage", "/v1/keys", "/v1/audit"])
def test_the_filters_of_a_list_are_those_that_are_taken(house, document, path):
    refused = loopback.get(f"{house.origin}{path}?no-such-filter=1", headers=ADMIN).json()["error"]
    taken = re.findall(r"\w+", refused["message"].partition("There are ")[2])
    assert [one["name"] for one in document["paths"][path]["get"]["parameters"]] == taken


def test_documented_bounds_of_a_key_are_those_that_hold(house, document):
    fields = document["components"]["schemas"]["KeyRequest"]["properties"]
    for name in ("budget", "rpm", "images_per_minute", "concurrency"):
        bounds = fields[name]["anyOf"][0]
        for value in (bounds["minimum"] - 1, bounds["maximum"] + 1):
            refused = house.client.post("/keys", json={"name": "bounds", name: value}, headers=ADMIN)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, name)
    refused = house.client.post("/keys", json={"name": "bounds", "no_such_field": 1}, headers=ADMIN)
    assert refused.json()["error"]["param"] == "no_such_field"


def test_every_example_is_named_in_words(document):
    for methods in document["paths"].values():
        for operation in methods.values():
            bodies = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in bodies.get("examples", {}).values():
                assert re.match(r"[A-Z].{10,}", example["summary"])
