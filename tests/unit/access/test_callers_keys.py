"""Which keys of callers are known, for how long, and who waits for one."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from app.access.callers_keys import CallersKeys

DAY = 86_400.0


class Clock:
    """A clock that a test moves on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def keys_of(clock: Callable[[], float] = lambda: 0.0) -> CallersKeys:
    return CallersKeys(capacity=3, newcomers=2, clock=clock)


def known(keys: CallersKeys, *tenants: str) -> list[str]:
    return [tenant for tenant in tenants if keys.key_of(tenant) is not None]


def remember(keys: CallersKeys, *tenants: str, proven: bool = False) -> None:
    for tenant in tenants:
        keys.remember(tenant, SecretStr(f"key of {tenant}"))
        if proven:
            keys.prove(tenant)


def test_a_key_that_was_shown_is_known_as_its_callers_own():
    keys = keys_of()
    assert keys.key_of("a") is None
    remember(keys, "a")
    key = keys.key_of("a")
    assert (key.secret.get_secret_value(), key.is_callers) == ("key of a", True)
    assert "key of a" not in repr(key)


def test_made_up_keys_drive_out_each_other_and_none_that_works():
    keys = keys_of()
    remember(keys, "a", "b", proven=True)
    remember(keys, *"123456789")
    assert known(keys, *"ab123456789") == ["a", "b", "8", "9"]


def test_of_keys_that_work_those_that_were_shown_last_stay():
    keys = keys_of()
    remember(keys, "a", "b", "c", proven=True)
    remember(keys, "a")
    remember(keys, "d", proven=True)
    assert known(keys, *"abcd") == ["a", "c", "d"]


@pytest.mark.parametrize("proven", [True, False])
def test_a_key_is_forgotten_a_day_after_it_was_last_shown(proven):
    clock = Clock()
    keys = keys_of(clock)
    remember(keys, "a", proven=proven)
    clock.now = DAY
    assert known(keys, "a")
    remember(keys, "a")
    clock.now = 2 * DAY
    assert known(keys, "a")
    clock.now = 2 * DAY + 1
    assert not known(keys, "a")
    remember(keys, "b")
    assert known(keys, "a", "b") == ["b"]


def test_whoever_waits_for_a_caller_is_woken_once_and_its_key_stays():
    keys, woken = keys_of(), []
    keys.await_callers(frozenset({"a", "b"}), lambda: woken.append(known(keys, "a")))
    remember(keys, "c")
    assert woken == []
    remember(keys, "a", "a")
    assert woken == [["a"]]
    remember(keys, *"123456789")
    assert known(keys, "a") == ["a"]


def test_to_prove_what_is_not_known_does_nothing():
    keys = keys_of()
    keys.prove("a")
    assert not known(keys, "a")
