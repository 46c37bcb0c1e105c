"""`spillway ledger verify` and its route: the same look, on the database of the settings and over HTTP."""

import json
import sqlite3

import httpx2
import pytest

from tests.support.commands import served, spillway

KEYS = {"SPILLWAY_API_KEYS": "test-key", "SPILLWAY_ADMIN_KEYS": "ops=admin-key", "SPILLWAY_LOG_LEVEL": "error"}


def asked(folder, origin: str, *more: str):
    return spillway(folder, "ledger", "verify", "--base-url", f"{origin}/v1", "--api-key", "admin-key", *more)


def test_the_ledger_is_verified_here_and_over_http_and_a_difference_is_named_with_exit_code_1(
    simulator, tmp_path, tmp_path_factory
):
    variables = KEYS | {"RUNWARE_API_KEY": "a-runware-key" * 32, "RUNWARE_BASE_URL": f"{simulator.url}/v1"}
    with served(tmp_path, **variables) as (origin, _):
        body = {"prompt": "a ledger", "model": "flux.1-schnell", "size": "256x256"}
        headers = {"Authorization": "Bearer test-key"}
        answer = httpx2.post(f"{origin}/v1/images/generations", json=body, headers=headers, timeout=60).json()
        cost = answer["metadata"]["cost"] if "cost" in answer["metadata"] else answer["cost"]
        here, there = spillway(tmp_path, "ledger", "verify", "--json", **KEYS), asked(tmp_path, origin, "--json")
        for finished in (here, there):
            assert finished.returncode == 0, finished.stderr
            found = json.loads(finished.stdout)
            assert (found["exact"], found["requests"], found["entries"]) == (True, 1, 2)
            assert found["spent"] == pytest.approx(cost, abs=0)
        assert "Every balance agrees." in asked(tmp_path, origin).stdout
        with sqlite3.connect(tmp_path / "spillway.db") as journal:
            journal.execute("UPDATE requests SET cost = cost + 1")
        for finished in (spillway(tmp_path, "ledger", "verify", **KEYS), asked(tmp_path, origin)):
            assert finished.returncode == 1
            assert f"request {answer['id']}: the ledger says" in finished.stdout
            assert "The balances do not agree." in finished.stdout
        elsewhere = {"SPILLWAY_BASE_URL": f"{origin}/v1", "SPILLWAY_API_KEY": "admin-key"}
        named = spillway(tmp_path_factory.mktemp("elsewhere"), "ledger", "verify", "--json", **elsewhere)
        assert (named.returncode, json.loads(named.stdout)["requests"]) == (1, 1), named.stderr
        refused = spillway(tmp_path, "ledger", "verify", "--base-url", f"{origin}/v1", "--api-key", "test-key")
        assert (refused.returncode, "administrator" in refused.stderr) == (3, True)
