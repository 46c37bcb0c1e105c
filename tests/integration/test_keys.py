"""Keys over HTTP: made, used, changed, rotated and revoked; and what an administrator sees of others."""

import time

import pytest

from tests.support import loopback
from tests.support.waiting import seen

ADMIN = {"Authorization": "Bearer boss-key"}


@pytest.fixture(scope="module")
def governed(start_shared_gateway):
    """A gateway with an administrator."""
    return start_shared_gateway(SPILLWAY_ADMIN_KEYS="boss=boss-key", SPILLWAY_API_KEYS="ci=test-key")


def ask(gateway, method: str, path: str, body: object = None, key: str = "boss-key"):
    headers = {"Authorization": f"Bearer {key}"}
    return loopback.request(method, f"{gateway.base_url}{path}", json=body, headers=headers, timeout=60)


def create(gateway, name: str, **fields: object) -> dict:
    answer = ask(gateway, "POST", "/keys", {"name": name} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(gateway, key: str) -> int:
    return ask(gateway, "GET", "/requests", key=key).status_code


def test_a_key_is_shown_once_and_opens(governed):
    answer = ask(governed, "POST", "/keys", {"name": "once", "budget": 20, "period": "month", "models": "flux*"})
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    key = made.pop("key")
    assert status(governed, key) == 200
    assert made["last_four"] == key[-4:]
    assert made["budget"] == {
        "limit": 20.0, "period": "month", "spent": 0.0, "reserved": 0.0, "remaining": 20.0,
        "resets_at": made["budget"]["resets_at"],
    }  # fmt: skip
    assert (made["object"], made["status"], made["models"], made["expires_at"]) == ("key", "active", ["flux*"], None)
    for path in ("/keys/once", f"/keys/{made['id']}", "/keys?limit=100", "/audit?limit=100"):
        assert key not in ask(governed, "GET", path).text


def test_the_use_of_a_key_is_seen(governed):
    made = create(governed, "used")
    assert made["last_used_at"] is None
    assert status(governed, made["key"]) == 200
    shown = seen(lambda: ask(governed, "GET", "/keys/used").json(), lambda one: one["last_used_at"] is not None)
    assert abs(shown["last_used_at"] - time.time()) < 120


def test_a_key_buys_what_is_its_own_and_its_account_says_so(governed):
    made, other = create(governed, "buyer", budget=5), create(governed, "stranger")
    body = {"prompt": "a harbor of a key", "size": "256x256"}
    answer = ask(governed, "POST", "/images/generations", body, key=made["key"])
    assert answer.status_code == 200, answer.text
    path = f"/requests/{answer.json()['id']}"
    assert [ask(governed, "GET", path, key=key["key"]).status_code for key in (made, other)] == [200, 404]
    cost = ask(governed, "GET", path, key=made["key"]).json()["cost"]
    budget = ask(governed, "GET", "/keys/buyer").json()["budget"]
    assert (budget["spent"], budget["reserved"]) == (cost, 0.0)
    assert budget["remaining"] == pytest.approx(5 - cost)
    changed = ask(governed, "PATCH", "/keys/buyer", {"budget": 10, "period": "month"}).json()["budget"]
    assert (changed["limit"], changed["spent"], changed["reserved"]) == (10.0, cost, 0.0)


def test_a_change_is_made_of_what_is_named(governed):
    create(governed, "changed", rpm=60, defaults={"response_format": "b64_json"})
    answer = ask(governed, "PATCH", "/keys/changed", {"rpm": None, "name": "renamed"}).json()
    assert (answer["rpm"], answer["name"], answer["defaults"]) == (None, "renamed", {"response_format": "b64_json"})
    assert ask(governed, "GET", "/keys/changed").json()["error"]["code"] == "key_not_found"


def test_a_key_of_the_database_may_be_an_administrators_and_stop_being_it(governed):
    made = create(governed, "second boss", admin=True)
    assert ask(governed, "GET", "/keys", key=made["key"]).status_code == 200
    assert ask(governed, "PATCH", "/keys/second boss", {"admin": False}, key=made["key"]).status_code == 200
    answer = ask(governed, "GET", "/keys", key=made["key"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "admin_required")


def test_a_rotated_key_opens_with_both_secrets_until_the_grace_is_over(governed):
    first = create(governed, "rotated")
    answer = ask(governed, "POST", "/keys/rotated/rotate", {"grace": "1h"})
    second = answer.json()
    assert (answer.headers["cache-control"], second["id"]) == ("no-store", first["id"])
    assert [status(governed, one["key"]) for one in (first, second)] == [200, 200]
    third = ask(governed, "POST", "/keys/rotated/rotate", {"grace": "1s"}).json()
    assert seen(lambda: status(governed, second["key"]), lambda said: said == 401) == 401
    refused = ask(governed, "GET", "/models", key=second["key"]).json()["error"]
    assert (refused["code"], "was replaced" in refused["message"]) == ("invalid_api_key", True)
    # There are two secrets at most: the first one ended with the second rotation.
    assert [status(governed, one["key"]) for one in (first, third)] == [401, 200]


def test_a_key_without_grace_ends_at_once_and_an_empty_body_means_a_day(governed):
    before = create(governed, "turned")
    after = ask(governed, "POST", "/keys/turned/rotate", {"grace": 0}).json()
    assert [status(governed, one["key"]) for one in (before, after)] == [401, 200]
    last = ask(governed, "POST", "/keys/turned/rotate").json()
    assert [status(governed, one["key"]) for one in (after, last)] == [200, 200]


def test_a_revoked_key_ends_at_once_and_says_so_to_who_has_it(governed):
    made = create(governed, "revoked")
    assert status(governed, made["key"]) == 200
    assert ask(governed, "DELETE", "/keys/revoked").json()["status"] == "revoked"
    refused = ask(governed, "GET", "/models", key=made["key"])
    assert (refused.status_code, "was revoked" in refused.json()["error"]["message"]) == (401, True)
    guessed = ask(governed, "GET", "/models", key=made["key"][:-1] + ("a" if made["key"][-1] != "a" else "b"))
    assert (guessed.status_code, "checksum" in guessed.json()["error"]["message"]) == (401, True)


def test_a_key_ends_when_it_expires(governed):
    made = create(governed, "short", expires_at="2s")
    assert seen(lambda: status(governed, made["key"]), lambda said: said == 401) == 401
    assert "expired" in ask(governed, "GET", "/models", key=made["key"]).json()["error"]["message"]
    assert ask(governed, "GET", "/keys/short").json()["status"] == "expired"


def test_keys_are_walked_through_by_the_addresses_of_their_pages(governed):
    names = [f"walked {number}" for number in range(5)]
    for name in names:
        create(governed, name)
    walked, path = [], "/v1/keys?limit=2"
    while path and len(walked) < 100:
        page = loopback.get(f"{governed.origin}{path}", headers=ADMIN).json()
        walked += [(one["id"], one["name"]) for one in page["data"]]
        path = page["next_page_url"]
    assert [name for _, name in walked if name in names] == names[::-1]
    assert len(walked) == len(set(walked))


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "param"),
    [
        ("POST", "/keys", {}, "missing_required_parameter", "name"),
        ("POST", "/keys", {"name": "x", "budgte": 5}, "unknown_parameter", "budgte"),
        ("POST", "/keys", {"name": "x", "budget": -5}, "invalid_value", "budget"),
        ("POST", "/keys", [1, 2], "invalid_value", "body"),
        ("GET", "/keys?status=odd", None, "invalid_value", "status"),
        ("GET", "/keys/nobody", None, "key_not_found", None),
        ("PATCH", "/keys/nobody", {"rpm": 1}, "key_not_found", None),
        ("DELETE", "/keys/nobody", None, "key_not_found", None),
        ("POST", "/keys/nobody/rotate", {}, "key_not_found", None),
        ("GET", "/audit?starting_after=x", None, "invalid_value", "starting_after"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_by_its_field(governed, method, path, body, code, param):
    error = ask(governed, method, path, body).json()["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_an_administrator_reads_what_others_asked_for_and_each_reading_is_written_down(governed):
    body = {"prompt": "a private harbor", "size": "256x256", "response_format": "b64_json"}
    headers = {"Authorization": "Bearer test-key", "Idempotency-Key": "of ci"}
    made = loopback.post(f"{governed.base_url}/images/generations", json=body, headers=headers, timeout=60).json()
    path = f"/requests/{made['id']}"
    own = seen(lambda: ask(governed, "GET", path, key="test-key").json(), lambda record: record["delivered"])
    assert ask(governed, "GET", path).json() == own
    result = ask(governed, "GET", f"{path}/result").json()
    assert result["data"][0]["b64_json"] == made["data"][0]["b64_json"]
    entries = ask(governed, "GET", f"/audit?target={made['id']}").json()["data"]
    assert [(one["actor"], one["action"]) for one in entries] == [("boss", "result.read"), ("boss", "request.read")]
    assert ask(governed, "DELETE", f"{path}/payloads").status_code == 404  # reading only
    assert ask(governed, "GET", "/requests/req_nobody").status_code == 404


def test_what_an_administrator_reads_is_not_delivered_to_its_owner(governed):
    body = {"prompt": "a harbor for later", "size": "256x256"}
    headers = {"Authorization": "Bearer test-key", "Prefer": "respond-async"}
    made = loopback.post(f"{governed.base_url}/images/generations", json=body, headers=headers, timeout=60).json()
    path = f"/requests/{made['id']}"
    assert seen(lambda: ask(governed, "GET", f"{path}/result").status_code, lambda said: said == 200) == 200
    assert ask(governed, "GET", path, key="test-key").json()["delivered"] is False
    assert ask(governed, "GET", f"{path}/result", key="test-key").status_code == 200
    assert seen(lambda: ask(governed, "GET", path, key="test-key").json()["delivered"], bool) is True


def test_the_secret_of_webhooks_is_kept_by_no_cache(governed):
    answer = ask(governed, "GET", "/webhooks/secret", key="test-key")
    assert answer.headers["cache-control"] == "no-store"
