"""Callers bring their own Runware keys: each pays for itself, sees its own, and its key is kept nowhere."""

import json

import pytest

from tests.support import loopback
from tests.support.callers import PASSTHROUGH, Caller, account_of, code_of, new_key
from tests.support.images import png
from tests.support.processes import unique
from tests.support.waiting import seen


@pytest.fixture(scope="module")
def passing(start_shared_gateway):
    """A gateway that passes keys on."""
    return start_shared_gateway(**PASSTHROUGH)


@pytest.fixture
def caller(passing):
    return Caller(passing.origin)


@pytest.mark.parametrize("header", ["Authorization", "api-key", "x-api-key"])
def test_a_task_is_paid_by_the_account_of_the_caller_who_asked_for_it(passing, simulator, header):
    key, prompt = new_key(), unique()
    caller = Caller(passing.origin, key, {header: f"Bearer {key}" if header == "Authorization" else key})
    assert caller.generate(prompt=prompt).status_code == 200
    assert [task["account"] for task in simulator.tasks(prompt)] == [account_of(key)]


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param({"stream": True}, id="stream"),
        pytest.param({"n": 3, "model": "bfl:5@1"}, id="split"),
        pytest.param({"response_format": "b64_json", "output_format": "gif"}, id="converted"),
        pytest.param({"prompt": "[sim:drop] {}"}, id="collected"),
        pytest.param({"prompt": "[sim:server-error=1] {}"}, id="retried"),
    ],
)
def test_every_exchange_of_a_request_is_in_its_callers_name(caller, simulator, ask):
    prompt = str(ask.get("prompt", "{}")).format(unique())
    answer = caller.generate(**ask | {"prompt": prompt})
    assert answer.status_code == 200
    assert "error" not in answer.text
    assert {task["account"] for task in simulator.tasks(prompt)} == {account_of(caller.key)}


def test_an_image_that_several_tasks_share_is_uploaded_and_deleted_in_its_callers_name(caller, simulator):
    def counts() -> tuple[int, int]:
        found = loopback.get(f"{simulator.url}/_simulator/ledger").json()
        return found["uploads"], found["deletions"]

    uploads, deletions = counts()
    prompt = unique()
    files = [("image", ("a.png", png(512, 512), "image/png"))]
    data = {"prompt": prompt, "n": "2", "model": "bfl:5@1"}
    assert caller.post("/images/edits", data=data, files=files).status_code == 200
    assert len(simulator.tasks(prompt)) == 2
    # The simulator lets an account delete its own uploads only.
    assert seen(counts, lambda found: found[1] > deletions) >= (uploads + 1, deletions + 1)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"prompt": "no marker {}"}, id="a-key-runware-does-not-know"),
        pytest.param({"prompt": "no marker {}", "n": 2, "model": "bfl:5@1"}, id="split"),
    ],
)
def test_a_key_that_runware_refuses_is_the_callers_own_401(passing, fields):
    caller = Caller(passing.origin, f"invalid{new_key()[:25]}")
    answer = caller.generate(**fields | {"prompt": fields["prompt"].format(unique())})
    assert code_of(answer) == (401, "invalid_api_key")
    assert (answer.json()["error"]["type"], answer.headers["x-should-retry"]) == ("authentication_error", "false")
    assert caller.record(answer.headers["x-request-id"])["cost"] == 0
    # No fault of the gateway: it stays in service.
    assert loopback.get(f"{passing.origin}/readyz").json()["problems"] == []


def test_a_stream_says_that_runware_refuses_its_key(passing):
    answer = Caller(passing.origin, f"invalid{new_key()[:25]}").generate(stream=True)
    assert '"invalid_api_key"' in answer.text


def test_a_refused_key_frees_the_idempotency_key_of_its_caller(caller, simulator):
    prompt, headers = unique(), {"Idempotency-Key": unique()}
    refused = caller.generate(headers, prompt=f"[sim:bad-key=1] {prompt}")
    assert code_of(refused) == (401, "invalid_api_key")
    again = caller.generate(headers, prompt=f"[sim:bad-key=1] {prompt}")
    assert again.status_code == 200
    assert [task["account"] for task in simulator.tasks(f"[sim:bad-key=1] {prompt}")] == [account_of(caller.key)]


def test_an_account_without_credit_is_its_callers_402(caller):
    answer = caller.generate(prompt=f"[sim:no-credits] {unique()}")
    assert code_of(answer) == (402, "insufficient_quota")
    assert "that pays for this request" in answer.json()["error"]["message"]


def test_a_key_that_is_taken_back_while_its_task_runs_leaves_the_request_open(caller, simulator):
    prompt = f"[sim:revoke-key][sim:drop] {unique()}"
    answer = caller.generate({"X-Spillway-Timeout": "2"}, prompt=prompt)
    assert code_of(answer) == (504, "still_processing")
    assert len(seen(lambda: simulator.tasks(prompt), len)) == 1


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no-token"),
        pytest.param("Bearer short", id="short"),
        pytest.param(f"Bearer {'a' * 129}", id="long"),
        pytest.param(f"Bearer {'a' * 20} {'b' * 20}", id="two-words"),
        pytest.param(f'Bearer {"a" * 20}"', id="quote"),
        pytest.param(f"Bearer {'ä' * 20}".encode("latin-1"), id="latin-1"),
        pytest.param(f"Bearer {'键' * 20}".encode(), id="utf-8"),
        pytest.param(f"Bearer {'a' * 20}\t{'b' * 3}", id="tab"),
        pytest.param(f"Basic {'a' * 32}", id="other-scheme"),
        pytest.param("Bearer sk-spw-abc-def", id="a-key-of-this-gateway"),
    ],
)
def test_what_is_no_key_is_refused_before_anything_is_read(passing, simulator, header):
    accepted = simulator.accepted()
    headers = {} if header is None else {"Authorization": header}
    with loopback.client(timeout=60) as client:
        answer = client.post(
            f"{passing.origin}/v1/images/generations", json={"prompt": "a pier", "size": "256x256"}, headers=headers
        )
    assert code_of(answer) == (401, "invalid_api_key")
    assert simulator.accepted() == accepted


def test_a_dry_run_sends_no_key_anywhere(passing, simulator):
    caller, prompt = Caller(passing.origin, f"invalid{new_key()[:25]}"), unique()
    answer = caller.post("/images/generations?dryRun=true", json={"prompt": prompt, "size": "256x256"})
    assert (answer.status_code, simulator.tasks(prompt)) == (200, [])


@pytest.mark.parametrize(
    ("param", "fields", "headers"),
    [
        ("prompt", {"prompt": "a KEY"}, {}),
        ("model", {"model": "KEY"}, {}),
        ("user", {"user": "KEY"}, {}),
        ("webhook_url", {"webhook_url": "https://example.com/?key=KEY"}, {}),
        ("api_key", {"api_key": "KEY"}, {}),
        ("settings", {"settings": {"deep": ["KEY"]}}, {}),
        ("body", {"KEY": 1}, {}),
        ("X-Client-Request-Id", {}, {"X-Client-Request-Id": "KEY"}),
    ],
    ids=str,
)
def test_a_request_that_repeats_its_key_is_refused_before_it_is_kept(caller, simulator, param, fields, headers):
    accepted = simulator.accepted()
    own = json.loads(json.dumps(fields).replace("KEY", caller.key))
    answer = caller.generate({name: value.replace("KEY", caller.key) for name, value in headers.items()}, **own)
    assert code_of(answer) == (400, "key_in_request")
    assert (answer.json()["error"]["param"], caller.key in answer.text) == (param, False)
    assert (caller.get("/requests").json()["data"], simulator.accepted()) == ([], accepted)


def test_a_key_that_a_client_of_runware_puts_into_the_body_is_dropped_and_not_repeated(caller):
    answer = caller.generate(apiKey=caller.key)
    assert (answer.status_code, caller.key in answer.text) == (200, False)
    assert [one["param"] for one in answer.json()["metadata"]["adjustments"]] == ["apiKey"]


def test_callers_see_their_own_requests_only(passing, caller):
    made = caller.generate(response_format="b64_json", headers={"Idempotency-Key": unique()}).json()["id"]
    other = Caller(passing.origin)
    assert [record["id"] for record in caller.get("/requests").json()["data"]] == [made]
    assert other.get("/requests").json()["data"] == []
    for method, path in [("GET", ""), ("GET", "/result"), ("DELETE", "/payloads")]:
        answer = other.request(method, f"/requests/{made}{path}")
        assert code_of(answer) == (404, "request_not_found")
    assert caller.result(made).status_code == 200
    secrets = {one.get("/webhooks/secret").json()["secret"] for one in (caller, other)}
    assert len(secrets) == 2


def test_equal_requests_and_idempotency_keys_of_two_callers_never_meet(passing, simulator):
    prompt, headers = unique(), {"Idempotency-Key": unique()}
    callers = [Caller(passing.origin), Caller(passing.origin)]
    answers = [caller.generate(headers, prompt=prompt) for caller in callers]
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(task["account"] for task in simulator.tasks(prompt)) == sorted(account_of(one.key) for one in callers)


def test_a_cost_that_comes_late_is_asked_for_in_the_callers_name(caller):
    made = caller.generate(prompt=f"[sim:late-cost=1] {unique()}").json()["id"]
    assert seen(lambda: caller.record(made), lambda record: record["cost"] is not None)["cost"] > 0


def test_an_administrator_reads_here_but_images_are_paid_by_callers(start_gateway, simulator):
    gateway = start_gateway(**PASSTHROUGH | {"SPILLWAY_ADMIN_KEYS": "root=an-administrators-key"})
    admin, prompt = Caller(gateway.origin, "an-administrators-key"), unique()
    assert admin.get("/requests").status_code == 200
    assert code_of(admin.generate(prompt=prompt)) == (403, "forbidden")
    # No account is the gateway's own.
    assert code_of(admin.get("/balance")) == (400, "unsupported_endpoint")
    assert simulator.tasks(prompt) == []
