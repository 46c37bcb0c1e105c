"""Who may call."""

import pytest

from app.access.authentication import ANONYMOUS, Authenticator
from app.errors import AuthenticationError


def test_without_keys_everybody_may_call():
    assert Authenticator([]).check({}) == ANONYMOUS


@pytest.mark.parametrize(
    "headers", [{"authorization": "Bearer one"}, {"authorization": "bearer  two "}, {"api-key": "one"}]
)
def test_a_known_key_may_call_and_has_a_stable_name(headers):
    name = Authenticator(["one", "two"]).check(headers)
    assert name == Authenticator(["two", "one"]).check(headers)
    assert "one" not in name


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "one"}, {"authorization": "Bearer three"}, {"authorization": "Bearer öne"}]
)
def test_any_other_key_may_not(headers):
    with pytest.raises(AuthenticationError):
        Authenticator(["one", "two"]).check(headers)
