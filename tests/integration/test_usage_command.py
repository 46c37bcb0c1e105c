"""`spillway usage`: the same sums from the database of the settings and from a running gateway."""

import json

import pytest

from tests.support.commands import spillway
from tests.support.processes import unique
from tests.support.waiting import seen

KEYS = {"SPILLWAY_API_KEYS": "mobile=test-key,other-key", "SPILLWAY_ADMIN_KEYS": "boss=admin-key"}
OTHER, ADMIN = {"Authorization": "Bearer other-key"}, {"Authorization": "Bearer admin-key"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def shop(start_gateway, folder):
    gateway = start_gateway(SPILLWAY_DATA_DIR=str(folder / "data"), **KEYS)
    for user in ("ann", "\x1b[2Jbob"):
        gateway.generate(prompt=unique(), user=user)
    gateway.client.post("/images/generations", json={"prompt": unique(), "size": "256x256"}, headers=OTHER)
    ended = seen(
        lambda: gateway.client.get("/usage?group_by=status", headers=ADMIN).json()["data"],
        lambda rows: [(row["status"], row["requests"]) for row in rows] == [("completed", 3)],
    )
    assert ended[0]["requests"] == 3
    return gateway


def test_the_database_and_the_gateway_say_the_same(shop, folder):
    settings = {"SPILLWAY_DATA_DIR": str(folder / "data"), **KEYS}
    for arguments in (
        ["--by", "key"],
        ["--by", "user"],
        ["--by", "model"],
        ["--key", "mobile"],
        ["--tz", "Asia/Tokyo"],
    ):
        here = spillway(folder, "usage", *arguments, "--json", **settings)
        there = spillway(folder, "usage", *arguments, "--json", "--base-url", shop.base_url, "--api-key", "admin-key")
        assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
        assert json.loads(here.stdout) == json.loads(there.stdout)
    assert json.loads(here.stdout)["total"]["requests"] == 3
    named = json.loads(spillway(folder, "usage", "--by", "key", "--json", **settings).stdout)["data"]
    assert sorted((str(row["name"]), row["requests"]) for row in named) == [("None", 1), ("mobile", 2)]


def test_a_table_has_a_bar_for_each_row_and_no_command_of_a_caller(shop, folder):
    settings = {"SPILLWAY_DATA_DIR": str(folder / "data"), **KEYS}
    shown = spillway(folder, "usage", "--by", "user", **settings, PYTHONIOENCODING="utf-8").stdout
    lines = shown.splitlines()
    assert lines[0].split() == ["user", "requests", "images", "cost", "p50", "p95"], "columns that say something"
    assert "…" not in shown, "half a figure is a wrong one"
    assert "\x1b[2J" not in shown
    for user in ("ann", "\ufffd[2Jbob"):
        (line,) = [one for one in lines if one.startswith(user)]
        assert line.split()[1:3] == ["1", "1"]
        assert "█" in line
    assert next(one for one in lines if one.startswith("total")).split()[1:3] == ["3", "3"]
    plain = spillway(folder, "usage", "--by", "status", **settings, PYTHONIOENCODING="ascii").stdout
    assert "#" in plain
    assert "█" not in plain


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--by", "color"], "group_by", id="a group that there is not"),
        pytest.param(["--tz", "Mars"], "tz", id="no zone"),
        pytest.param(["--key", "nobody"], "There is no key with this id or name.", id="no key"),
        pytest.param(["--from", "2026-05-02", "--to", "2026-05-01"], "`to` must be later than `from`.", id="backwards"),
    ],
)
def test_a_fault_is_one_sentence(folder, arguments, said):
    run = spillway(folder, "usage", *arguments, SPILLWAY_DATA_DIR=str(folder / "data"))
    assert (run.returncode, "Traceback" in run.stderr) == (5, False)
    assert said in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_nothing_used_is_a_table_too(folder):
    run = spillway(folder, "usage", SPILLWAY_DATA_DIR=str(folder / "data"))
    assert run.returncode == 0, run.stderr
    assert "total" in run.stdout
