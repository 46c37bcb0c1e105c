"""Addresses that no database can look up are the caller's mistake, and never look like a journal that is away."""

import pytest

from tests.support import loopback

ADMIN = {"Authorization": "Bearer an-administrators-key"}
QUESTIONS = [
    ("/requests", "starting_after"),
    ("/requests", "ending_before"),
    ("/requests", "model"),
    ("/requests", "status"),
    ("/requests", "key"),
    ("/keys", "starting_after"),
    ("/keys", "status"),
    ("/audit", "actor"),
    ("/audit", "action"),
    ("/audit", "target"),
    ("/usage", "key"),
    ("/usage", "tz"),
    ("/models", "anything"),
]
PATHS = ["/requests/req_%00", "/requests/a%00b/result", "/keys/key_%00", "/models/a%00b"]


@pytest.fixture(scope="module")
def origin(postgres, start_shared_gateway):
    """On PostgreSQL, whose texts hold no NUL."""
    return start_shared_gateway(
        SPILLWAY_DATABASE_URL=postgres.fresh(), SPILLWAY_ADMIN_KEYS="an-administrators-key"
    ).origin


@pytest.mark.parametrize(("path", "name"), QUESTIONS, ids=[f"{path[1:]} {name}" for path, name in QUESTIONS])
@pytest.mark.parametrize("value", ["%00", "a%00b"], ids=["alone", "inside"])
def test_a_nul_in_a_question_is_refused_by_its_name(origin, path, name, value):
    answer = loopback.get(f"{origin}/v1{path}?{name}={value}", headers=ADMIN)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert "NUL" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", PATHS)
def test_a_nul_in_a_path_is_refused(origin, path):
    answer = loopback.get(f"{origin}/v1{path}", headers=ADMIN)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "text", ["%ff%fe", "%ed%a0%80", "%F0%9F%98%80", "%2500"], ids=["no UTF-8", "half a character", "emoji", "no NUL"]
)
def test_other_odd_texts_are_looked_up_and_not_found(origin, text):
    listed = loopback.get(f"{origin}/v1/audit?actor={text}", headers=ADMIN)

    assert (listed.status_code, listed.json()["data"]) == (200, [])
    assert loopback.get(f"{origin}/v1/requests/{text}", headers=ADMIN).status_code == 404
