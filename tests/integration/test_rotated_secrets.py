"""A secret is replaced while links, keys, webhooks and callers of its time are still about."""

import shutil
import uuid
from pathlib import Path

import pytest

from app.webhooks.dispatcher import DeliverySchedule
from tests.support import loopback
from tests.support.callers import PASSTHROUGH, Caller, new_key
from tests.support.processes import unique
from tests.support.receivers import QUICK, receiving, signature

OLD, NEW, NEWEST = "the secret of yesterday", "the secret of today", "the secret of tomorrow"
ROTATIONS = [
    pytest.param({"SPILLWAY_SECRET": NEW, "SPILLWAY_OLD_SECRETS": OLD}, id="once"),
    pytest.param({"SPILLWAY_SECRET": NEWEST, "SPILLWAY_OLD_SECRETS": f"{NEW}, {OLD}"}, id="twice"),
]
GIF = {"size": "256x256", "output_format": "gif"}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.mark.parametrize("rotated", ROTATIONS)
def test_links_live_out_their_time_and_new_ones_are_signed_anew(start_gateway, folder, rotated):
    before = start_gateway(SPILLWAY_SECRET=OLD, SPILLWAY_DATA_DIR=folder)
    path = before.generate(prompt=unique(), **GIF).json()["data"][0]["url"].removeprefix(before.origin)
    after = start_gateway(SPILLWAY_DATA_DIR=folder, **rotated)
    assert loopback.get(f"{after.origin}{path}").status_code == 200
    own = after.generate(prompt=unique(), **GIF).json()["data"][0]["url"].removeprefix(after.origin)
    assert loopback.get(f"{before.origin}{own}").status_code == 403, "the old secret signs nothing any more"
    body = {"prompt": unique(), "model": "riverflow-1-mini", "image": f"{after.origin}{path}", "size": "1024x1024"}
    assert after.client.post("/images/edits", json=body).status_code == 200


def test_a_secret_that_left_the_list_ends_what_it_signed(start_gateway, folder):
    before = start_gateway(SPILLWAY_SECRET=OLD, SPILLWAY_DATA_DIR=folder)
    path = before.generate(prompt=unique(), **GIF).json()["data"][0]["url"].removeprefix(before.origin)
    after = start_gateway(SPILLWAY_SECRET=NEW, SPILLWAY_DATA_DIR=folder)
    answer = loopback.get(f"{after.origin}{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "link_forged")


@pytest.mark.parametrize("journal", ["kept", "lost"])
@pytest.mark.parametrize("rotated", ROTATIONS)
def test_a_key_of_the_time_before_buys_nothing_again(start_gateway, simulator, folder, tmp_path, journal, rotated):
    body, headers = {"prompt": unique(), **GIF}, {"Idempotency-Key": uuid.uuid4().hex}
    before = start_gateway(SPILLWAY_SECRET=OLD, SPILLWAY_DATA_DIR=folder)
    first = before.client.post("/images/generations", json=body, headers=headers).json()
    where = folder if journal == "kept" else str(tmp_path / "another")
    after = start_gateway(SPILLWAY_DATA_DIR=where, **rotated)
    again = after.client.post("/images/generations", json=body, headers=headers).json()
    assert again["metadata"]["task_uuids"] == first["metadata"]["task_uuids"]
    assert simulator.made(body["prompt"]) == 1
    assert (again["id"] == first["id"]) is (journal == "kept")


@pytest.mark.parametrize("rotated", ROTATIONS)
def test_receivers_trust_webhooks_by_the_old_secret_until_they_have_the_new_one(start_gateway, folder, rotated):
    parts: dict[str, DeliverySchedule] = {"webhooks": QUICK}
    private = {"SPILLWAY_ALLOW_PRIVATE_WEBHOOKS": "true", "SPILLWAY_DATA_DIR": folder}
    before = start_gateway(SPILLWAY_SECRET=OLD, parts=parts, **private)
    known = before.client.get("/webhooks/secret").json()["secret"]
    after = start_gateway(parts=parts, **private, **rotated)
    shown = after.client.get("/webhooks/secret").json()["secret"]
    with receiving(200) as receiver:
        body = {"prompt": unique(), "webhook_url": receiver.url, **GIF}
        after.client.post("/images/generations", json=body, headers={"Prefer": "respond-async"})
        ((headers, content),) = receiver.wait_for(1)
    signatures = headers["webhook-signature"].split(" ")
    assert signatures[0] == signature(shown, headers, content)
    assert signatures[-1] == signature(known, headers, content)
    assert len(signatures) == 1 + len(rotated["SPILLWAY_OLD_SECRETS"].split(","))


@pytest.mark.parametrize("rotated", ROTATIONS)
def test_callers_with_their_own_keys_find_what_is_theirs(start_gateway, simulator, folder, rotated):
    key, body = new_key(), {"prompt": unique(), **GIF}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    own = {**PASSTHROUGH, "SPILLWAY_DATA_DIR": folder}
    earlier = Caller(start_gateway(**(own | {"SPILLWAY_SECRET": OLD})).origin, key)
    first = earlier.post("/images/generations", json=body, headers=headers).json()
    later = Caller(start_gateway(**(own | rotated)).origin, key)
    assert later.record(first["id"])["status"] == "completed"
    again = later.post("/images/generations", json=body, headers=headers)
    assert (again.headers["idempotent-replayed"], again.json()["id"]) == ("true", first["id"])
    assert simulator.made(body["prompt"]) == 1


def test_an_answer_that_is_given_again_after_the_change_has_a_link_that_opens(start_gateway, folder):
    body, headers = {"prompt": unique(), **GIF}, {"Idempotency-Key": uuid.uuid4().hex}
    before = start_gateway(SPILLWAY_SECRET=OLD, SPILLWAY_DATA_DIR=folder)
    before.client.post("/images/generations", json=body, headers=headers)
    after = start_gateway(SPILLWAY_SECRET=NEW, SPILLWAY_OLD_SECRETS=OLD, SPILLWAY_DATA_DIR=folder)
    again = after.client.post("/images/generations", json=body, headers=headers).json()["data"][0]["url"]
    assert loopback.get(f"{after.origin}{again.removeprefix(before.origin)}").status_code == 200


def test_a_runware_key_that_was_replaced_is_an_old_secret_too(start_gateway, folder):
    """Where there is no secret of its own, everything follows from the Runware key."""
    shutil.rmtree(folder, ignore_errors=True)
    before = start_gateway(RUNWARE_API_KEY="a-runware-key-of-yesterday", SPILLWAY_DATA_DIR=folder)
    path = before.generate(prompt=unique(), **GIF).json()["data"][0]["url"].removeprefix(before.origin)
    after = start_gateway(
        RUNWARE_API_KEY="a-runware-key-of-today",
        SPILLWAY_OLD_SECRETS="a-runware-key-of-yesterday",
        SPILLWAY_DATA_DIR=folder,
    )
    assert loopback.get(f"{after.origin}{path}").status_code == 200
