"""A row of the journal that holds what nobody wrote is shown as such, and breaks nothing for the others."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.processes import unique
from tests.support.waiting import seen

ODD = [
    pytest.param("status = 'somewhere'", id="a status of the future"),
    pytest.param("answer = '{\"images\":'", id="an answer cut off"),
    pytest.param("answer = '[1, 2]'", id="an answer that is a list"),
    pytest.param(
        'answer = \'{"attempts": [1e400], "images": [], "adjustments": [NaN]}\'', id="numbers that no JSON has"
    ),
    pytest.param("answer = NULL, error = 'no JSON'", id="an error that is no JSON"),
    pytest.param("answer = NULL, error = '{}'", id="an error without members"),
    pytest.param("created_at = 'yesterday'", id="a time that is a word"),
    pytest.param("completed_at = 1e300", id="a time beyond calendars"),
    pytest.param("completed_at = 9e999", id="a time without end"),
    pytest.param("n = 'many'", id="a count that is a word"),
    pytest.param("estimate = '1e400'", id="an endless estimate"),
    pytest.param("cost = '1' || replace(hex(zeroblob(5000)), '00', '0')", id="an endless cost"),
    pytest.param("cost = 'NaN', known_cost = '-1'", id="costs that are none"),
]


def change(folder: Path, request_id: str, assignments: str) -> None:
    """Write into a row behind the gateway's back."""
    with sqlite3.connect(folder / "spillway.db", timeout=20) as connection:
        connection.execute(f"UPDATE requests SET {assignments} WHERE id = ?", [request_id])
    connection.close()


def status_of(gateway, request_id: str) -> str:
    return gateway.client.get(f"/requests/{request_id}").json()["status"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("assignments", ODD)
def test_one_odd_row_never_breaks_a_list(start_gateway, folder, assignments):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(folder))
    first, odd, last = (gateway.generate(prompt=unique()).json()["id"] for _ in range(3))
    change(folder, odd, assignments)
    page = gateway.client.get("/requests?summary=true")
    assert page.status_code == 200
    assert {first, last} <= {one["id"] for one in page.json()["data"]}
    assert odd in {one["id"] for one in page.json()["data"]}
    assert page.json()["summary"]["requests"] == 3
    record = gateway.client.get(f"/requests/{odd}")
    assert (record.status_code, record.json()["id"]) == (200, odd)
    unreadable = (record.json()["error"] or {}).get("code") == "unreadable_record"
    result = gateway.client.get(f"/requests/{odd}/result")
    assert result.status_code in ({500} if unreadable else {200, 500})
    if result.status_code == 500:
        assert result.json()["error"]["code"] == "unreadable_record"
    assert gateway.client.delete(f"/requests/{odd}/payloads").status_code == 204
    assert gateway.client.get(f"/requests/{first}/result").status_code == 200


@pytest.mark.parametrize(
    "assignments",
    [
        pytest.param("plan = 'no JSON', status = 'processing', answer = NULL", id="a plan that cannot be read"),
        pytest.param(
            "answer = 'no JSON', delivered_at = NULL, connected = 1", id="an undelivered answer that cannot be read"
        ),
    ],
)
def test_one_odd_row_never_keeps_others_from_being_resolved(start_gateway, folder, assignments):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(folder))
    odd, left = (gateway.generate(prompt=unique(), response_format="b64_json").json()["id"] for _ in range(2))
    behind = "owner = '', fence = fence + 1"
    change(folder, odd, f"{assignments}, {behind}")
    change(folder, left, f"status = 'processing', answer = NULL, delivered_at = NULL, {behind}")
    assert seen(lambda: status_of(gateway, left), lambda status: status == "completed", 60) == "completed"
    assert gateway.client.get(f"/requests/{left}/result").status_code == 200
    ends = {"completed", "failed"}
    assert seen(lambda: status_of(gateway, odd), ends.__contains__, 60) in ends


def as_once_written(plan: str) -> str:
    """The same plan in the form of versions before the output was stored as it is."""
    now = json.loads(plan)
    output = {name: value for name, value in now["output"].items() if name not in {"transparent", "link_seconds"}}
    finish = output.pop("composition")
    rest = {"requested_model": "m", "origin": now["origin"], "count": 1, "tasks": now["places"]}
    return json.dumps({**rest, **output, "finish": finish, "adjustments": now["adjustments"]})


@pytest.mark.parametrize("form", ["url", "b64_json"])
def test_what_an_older_version_left_behind_is_resolved(start_gateway, folder, form):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(folder))
    asked = {"size": "300x200", "fit": "cover", "output_format": "webp", "response_format": form}
    left = gateway.generate(prompt=unique(), **asked).json()["id"]
    with sqlite3.connect(folder / "spillway.db", timeout=20) as connection:
        ((plan,),) = connection.execute("SELECT plan FROM requests WHERE id = ?", [left]).fetchall()
        connection.execute("UPDATE requests SET plan = ? WHERE id = ?", [as_once_written(plan), left])
    connection.close()
    change(folder, left, "status = 'processing', answer = NULL, delivered_at = NULL, owner = '', fence = fence + 1")
    assert seen(lambda: status_of(gateway, left), lambda status: status == "completed", 60) == "completed"
    result = gateway.client.get(f"/requests/{left}/result").json()
    assert (result["size"], result["output_format"]) == ("300x200", "webp")
    assert [("url" if form == "url" else "b64_json") in image for image in result["data"]] == [True]
