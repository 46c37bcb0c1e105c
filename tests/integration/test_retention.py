"""How long images stay, what may be stored, and what is left of what was deleted: over real sockets, files and rows."""

import contextlib
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import loopback, ordeals
from tests.support.object_stores import BUCKET, ObjectServer
from tests.support.processes import free_port
from tests.support.waiting import seen

SWEEPS_OFTEN = {"sweeps_every": 0.05}
HOSTED = {"output_format": "gif"}
EMBEDDED = {"response_format": "b64_json"}
KEYED = {"Idempotency-Key": "k"}
BACKGROUND = {"Prefer": "respond-async"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def start(start_gateway, folder):
    """A gateway on the folder of the test, which looks for expired images all the time."""

    def start(**variables):
        folder.mkdir(exist_ok=True)
        return start_gateway(SPILLWAY_DATA_DIR=str(folder), parts=SWEEPS_OFTEN, **variables)

    return start


def buy(gateway, headers=None, **fields):
    """An answer, which must be a good one."""
    return _post(gateway, headers, fields).raise_for_status().json()


def _post(gateway, headers, fields):
    body = {"prompt": "a quiet harbor", "size": "256x256"} | fields
    return gateway.client.post("/images/generations", json=body, headers=headers or {})


def files(folder: Path, prefix: str = "*") -> set[str]:
    """What is stored."""
    return {str(path.relative_to(folder)) for path in folder.glob(f"{prefix}/*") if path.is_file()}


@contextlib.contextmanager
def rows(folder: Path):
    """The database of the gateway, beside it."""
    with contextlib.closing(sqlite3.connect(folder / "spillway.db", timeout=30)) as connection:
        yield connection
        connection.commit()


def pass_time(folder: Path, seconds: float) -> None:
    """Let everything that is stored, or may be asked for, be so much nearer to its end."""
    with rows(folder) as connection:
        connection.execute("UPDATE stored_images SET expires_at = expires_at - ?", (seconds,))
        connection.execute("UPDATE requests SET images_until = images_until - ?", (seconds,))


def stored(folder: Path) -> list[tuple[str, int]]:
    """The rows of what is stored: how long it stays, and what it takes."""
    with rows(folder) as connection:
        found = connection.execute("SELECT path, expires_at - created_at, bytes FROM stored_images").fetchall()
    return sorted((path.split("/")[0], round(stays / 10) * 10, size) for path, stays, size in found)


def used(folder: Path) -> int:
    with rows(folder) as connection:
        return connection.execute("SELECT bytes FROM storage_use").fetchone()[0]


def test_an_image_goes_after_its_time_and_its_margin_and_one_with_more_time_stays(start, folder):
    gateway = start()
    short, long = buy(gateway, **HOSTED, ttl=60), buy(gateway, **HOSTED, ttl="30m")
    ends = [answer["data"][0]["expires_at"] - answer["created"] for answer in (short, long)]
    assert (60 <= ends[0] <= 120, 1800 <= ends[1] <= 1860) == (True, True)
    assert len(files(folder, "media")) == 2
    assert used(folder) == sum(path.stat().st_size for path in (folder / "media").iterdir())
    pass_time(folder, 60 + 59 - 30)
    time.sleep(0.3)  # several sweeps
    assert len(files(folder, "media")) == 2
    pass_time(folder, 32)
    assert len(seen(lambda: files(folder, "media"), lambda found: len(found) < 2)) == 1
    assert loopback.get(short["data"][0]["url"]).status_code == 404
    assert loopback.get(long["data"][0]["url"]).status_code == 200
    assert seen(lambda: len(stored(folder)), lambda count: count == 1) == 1


@pytest.mark.parametrize(
    ("keep", "headers", "fields", "expected"),
    [
        pytest.param("undelivered", None, EMBEDDED, [], id="embedded and received"),
        pytest.param("undelivered", KEYED, EMBEDDED, [("results", 7200)], id="embedded under a key"),
        pytest.param("undelivered", KEYED, {**EMBEDDED, "ttl": 90}, [("results", 90)], id="with a time of its own"),
        pytest.param("undelivered", None, HOSTED, [("media", 600)], id="hosted"),
        pytest.param("undelivered", KEYED, HOSTED, [("media", 7200)], id="hosted under a key"),
        pytest.param("all", None, EMBEDDED, [("results", 7200)], id="all: embedded"),
        pytest.param("all", None, HOSTED, [("media", 7200)], id="all: hosted"),
        pytest.param("none", KEYED, EMBEDDED, [], id="none: embedded under a key"),
        pytest.param("none", KEYED, HOSTED, [("media", 600)], id="none: hosted under a key"),
    ],
)
def test_what_is_stored_and_how_long_is_as_the_operator_says(start, folder, keep, headers, fields, expected):
    gateway = start(SPILLWAY_KEEP_RESULTS=keep, SPILLWAY_RESULT_TTL="2h", SPILLWAY_MEDIA_TTL="10m")
    buy(gateway, headers, **fields)
    kept = seen(lambda: [row[:2] for row in stored(folder)], lambda found: found == expected)
    assert kept == expected


def test_what_nobody_received_stays_collectable_where_nothing_is_kept(start, folder, simulator):
    gateway = start(SPILLWAY_KEEP_RESULTS="none")
    prompt = "[sim:plain] kept nowhere"
    first = _post(gateway, BACKGROUND, {**EMBEDDED, "prompt": prompt}).raise_for_status()
    address = f"/requests/{first.json()['id']}/result"
    assert seen(lambda: gateway.client.get(address[:-7]).json()["status"], lambda s: s == "completed") == "completed"
    assert files(folder, "results") == set()
    got = seen(lambda: gateway.client.get(address), lambda answer: answer.status_code != 202)
    assert (got.status_code, len(got.json()["data"][0]["b64_json"]) > 100) == (200, True)
    # Fetched, not bought: it lies here for those who asked, for minutes.
    assert (simulator.asked(prompt), [row[:2] for row in stored(folder)]) == (1, [("results", 600)])


@pytest.mark.parametrize("fields", [HOSTED, EMBEDDED], ids=["hosted", "embedded"])
def test_a_repeat_under_a_key_has_its_images_also_where_nothing_is_kept(start, folder, simulator, fields):
    gateway = start(SPILLWAY_KEEP_RESULTS="none")
    prompt = f"[sim:plain] once {sorted(fields)}"
    first = buy(gateway, KEYED, **fields, prompt=prompt)
    for path in files(folder):
        (folder / path).unlink()
    with rows(folder) as connection:  # its link has ended
        connection.execute('UPDATE requests SET answer = replace(answer, \'"expires_at":\', \'"expires_at":1,"was":\')')
    again = buy(gateway, KEYED, **fields, prompt=prompt)
    assert (again["id"], len(again["data"]), simulator.asked(prompt)) == (first["id"], 1, 1)
    if fields is HOSTED:
        assert loopback.get(again["data"][0]["url"]).status_code == 200
    else:
        assert again["data"][0]["b64_json"] == first["data"][0]["b64_json"]


def test_repeats_at_once_all_have_the_images_where_nothing_is_kept(start, folder, simulator):
    gateway = start(SPILLWAY_KEEP_RESULTS="none")
    wanted = {**EMBEDDED, "prompt": "[sim:plain] once for four"}
    first = buy(gateway, KEYED, **wanted)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: _post(gateway, KEYED, wanted), range(4)))
    assert [answer.status_code for answer in again] == [200] * 4
    assert {answer.json()["data"][0]["b64_json"] for answer in again} == {first["data"][0]["b64_json"]}
    assert simulator.asked(wanted["prompt"]) == 1


def test_after_their_time_images_are_gone_even_where_runware_has_them(start, folder):
    gateway = start(SPILLWAY_RESULT_TTL="60s")
    buy(gateway, KEYED, **EMBEDDED)
    pass_time(folder, 61)
    again = _post(gateway, KEYED, EMBEDDED)
    assert (again.status_code, again.json()["error"]["code"]) == (404, "result_gone")
    pass_time(folder, 61)
    assert seen(lambda: files(folder, "results"), lambda found: not found) == set()


def test_without_room_nothing_is_bought_that_needs_some(start, folder, simulator):
    gateway = start(SPILLWAY_STORAGE_MAX_BYTES="60000")
    answers, prompt = [], "a harbor without room"
    for _ in range(40):
        answers.append(_post(gateway, None, {**HOSTED, "size": "512x512", "prompt": prompt}))
        if answers[-1].status_code != 200:
            break
    refused, bought = answers[-1], simulator.asked(prompt)
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "storage_full")
    # No format is named as the way out: whether one needs room depends on the settings.
    assert "b64_json" in refused.json()["error"]["message"]
    assert "png" not in refused.json()["error"]["message"]
    assert (refused.headers["x-should-retry"], bought) == ("false", len(answers) - 1)
    assert used(folder) <= 60_000
    assert sum(path.stat().st_size for path in (folder / "media").iterdir()) == used(folder)
    # Runware's own links and base64 need no room, and what was bought before is joined.
    assert [_post(gateway, None, fields).status_code for fields in ({}, EMBEDDED)] == [200, 200]
    # What has expired goes at once, without its margin.
    pass_time(folder, 3600)
    assert _post(gateway, None, {**HOSTED, "size": "512x512"}).status_code == 200


def test_many_at_once_never_exceed_the_room_and_each_gets_its_image(start, folder):
    gateway = start(SPILLWAY_STORAGE_MAX_BYTES="60000")
    with ThreadPoolExecutor(24) as pool:
        wanted = {"prompt": "many harbors", "size": "512x512", **HOSTED}
        answers = list(pool.map(lambda _: _post(gateway, None, wanted), range(24)))
    assert {answer.status_code for answer in answers} <= {200, 507}
    urls = [answer.json()["data"][0]["url"] for answer in answers if answer.status_code == 200]
    assert urls
    assert all(url.startswith("data:image/gif") or loopback.get(url).status_code == 200 for url in urls)
    assert sum(path.stat().st_size for path in (folder / "media").iterdir()) == used(folder) <= 60_000


def test_what_is_deleted_is_found_nowhere(start, folder):
    gateway = start(SPILLWAY_STORE_PROMPTS="true")
    secret = "a prompt that only this test has 7f3b"
    hosted = buy(gateway, KEYED, **HOSTED, prompt=secret)
    kept = buy(gateway, {"Idempotency-Key": "other"}, **EMBEDDED, prompt=secret)
    other = buy(gateway, {"Idempotency-Key": "stays"}, **HOSTED, prompt="another one")
    url = hosted["data"][0]["url"]
    image = loopback.get(url).content
    assert found_in(folder, secret.encode())
    assert found_in(folder, image)
    for answer in (hosted, kept):
        assert gateway.client.delete(f"/requests/{answer['id']}/payloads").status_code == 204
    assert found_in(folder, secret.encode()) == []
    assert found_in(folder, image) == []
    assert (files(folder, "results"), len(files(folder, "media"))) == (set(), 1)
    assert loopback.get(url).status_code == 404
    assert loopback.get(other["data"][0]["url"]).status_code == 200
    for answer, key in ((hosted, "k"), (kept, "other")):
        assert gateway.client.get(f"/requests/{answer['id']}/result").json()["error"]["code"] == "result_gone"
        again = _post(gateway, {"Idempotency-Key": key}, {**(HOSTED if key == "k" else EMBEDDED), "prompt": secret})
        assert (again.status_code, again.json()["error"]["code"]) == (404, "result_gone")
        record = gateway.client.get(f"/requests/{answer['id']}").json()
        assert (record["status"], record["cost"]) == ("completed", answer["metadata"]["cost"])
    assert found_in(folder, secret.encode()) == []


def found_in(folder: Path, wanted: bytes) -> list[str]:
    """The files in which these bytes stand."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and wanted in path.read_bytes()]


@pytest.fixture
def bucket(monkeypatch):
    server = ObjectServer()
    for name, value in server.variables().items():
        monkeypatch.setenv(name, value)
    yield server
    server.close()


def test_a_store_that_is_away_loses_nothing_and_nothing_is_bought_for_it(start, folder, bucket, simulator):
    gateway = start(SPILLWAY_STORAGE_URL=f"s3://{BUCKET}/kept")
    link = buy(gateway, **HOSTED)["data"][0]["url"]
    assert loopback.get(link).status_code == 200
    prompt = "[sim:plain] a store that is away"
    with bucket.answering(403):
        # What is bought at that moment is handed over in the answer.
        first = buy(gateway, **HOSTED, prompt=prompt)
        assert first["data"][0]["url"].startswith("data:image/gif;base64,")
        refused = _post(gateway, None, {**HOSTED, "prompt": prompt})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_unavailable")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert simulator.asked(prompt) == 1
        assert [_post(gateway, None, fields).status_code for fields in ({}, EMBEDDED)] == [200, 200]
        # Background work that keeps its images goes on too: these are at Runware.
        later = _post(gateway, BACKGROUND, EMBEDDED).raise_for_status().json()["id"]
        record = seen(lambda: gateway.client.get(f"/requests/{later}").json(), lambda one: one["completed_at"])
        assert record["status"] == "completed"
    back = seen(lambda: _post(gateway, None, {**HOSTED, "prompt": prompt}), lambda answer: answer.status_code == 200)
    assert loopback.get(back.json()["data"][0]["url"]).status_code == 200
    got = seen(lambda: gateway.client.get(f"/requests/{later}/result"), lambda answer: answer.status_code == 200)
    assert got.json()["data"][0]["b64_json"]


def test_on_a_full_disk_nothing_is_lost_and_nothing_is_bought_for_it(simulator, tmp_path):
    wanted = {**HOSTED, "prompt": "a harbor on a full disk"}
    with ordeals.subject(simulator.url, tmp_path, free_port(), journal_on_disk=False) as one:
        with ordeals.full_disk(one):
            first = buy(one, **wanted)
            assert first["data"][0]["url"].startswith("data:image/gif;base64,")
            refused = [_post(one, None, wanted) for _ in range(3)]
            assert {(one.status_code, one.json()["error"]["code"]) for one in refused} == {(503, "storage_unavailable")}
            assert simulator.asked(wanted["prompt"]) == 1
            assert _post(one, None, {**EMBEDDED, "prompt": "needs no disk"}).status_code == 200
        back = seen(lambda: _post(one, None, wanted), lambda answer: answer.status_code == 200)
        assert one.client.get(back.json()["data"][0]["url"]).headers["content-type"] == "image/gif"


def test_a_deletion_while_the_store_is_away_is_carried_out_when_it_is_back(start, folder, bucket):
    gateway = start(SPILLWAY_STORAGE_URL=f"s3://{BUCKET}/deleted")
    hosted = buy(gateway, **HOSTED)
    with bucket.answering(403):
        refused = gateway.client.delete(f"/requests/{hosted['id']}/payloads")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_unavailable")
    assert gateway.client.delete(f"/requests/{hosted['id']}/payloads").status_code == 204
    assert not [name for name in bucket.names() if name.startswith("deleted/")]
    assert loopback.get(hosted["data"][0]["url"]).status_code == 404


def test_files_that_nobody_knows_of_are_deleted_too(start, folder):
    (folder / "media").mkdir(parents=True)
    orphan = folder / "media" / f"{'0' * 32}.png"
    orphan.write_bytes(b"of an older version")
    os.utime(orphan, (1.0, 1.0))
    start()
    assert not seen(orphan.exists, lambda there: not there)


def test_images_of_a_key_stay_as_long_as_the_key_says(start, folder):
    gateway = start(SPILLWAY_ADMIN_KEYS="admin-key")
    admin = {"Authorization": "Bearer admin-key"}
    made = gateway.client.post("/keys", headers=admin, json={"name": "brief", "media_ttl": "90s", "result_ttl": 120})
    body = made.raise_for_status().json()
    assert (body["media_ttl"], body["result_ttl"]) == (90, 120)
    brief = {"Authorization": f"Bearer {body['key']}", "Idempotency-Key": "k"}
    answer = buy(gateway, brief, **HOSTED)
    assert 90 <= answer["data"][0]["expires_at"] - answer["created"] <= 150
    assert [row[:2] for row in stored(folder)] == [("media", 120)]
    longer = buy(gateway, brief | {"Idempotency-Key": "l"}, **HOSTED, ttl=600)
    assert [(one["param"], one["applied"]) for one in longer["metadata"]["adjustments"]] == [("ttl", 120)]
    refused = _post(gateway, brief | {"Idempotency-Key": "m", "X-Spillway-Strict": "true"}, {**HOSTED, "ttl": 600})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "ttl")
    gateway.client.patch(f"/keys/{body['id']}", headers=admin, json={"media_ttl": None}).raise_for_status()
    usual = seen(
        lambda: buy(gateway, brief | {"Idempotency-Key": str(time.time())}, **HOSTED),
        lambda one: one["data"][0]["expires_at"] - one["created"] >= 3600,
    )
    assert usual["data"][0]["expires_at"] - usual["created"] >= 3600


def test_what_images_take_is_among_the_metrics(start, folder):
    gateway = start(SPILLWAY_ADMIN_KEYS="admin-key")
    buy(gateway, **HOSTED)

    def shown():
        text = loopback.get(f"{gateway.origin}/metrics", headers={"Authorization": "Bearer admin-key"}).text
        return [float(line.split()[-1]) for line in text.splitlines() if line.startswith("spillway_storage_bytes")]

    assert seen(shown, lambda values: values == [used(folder)]) == [used(folder)]
    assert used(folder) > 0
