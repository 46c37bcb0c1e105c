"""Where a key may stand, and who it names."""

import pytest

from app.access.authentication import Authenticator
from app.domain.caller import ANONYMOUS
from app.errors import AuthenticationError

KEYS = Authenticator(["first-key", "second-key", "kéy"])


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first-key"},
        {"authorization": "bearer  first-key "},
        {"api-key": "first-key"},
        {"x-api-key": " first-key "},
        {"authorization": "Bearer of-the-sdk", "api-key": "first-key"},
        {"authorization": "Bearer of-the-sdk", "x-api-key": "first-key"},
        {"authorization": "Bearer first-key", "x-api-key": "of-something-else"},
        {"authorization": "Basic Zmlyc3Q6a2V5", "api-key": "first-key"},
        {"authorization": "Bearer ", "api-key": "first-key"},
    ],
    ids=str,
)
def test_a_valid_key_names_its_caller_wherever_it_stands(headers):
    assert KEYS.authenticate(headers) == KEYS.authenticate({"authorization": "Bearer first-key"})
    assert KEYS.authenticate(headers) != KEYS.authenticate({"api-key": "second-key"})


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "No API key"),
        ({"authorization": ""}, "No API key"),
        ({"authorization": "Bearer"}, "No API key"),
        ({"authorization": "first-key"}, "No API key"),
        ({"authorization": "Basic first-key"}, "No API key"),
        ({"x-api-key": "  "}, "No API key"),
        ({"authorization": "Bearer other"}, "not valid"),
        ({"api-key": "first-key2"}, "not valid"),
        ({"authorization": "Bearer a", "api-key": "b", "x-api-key": "c"}, "not valid"),
        ({"authorization": "Bearer first-key,second-key"}, "not valid"),
        ({"authorization": "Bearer \udcff"}, "not valid"),
        ({"authorization": "Bearer first-kéy"}, "not valid"),
    ],
    ids=str,
)
def test_nobody_else_gets_in(headers, said):
    with pytest.raises(AuthenticationError, match=said):
        KEYS.authenticate(headers)


def test_without_keys_everybody_is_anonymous():
    assert Authenticator([]).authenticate({"authorization": "Bearer anything"}) == ANONYMOUS


def test_a_key_has_the_same_name_whichever_keys_stand_beside_it():
    sent = {"api-key": "second-key"}
    assert Authenticator(["second-key"]).authenticate(sent) == KEYS.authenticate(sent)


def test_the_name_of_a_caller_shows_nothing_of_its_key():
    assert "first" not in KEYS.authenticate({"api-key": "first-key"}).tenant
