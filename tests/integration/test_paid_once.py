"""Paid once and never lost: keys, retries, deadlines, killed gateways and later collection, over real processes."""

import concurrent.futures
import contextlib
import json
import sqlite3
import time
import uuid
from dataclasses import replace
from decimal import Decimal

import httpx2
import openai
import pytest

from app.domain.money import from_nanos
from app.runware.http_transport import HTTPTransport
from app.runware.keys import RunwareKey
from app.runware.transport import HTTPReply, Permit
from tests.support import loopback
from tests.support.holding import holding
from tests.support.images import data_uri, png
from tests.support.processes import free_port, process, unique
from tests.support.quick import FAST
from tests.support.raw import RawConnection, head
from tests.support.waiting import seen

REQUEST = {"model": "flux.1-schnell", "prompt": "a quiet harbor", "size": "256x256"}


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def post(gateway, headers=None, path="/images/generations", **fields) -> httpx2.Response:
    return gateway.client.post(path, json=REQUEST | fields, headers=headers or {})


def events_of(answer: httpx2.Response) -> list[dict]:
    """The events of a stream that has ended."""
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def collected(gateway, request_id: str) -> httpx2.Response:
    """The result of a request, once it has ended."""
    found = seen(
        lambda: gateway.client.get(f"/requests/{request_id}/result"), lambda found: found.status_code != 202, 60
    )
    assert found.status_code != 202, found.text
    return found


def status_of(gateway, request_id: str) -> str:
    return gateway.client.get(f"/requests/{request_id}").json()["status"]


def connected(path) -> int:
    """How many callers the journal holds for connected."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as journal:
        return journal.execute("select sum(connected) from requests").fetchone()[0]


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_a_key_gets_the_first_answer_again_byte_for_byte(gateway, form):
    headers, prompt = key(), unique()
    first = post(gateway, headers, prompt=prompt, response_format=form, n=2)
    again = post(gateway, headers, prompt=prompt, response_format=form, n=2)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["x-request-id"] == first.headers["x-request-id"] == first.json()["id"]
    assert gateway.simulator.made(prompt) == 2


def test_a_key_with_another_request_is_refused_and_buys_nothing(gateway):
    headers = key()
    post(gateway, headers, prompt=unique())
    before = gateway.simulator.accepted()
    response = post(gateway, headers, prompt=unique())
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "idempotency_key_reused", "Idempotency-Key")
    assert gateway.simulator.accepted() == before


def test_a_key_belongs_to_one_api_key(gateway):
    headers, prompt = key(), unique()
    first = post(gateway, headers, prompt=prompt)
    other = post(gateway, headers | {"Authorization": "Bearer other-key"}, prompt=prompt)
    assert first.json()["id"] != other.json()["id"]
    assert gateway.simulator.made(prompt) == 2


def test_repeats_while_the_first_runs_wait_for_it(gateway):
    headers, prompt = key(), f"{unique()} [sim:slow=0.6]"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(gateway, headers, prompt=prompt, response_format="b64_json"), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert gateway.simulator.made(prompt) == 1


def test_two_people_who_ask_the_same_at_the_same_time_get_two_images(gateway):
    prompt = f"{unique()} [sim:slow=0.4]"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(gateway, prompt=prompt), range(2)))
    assert answers[0].json()["id"] != answers[1].json()["id"]
    assert gateway.simulator.made(prompt) == 2


def test_the_same_request_after_a_delivered_answer_is_a_new_one(gateway):
    prompt = unique()
    ids = {post(gateway, prompt=prompt).json()["id"] for _ in range(3)}
    assert (len(ids), gateway.simulator.made(prompt)) == (3, 3)


def test_a_retry_of_a_delivered_request_is_a_new_one_too(gateway):
    prompt = unique()
    post(gateway, prompt=prompt)
    post(gateway, {"x-stainless-retry-count": "1"}, prompt=prompt)
    assert gateway.simulator.made(prompt) == 2


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_a_caller_who_went_away_finds_his_image_when_he_asks_again(start_gateway, simulator, tmp_path, form):
    path, prompt = tmp_path / "journal.db", unique()
    body = REQUEST | {"prompt": prompt, "response_format": form}
    with holding(simulator.url, prompt) as runware:
        gateway = start_gateway(upstream=f"{runware.url}/v1", SPILLWAY_DATABASE_URL=f"sqlite:///{path}")
        with RawConnection(gateway.origin) as connection:
            text = json.dumps(body).encode()
            fields = "Content-Type: application/json", f"Content-Length: {len(text)}"
            connection.send(head("/v1/images/generations", *fields) + text)
            assert runware.reached.wait(60)
        assert seen(lambda: connected(path), lambda count: count == 0) == 0, "the end of the connection is noticed"
        runware.released.set()
        (left,) = gateway.client.get("/requests").json()["data"]
        status = seen(lambda: status_of(gateway, left["id"]), lambda status: status != "processing")
        assert status == "completed"
        response = gateway.client.post("/images/generations", json=body)
        assert (response.status_code, response.json()["id"]) == (200, left["id"]), response.text
        assert simulator.made(prompt) == 1
        third = gateway.client.post("/images/generations", json=body)
        assert (third.json()["id"] != response.json()["id"], simulator.made(prompt)) == (True, 2)


@pytest.mark.parametrize("header", ["x-stainless-read-timeout", "x-stainless-timeout", "X-Spillway-Timeout"])
def test_shortly_before_the_callers_deadline_he_is_told_to_come_back_and_does(gateway, header):
    prompt = f"{unique()} [sim:slow=2]"
    first = post(gateway, {header: "1"}, prompt=prompt)
    error = first.json()["error"]
    assert (first.status_code, error["code"]) == (504, "still_processing")
    assert first.headers["x-should-retry"] == "true"
    assert first.headers["location"] == f"/v1/requests/{first.headers['x-request-id']}"
    assert int(first.headers["retry-after"]) >= 1
    second = post(gateway, {"x-stainless-retry-count": "1"}, prompt=prompt)
    assert (second.status_code, second.json()["id"]) == (200, first.headers["x-request-id"])
    assert gateway.simulator.made(prompt) == 1


def test_the_sdk_retries_into_its_own_image(gateway):
    prompt = f"{unique()} [sim:slow=2.5]"
    client = openai.OpenAI(base_url=gateway.base_url, api_key="test-key", timeout=1.5, max_retries=4)
    answer = client.images.generate(model="flux.1-schnell", prompt=prompt, size="256x256")
    assert answer.data[0].url
    assert gateway.simulator.made(prompt) == 1


def test_refusals_of_the_provider_are_remembered_and_want_of_capacity_is_not(gateway):
    headers, prompt = key(), f"{unique()} [sim:moderation]"
    first, again = post(gateway, headers, prompt=prompt), post(gateway, headers, prompt=prompt)
    assert (first.status_code, again.status_code, again.headers["idempotent-replayed"]) == (400, 400, "true")
    assert first.content == again.content
    headers, prompt = key(), f"{unique()} [sim:outage=3]"
    assert post(gateway, headers, prompt=prompt).status_code == 503
    assert post(gateway, headers, prompt=prompt).status_code == 200


def test_what_is_refused_before_anything_is_sent_claims_nothing(gateway):
    headers = key()
    assert post(gateway, headers, n=99).status_code == 400
    assert post(gateway, headers, prompt=unique()).status_code == 200
    long = post(gateway, {"Idempotency-Key": "k" * 256})
    assert (long.status_code, long.json()["error"]["param"]) == (400, "Idempotency-Key")


def test_a_streamed_request_is_paid_once_too(gateway):
    headers, prompt = key(), unique()
    body = REQUEST | {"prompt": prompt, "stream": True, "n": 2}
    texts = [gateway.client.post("/images/generations", json=body, headers=headers).text for _ in range(2)]
    assert [text.count("event: image_generation.completed") for text in texts] == [2, 2]
    images = [
        sorted(json.loads(line[6:])["b64_json"] for line in text.splitlines() if line.startswith("data: {"))
        for text in texts
    ]
    assert images[0] == images[1]
    assert gateway.simulator.made(prompt) == 2


def test_with_the_journal_lost_a_key_still_leads_to_the_image_that_was_bought(start_gateway):
    secret = {"SPILLWAY_SECRET": "a secret of sixteen"}
    headers, prompt = key(), unique()
    first = post(start_gateway(**secret), headers, prompt=prompt)
    again = post(start_gateway(**secret), headers, prompt=prompt)
    assert again.status_code == 200, again.text
    assert again.json()["metadata"]["task_uuids"] == first.json()["metadata"]["task_uuids"]
    assert all(uuid.UUID(one).version == 4 for one in first.json()["metadata"]["task_uuids"])


def test_a_key_that_has_expired_buys_anew(start_gateway, tmp_path):
    gateway = start_gateway(SPILLWAY_DATABASE_URL=f"sqlite:///{tmp_path / 'j.db'}")
    headers, prompt = key(), unique()
    first = post(gateway, headers, prompt=prompt)
    with sqlite3.connect(tmp_path / "j.db") as journal:
        journal.execute("update requests set key_until = 0")
    second, again = (post(gateway, headers, prompt=prompt) for _ in range(2))
    assert [answer.status_code for answer in (first, second, again)] == [200] * 3
    assert first.json()["id"] != second.json()["id"] == again.json()["id"]
    assert gateway.simulator.made(prompt) == 2


def test_two_gateways_on_one_database_obey_one_key(start_gateway, tmp_path, database):
    shared = {
        "SPILLWAY_DATA_DIR": str(tmp_path),
        "SPILLWAY_SECRET": "a secret of sixteen",
        "SPILLWAY_DATABASE_URL": database.fresh(),
    }
    gateways = [start_gateway(**shared), start_gateway(**shared)]
    headers, prompt = key(), f"{unique()} [sim:slow=0.5]"
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda i: post(gateways[i % 2], headers, prompt=prompt, response_format="b64_json"), range(6))
        )
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.content for answer in answers}) == 1
    assert gateways[0].simulator.made(prompt) == 1


# Later collection


def test_a_request_can_be_looked_at_and_collected_later(gateway):
    answer = post(gateway, prompt=unique(), quality="high")
    record = gateway.client.get(f"/requests/{answer.json()['id']}").json()
    metadata = answer.json()["metadata"]
    assert (record["object"], record["status"], record["n"]) == ("request", "completed", 1)
    assert record["task_uuids"] == metadata["task_uuids"]
    assert record["cost"] == metadata["cost"]
    assert record["adjustments"] == metadata["adjustments"]
    assert record["attempts"] == metadata["attempts"]
    assert record["duration_ms"] >= 0
    result = gateway.client.get(f"/requests/{record['id']}/result")
    assert result.content == answer.content


def test_a_request_that_runs_says_so_and_is_collected_when_done(start_gateway, simulator):
    prompt = unique()
    with holding(simulator.url, prompt) as runware:
        gateway = start_gateway(upstream=f"{runware.url}/v1")
        first = post(gateway, {"X-Spillway-Timeout": "0.4"}, prompt=prompt, response_format="b64_json")
        running = gateway.client.get(f"{first.headers['location'].removeprefix('/v1')}/result")
        assert (running.status_code, running.headers["retry-after"]) == (202, "1")
        assert running.json()["status"] == "processing"
        runware.released.set()
        assert collected(gateway, first.headers["x-request-id"]).json()["data"][0]["b64_json"]
    assert simulator.made(prompt) == 1


def test_a_key_sees_its_own_requests_only(gateway):
    request_id = post(gateway, prompt=unique()).json()["id"]
    other = {"Authorization": "Bearer other-key"}
    for method, path in (("GET", ""), ("GET", "/result"), ("DELETE", "/payloads")):
        response = gateway.client.request(method, f"/requests/{request_id}{path}", headers=other)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "request_not_found")
    listed = gateway.client.get("/requests?limit=100", headers=other).json()["data"]
    assert request_id not in {one["id"] for one in listed}


def test_a_failed_request_tells_its_error(gateway):
    response = post(gateway, prompt=f"{unique()} [sim:moderation]")
    record = gateway.client.get(f"/requests/{response.headers['x-request-id']}").json()
    assert (record["status"], record["error"]["code"]) == ("failed", "content_policy_violation")
    result = gateway.client.get(f"/requests/{record['id']}/result")
    assert (result.status_code, result.json()["error"]) == (400, response.json()["error"])


def test_requests_are_listed_newest_first_in_pages_with_filters_and_sums(start_gateway):
    gateway = start_gateway()
    ids = [post(gateway, prompt=unique(), model=model).json()["id"] for model in ["srpo"] * 3 + ["flux.1-schnell"] * 2]
    page = gateway.client.get("/requests?limit=2").json()
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (ids[:2:-1], True)
    second = gateway.client.get(page["next_page_url"].removeprefix("/v1")).json()
    assert [one["id"] for one in second["data"]] == [ids[2], ids[1]]
    back = gateway.client.get(second["previous_page_url"].removeprefix("/v1")).json()
    assert [one["id"] for one in back["data"]] == ids[:2:-1]
    own = gateway.client.get("/requests?model=srpo&summary=true&status=completed").json()
    assert [one["id"] for one in own["data"]] == ids[2::-1]
    assert own["summary"]["requests"] == 3
    assert Decimal(own["summary"]["cost_text"]) == sum(Decimal(str(one["cost"])) for one in own["data"])
    assert own["summary"]["by_status"] == {"completed": 3}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "status=odd", "colour=red", "created_after=x", "starting_after=a&ending_before=b"]
)
def test_a_question_that_cannot_be_one_is_refused(gateway, query):
    assert gateway.client.get(f"/requests?{query}").status_code == 400


def test_payloads_can_be_forgotten_and_a_key_does_not_bring_them_back(gateway):
    headers, prompt = key(), unique()
    request_id = post(gateway, headers, prompt=prompt, response_format="b64_json").json()["id"]
    assert gateway.client.delete(f"/requests/{request_id}/payloads").status_code == 204
    assert gateway.client.get(f"/requests/{request_id}").json()["status"] == "completed"
    gone = gateway.client.get(f"/requests/{request_id}/result")
    again = post(gateway, headers, prompt=prompt, response_format="b64_json")
    for answer in (gone, again):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "result_gone")
    assert (again.headers["idempotent-replayed"], gateway.simulator.made(prompt)) == ("true", 1)
    assert post(gateway, key(), prompt=prompt, response_format="b64_json").status_code == 200
    assert gateway.simulator.made(prompt) == 2


def test_forgetting_takes_hosted_images_away_at_once(gateway):
    answer = post(gateway, prompt=unique(), output_format="gif").json()
    assert loopback.get(answer["data"][0]["url"]).status_code == 200
    assert gateway.client.delete(f"/requests/{answer['id']}/payloads").status_code == 204
    assert loopback.get(answer["data"][0]["url"]).status_code == 404


def test_a_link_of_ours_that_has_ended_is_renewed_for_whoever_may_ask_again(start_gateway, tmp_path):
    path = tmp_path / "journal.db"
    gateway = start_gateway(SPILLWAY_DATABASE_URL=f"sqlite:///{path}")
    headers, prompt = key(), unique()
    first = post(gateway, headers, prompt=prompt, output_format="gif")
    assert post(gateway, headers, prompt=prompt, output_format="gif").content == first.content
    (old,) = first.json()["data"]
    with sqlite3.connect(path) as journal:  # as if its hour had gone by
        lived = f'"expires_at":{old["expires_at"]}'
        journal.execute("update requests set answer = replace(answer, ?, ?)", (lived, '"expires_at":1'))
    time.sleep(1)
    (new,) = post(gateway, headers, prompt=prompt, output_format="gif").json()["data"]
    (collected,) = gateway.client.get(f"/requests/{first.json()['id']}/result").json()["data"]
    for item in (new, collected):
        assert (loopback.get(item["url"]).status_code, item["expires_at"] > old["expires_at"]) == (200, True)
    assert gateway.simulator.made(prompt) == 1


def test_a_forgotten_image_that_nobody_got_is_not_joined(gateway):
    prompt = f"{unique()} [sim:slow=1.5]"
    first = post(gateway, {"X-Spillway-Timeout": "0.5"}, prompt=prompt, response_format="b64_json")
    assert first.status_code == 504
    path = first.headers["location"].removeprefix("/v1")
    request_id = first.headers["x-request-id"]
    assert seen(lambda: status_of(gateway, request_id), lambda status: status == "completed") == "completed"
    assert gateway.client.delete(f"{path}/payloads").status_code == 204
    retry = post(gateway, {"x-stainless-retry-count": "1"}, prompt=prompt, response_format="b64_json")
    assert (retry.status_code, gateway.simulator.made(prompt)) == (200, 2)


# What is written down


def test_the_journal_holds_neither_images_nor_secrets_nor_prompts(start_gateway, tmp_path):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(tmp_path))
    prompt, headers = unique(), key()
    body = REQUEST | {"prompt": prompt, "image": data_uri(png(320, 320)), "response_format": "b64_json"}
    answer = gateway.client.post("/images/edits", json=body, headers=headers)
    text = answer.json()["data"][0]["b64_json"]
    written = b"".join(file.read_bytes() for file in tmp_path.glob("spillway.db*"))
    for secret in (prompt, text[100:160], "test-key", "test-runware-key", headers["Idempotency-Key"]):
        assert secret.encode() not in written
    keeping = start_gateway(SPILLWAY_DATA_DIR=str(tmp_path / "b"), SPILLWAY_STORE_PROMPTS="true")
    post(keeping, prompt=prompt)
    assert prompt.encode() in b"".join(file.read_bytes() for file in (tmp_path / "b").glob("spillway.db*"))


@pytest.mark.parametrize(
    ("path", "model", "fields"),
    [
        ("generations", "flux.2-pro", {"negative_prompt": "a hidden text"}),
        ("generations", "flux.2-pro", {"negative_prompt": "a hidden text", "n": 2}),
        ("generations", "flux.1-schnell", {"positivePrompt": "a hidden text"}),
        ("generations", "flux.1-schnell", {"apiKey": "https://hooks.example.com/?token=a hidden text"}),
        ("generations", "flux.1-schnell", {"taskUUID": "a hidden text, and longer than anything that has to be told again"}),
        ("edits", "bria-rmbg-v2-0", {"prompt": "a hidden text", "image": data_uri(png(320, 320))}),
    ],
    ids=["dropped", "dropped of two", "provider's name", "address", "long", "tool"],
)  # fmt: skip
def test_what_is_told_of_dropped_wishes_repeats_no_text(start_gateway, tmp_path, path, model, fields):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(tmp_path))
    answer = gateway.client.post(f"/images/{path}", json={"prompt": unique(), "model": model} | fields)
    assert answer.status_code == 200, answer.text
    name = next(iter(fields))
    assert [one["requested"] for one in answer.json()["metadata"]["adjustments"] if one["param"] == name] == [None]
    gateway.client.get(f"/requests/{answer.json()['id']}")
    assert b"hidden text" not in b"".join(file.read_bytes() for file in tmp_path.glob("spillway.db*"))


# Killed gateways


@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without"])
def test_an_image_bought_by_a_killed_gateway_is_found_booked_and_delivered(simulator, tmp_path, keyed):
    prompt, port = f"{unique()} [sim:slow=3]", free_port()
    url, headers = f"http://127.0.0.1:{port}/v1", {"Authorization": "Bearer test-key"} | (key() if keyed else {})
    with process(simulator, tmp_path, port) as running, concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(
            loopback.post,
            f"{url}/images/generations",
            json=REQUEST | {"prompt": prompt, "n": 2},
            headers=headers,
            timeout=30,
        )
        assert seen(lambda: simulator.asked(prompt), bool)
        running.kill()
        with pytest.raises(httpx2.HTTPError):
            asked.result()
    with process(simulator, tmp_path, port):
        retry = headers | {"x-stainless-retry-count": "1"}
        for _ in range(60):
            response = loopback.post(
                f"{url}/images/generations", json=REQUEST | {"prompt": prompt, "n": 2}, headers=retry, timeout=60
            )
            if response.status_code == 200:
                break
            time.sleep(0.5)
        assert len(response.json()["data"]) == 2, response.text
    tasks = simulator.tasks(prompt)
    assert sum(task["images"] for task in tasks) == 2
    with sqlite3.connect(tmp_path / "spillway.db") as journal:
        booked = sum(from_nanos(row[0]) for row in journal.execute("select cost from tasks where cost is not null"))
    assert booked == sum(Decimal(task["billed"]) for task in tasks)


def test_a_journal_that_does_not_answer_buys_nothing_and_says_so(start_gateway, tmp_path):
    path, prompt = tmp_path / "journal.db", unique()
    gateway = start_gateway(SPILLWAY_DATABASE_URL=f"sqlite:///{path}?timeout=0.2")
    known = post(gateway, prompt=unique()).json()["id"]
    assert seen(lambda: gateway.client.get(f"/requests/{known}").json()["delivered"], bool)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        refused = [post(gateway, prompt=prompt), gateway.client.get(f"/requests/{known}/result")]
        read = [gateway.client.get("/requests").json()["data"][0], gateway.client.get(f"/requests/{known}").json()]
        holder.execute("ROLLBACK")
    assert [(one["id"], one["status"]) for one in read] == [(known, "completed")] * 2, "what is known can be read"
    assert {one.status_code for one in refused} == {503}
    assert {one.json()["error"]["code"] for one in refused} == {"journal_unavailable"}
    assert {one.headers["x-should-retry"] for one in refused} == {"true"}
    assert gateway.simulator.made(prompt) == 0
    assert gateway.client.get(f"/requests/{known}").json()["status"] == "completed"
    assert post(gateway, prompt=prompt).status_code == 200
    assert gateway.simulator.made(prompt) == 1


@pytest.mark.parametrize(
    ("model", "n"), [("flux.1-schnell", 2), ("flux.2-pro", 3)], ids=["one task", "a task for each image"]
)
def test_what_runware_does_not_finish_in_time_is_looked_for_until_it_is_found(start_gateway, model, n):
    gateway = start_gateway(parts={"retries": replace(FAST, longest_work=0.6)})
    prompt, headers = f"{unique()} [sim:hang=4]", key()
    first = post(gateway, headers, prompt=prompt, model=model, n=n, size="1024x1024")
    assert (first.status_code, first.json()["error"]["code"]) == (504, "still_processing")
    assert gateway.client.get(first.headers["location"].removeprefix("/v1")).json()["status"] == "processing"
    again = post(gateway, headers, prompt=prompt, model=model, n=n, size="1024x1024")
    assert (again.status_code, len(again.json()["data"])) == (200, n)
    assert again.json()["id"] == first.headers["x-request-id"]
    record = gateway.client.get(f"/requests/{again.json()['id']}").json()
    tasks = gateway.simulator.tasks(prompt)
    assert Decimal(str(record["cost"])) == sum(Decimal(task["billed"]) for task in tasks)
    assert gateway.simulator.made(prompt) == n


def test_a_stream_whose_image_is_not_finished_in_time_says_where_to_ask_later(start_gateway, tmp_path):
    path = tmp_path / "journal.db"
    gateway = start_gateway(
        parts={"retries": replace(FAST, longest_work=0.6)}, SPILLWAY_DATABASE_URL=f"sqlite:///{path}"
    )
    prompt = f"{unique()} [sim:hang=2]"
    answer = post(gateway, prompt=prompt, stream=True)
    assert [event["error"]["code"] for event in events_of(answer)] == ["still_processing"]
    assert seen(lambda: connected(path), lambda count: count == 0) == 0, "who asks now is nobody else's neighbor"
    again = post(gateway, prompt=prompt, stream=True)
    assert [event["type"] for event in events_of(again)] == ["image_generation.completed"]
    assert again.headers["x-request-id"] == answer.headers["x-request-id"]
    found = collected(gateway, answer.headers["x-request-id"])
    assert (found.status_code, len(found.json()["data"]), gateway.simulator.made(prompt)) == (200, 1, 1)


def test_a_fault_of_our_own_after_the_purchase_loses_nothing(start_gateway, tmp_path):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(tmp_path))
    prompt, folder = unique(), tmp_path / "media"
    folder.touch()  # before the first image makes a folder: no image can be put into a file
    first = post(gateway, prompt=prompt, output_format="gif")
    folder.unlink()
    assert (first.status_code, first.json()["data"][0]["url"][:22]) == (200, "data:image/gif;base64,")
    record = gateway.client.get(f"/requests/{first.json()['id']}").json()
    assert (record["status"], gateway.simulator.made(prompt)) == ("completed", 1)


class Stumbling(HTTPTransport):
    """Fails unexpectedly, once, after Runware has answered."""

    stumbled = False

    async def post(
        self,
        body: bytes,
        key: RunwareKey | None,
        timeout_seconds: float,
        max_bytes: int = 0,
        permit: Permit | None = None,
    ) -> HTTPReply:
        reply = await super().post(body, key, timeout_seconds, permit=permit)
        if not self.stumbled:
            self.stumbled = True
            raise ZeroDivisionError
        return reply


def test_a_stream_that_meets_a_fault_of_our_own_says_where_its_image_will_be(start_gateway, simulator):
    address = f"{simulator.url}/v1"
    gateway, prompt = start_gateway(parts={"connect": lambda *_: Stumbling(address)}), unique()
    answer = post(gateway, prompt=prompt, stream=True)
    assert [event["error"]["code"] for event in events_of(answer)] == ["still_processing"]
    found = collected(gateway, answer.headers["x-request-id"])
    assert (found.status_code, len(found.json()["data"]), gateway.simulator.made(prompt)) == (200, 1, 1)
