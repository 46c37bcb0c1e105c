"""What people look at beside what programs ask: who calls, requests by a part of their id, results without taking them."""

import pytest

from tests.support.callers import Caller
from tests.support.processes import unique
from tests.support.waiting import seen

ADMIN = "an-administrators-key"


@pytest.fixture(scope="module")
def shop(start_shared_gateway):
    return start_shared_gateway(
        SPILLWAY_API_KEYS="ann=key-of-ann,key-of-ben", SPILLWAY_ADMIN_KEYS=ADMIN, SPILLWAY_STORE_PROMPTS="true"
    )


@pytest.fixture
def ann(shop) -> Caller:
    return Caller(shop.origin, "key-of-ann")


def record(caller: Caller, id_: str) -> dict:
    return caller.get(f"/requests/{id_}").json()


def test_a_look_at_a_result_gives_its_images_and_delivers_nothing(ann):
    asked = ann.generate({"Prefer": "respond-async", "Idempotency-Key": unique()}, n=2)
    id_ = asked.json()["id"]
    seen(lambda: record(ann, id_), lambda one: one["status"] == "completed")
    look = ann.get(f"/requests/{id_}/result?peek=true")
    assert (look.status_code, len(look.json()["data"])) == (200, 2)
    assert (record(ann, id_)["delivered"], record(ann, id_)["delivered_at"]) == (False, None)
    taken = ann.get(f"/requests/{id_}/result")
    assert taken.json()["data"] == look.json()["data"]
    told = seen(lambda: record(ann, id_), lambda one: one["delivered"])
    assert told["delivered"]
    assert told["created_at"] <= told["delivered_at"]


def test_what_is_no_yes_or_no_is_refused(ann):
    id_ = ann.generate().json()["id"]
    error = ann.get(f"/requests/{id_}/result?peek=perhaps").json()["error"]
    assert (error["param"], error["code"]) == ("peek", "invalid_value")


@pytest.mark.parametrize("part", [slice(4, 16), slice(20, 36), slice(0, 36)], ids=["beginning", "end", "whole"])
def test_a_request_is_found_by_a_part_of_its_id(shop, ann, part):
    id_ = ann.generate().json()["id"]
    ann.generate()

    def found(caller: Caller) -> list[str]:
        return [one["id"] for one in caller.get(f"/requests?id={id_[part]}").json()["data"]]

    assert found(ann) == [id_]
    assert found(Caller(shop.origin, ADMIN)) == [id_]
    assert found(Caller(shop.origin, "key-of-ben")) == []


@pytest.mark.parametrize("part", ["%", "%25", "req%5C_", "_______________", "'; DROP TABLE requests", "x" * 5000])
def test_what_means_something_to_a_database_means_nothing_here(ann, part):
    ann.generate()
    answer = ann.get(f"/requests?id={part}")
    assert (answer.status_code, answer.json()["data"]) == (200, [])


def test_the_record_tells_the_plan_and_when_each_exchange_began(ann):
    prompt = f"{unique()} [sim:rate-limit=1]"
    id_ = ann.generate(prompt=prompt, model="flux.1-schnell", output_format="gif").json()["id"]
    told = record(ann, id_)
    first, second = told["attempts"]
    assert first["started_ms"] == 0
    assert second["started_ms"] >= first["duration_ms"]
    plan = told["plan"]
    assert [task["task_uuid"] for task in plan["tasks"]] == told["task_uuids"]
    assert sum(task["cost"] for task in plan["tasks"]) == told["cost"]
    assert (plan["size"], plan["runware_format"], plan["output_format"]) == ("256x256", "png", "gif")
    assert (told["prompt"], told["images_kept"]) == (prompt, True)
    assert all("prompt" not in one for one in ann.get("/requests?limit=100").json()["data"])


def test_who_calls_is_told_what_it_is_taken_for(shop, ann, start_gateway):
    admin = Caller(shop.origin, ADMIN)
    own = ann.get("/key").json()
    assert (own["name"], own["admin"], own["anonymous"], own["key"]) == ("ann", False, False, None)
    assert own["id"] == record(ann, ann.generate().json()["id"])["key"]
    assert admin.get("/key").json()["admin"] is True
    made = admin.post("/keys", json={"name": unique(), "budget": 3}).json()
    told = Caller(shop.origin, made["key"]).get("/key")
    assert told.headers["cache-control"] == "no-store"
    assert (told.json()["id"], told.json()["key"]["budget"]["limit"]) == (made["id"], 3)
    assert made["key"] not in told.text
    nobody = Caller(start_gateway(SPILLWAY_API_KEYS="").origin, headers={})
    assert nobody.get("/key").json() == {
        "object": "caller", "id": "anonymous", "name": None, "admin": False, "anonymous": True, "key": None,
    }  # fmt: skip
