"""What Runware says of an image reaches the caller: in the answer, its events, the record, the result and the webhook."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.support.odd_runware import envelope, item, odd_runware
from tests.support.processes import unique
from tests.support.waiting import seen

SAFETY = {"safety": {"checkContent": True}}
MORE = {"contentCredentials": {"issuer": "simulator", "score": 0.5}, "inferenceTime": 1.25}
WARNINGS = [{"code": "deprecatedParameter", "message": "A warning about the whole request."}]
SAID = ("seed", "image_uuid", "nsfw_content", "provider_fields")


def said_of(members: dict) -> dict:
    return {name: members[name] for name in SAID if name in members}


def ended(gateway, request_id: str) -> dict:
    return seen(
        lambda: gateway.client.get(f"/requests/{request_id}").json(), lambda record: record["completed_at"] is not None
    )


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict]]]:
    """A webhook receiver: its address, and what it was told."""
    told: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("marker", "fields", "expected"),
    [
        pytest.param("", {}, {}, id="nothing checked"),
        pytest.param("", SAFETY, {"nsfw_content": False}, id="checked, nothing found"),
        pytest.param("[sim:nsfw]", SAFETY, {"nsfw_content": True}, id="checked, something found"),
        pytest.param("[sim:says-more]", {}, {"provider_fields": MORE}, id="members nobody knows"),
    ],
)
@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_each_image_carries_what_was_said_of_it(gateway, marker, fields, expected, response_format):
    body = gateway.generate(
        prompt=f"{unique()} {marker}", n=2, seed=7, response_format=response_format, **fields
    ).json()
    found = [said_of(one) for one in body["data"]]
    assert [one.pop("seed") for one in found] == [7, 8]
    assert len({one.pop("image_uuid") for one in found}) == 2
    assert found == [expected] * 2
    assert body["metadata"].get("provider_fields") == ({"warnings": WARNINGS} if marker == "[sim:says-more]" else None)


@pytest.mark.parametrize("model", ["flux.1-schnell", "flux.2-pro"], ids=["one task", "two tasks"])
def test_record_result_webhook_and_replay_say_what_the_answer_said(start_gateway, receiver, model):
    gateway = start_gateway(SPILLWAY_ALLOW_PRIVATE_WEBHOOKS="true")
    address, told = receiver
    fields = SAFETY if model == "flux.1-schnell" else {}
    body = {
        "prompt": f"{unique()} [sim:says-more]",
        "model": model,
        "n": 2,
        "size": "1024x1024",
        "webhook_url": address,
    } | fields
    headers = {"Idempotency-Key": unique()}
    answer = gateway.client.post("/images/generations", json=body, headers=headers).json()
    images = [said_of(one) for one in answer["data"]]
    assert all(one["provider_fields"] == MORE for one in images)
    assert all(("nsfw_content" in one) == bool(fields) for one in images)
    record = ended(gateway, answer["id"])
    assert (record["images"], record["provider_fields"]) == (images, {"warnings": WARNINGS})
    result = gateway.client.get(f"/requests/{answer['id']}/result").json()
    replayed = gateway.client.post("/images/generations", json=body, headers=headers).json()
    for again in (result, replayed):
        assert [said_of(one) for one in again["data"]] == images
        assert again["metadata"]["provider_fields"] == {"warnings": WARNINGS}
    assert seen(lambda: told, bool)
    assert (told[0]["data"]["images"], told[0]["data"]["provider_fields"]) == (images, {"warnings": WARNINGS})


def test_events_carry_what_was_said_of_their_image(gateway):
    body = {
        "prompt": f"{unique()} [sim:says-more] [sim:nsfw]",
        "n": 2,
        "size": "256x256",
        "stream": True,
        "seed": 3,
    } | SAFETY
    text = gateway.client.post("/images/generations", json=body).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert sorted(event["seed"] for event in events) == [3, 4]
    assert len({event["image_uuid"] for event in events}) == 2
    for event in events:
        assert (event["nsfw_content"], event["provider_fields"]) == (True, MORE)
        assert event["metadata"]["provider_fields"] == {"warnings": WARNINGS}


def test_an_id_that_was_said_can_be_named_as_an_input(gateway):
    made = gateway.generate(prompt=unique()).json()["data"][0]["image_uuid"]
    edited = gateway.client.post(
        "/images/edits", json={"prompt": "make it night", "model": "flux.1-schnell", "image": made, "size": "256x256"}
    )
    assert edited.status_code == 200


ODD = {
    "text": "line\u2028two\u0000three",
    "huge": "@1e400@",
    "long": f"@{'9' * 50}@",
    "nested": {"a": [None, True, {"b": "@-1e400@"}]},
    "seed": "not a number",
    "NSFWContent": "maybe",
    "imageUUID": 5,
}
SHOWN = {
    "text": "line\u2028two\u0000three",
    "huge": "1E+400",
    "long": "9" * 50,
    "nested": {"a": [None, True, {"b": "-1E+400"}]},
    "seed": "not a number",
    "NSFWContent": "maybe",
    "imageUUID": 5,
}


def test_odd_members_are_handed_on_as_they_are_and_break_nothing(start_gateway):
    with odd_runware() as runware:
        gateway = start_gateway(upstream=runware.url)

        def answer(task: dict) -> bytes:
            text = envelope(item(task, 0, **ODD, cost=0.01, tooLarge="x" * 100_000), warning=ODD["nested"]).decode()
            return text.replace('"@', "").replace('@"', "").encode()

        runware.scripts["imageInference"] = answer
        body = gateway.generate(prompt=unique()).json()
        assert said_of(body["data"][0]) == {"provider_fields": SHOWN}
        assert body["metadata"]["provider_fields"] == {"warning": SHOWN["nested"]}
        record = ended(gateway, body["id"])
        assert record["images"] == [{"provider_fields": SHOWN}]
        assert gateway.client.get("/requests").json()["data"][0]["images"] == record["images"]
        result = gateway.client.get(f"/requests/{body['id']}/result").json()
        assert result["data"] == body["data"]
