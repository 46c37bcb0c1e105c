"""Who a caller with a Runware key is."""

import asyncio
import gc

import pytest
from pydantic import SecretStr

from app.access.authentication import KeyAuthenticator
from app.access.callers_keys import CallersKeys
from app.access.passthrough import PassthroughAuthenticator
from app.domain.caller import Caller
from app.errors import AuthenticationError
from app.observability.hidden import HiddenValues
from app.settings.named_keys import NamedKey
from tests.support.journals import ByHand, Clock, open_journal
from tests.support.ledgers import intent

KEY, OTHER, ADMIN = "k" * 32, "o" * 32, "an-administrators-key"


class House:
    """An authenticator with what it works on."""

    def __init__(self, secret: bytes = b"secret") -> None:
        self.keys, self.hidden = CallersKeys(), HiddenValues()
        own = KeyAuthenticator([], [NamedKey(SecretStr(ADMIN), "root")])
        self._authenticator = PassthroughAuthenticator(own, self.keys, self.hidden, secret)

    def ask(self, **headers: str) -> Caller:
        return asyncio.run(
            self._authenticator.authenticate({name.replace("_", "-"): headers[name] for name in headers})
        )


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"api_key": KEY}, {"x_api_key": KEY}],
)
def test_a_key_of_runware_is_its_caller_by_whatever_header_it_comes(headers):
    house = House()
    caller = house.ask(**headers)
    assert caller.runware_key.get_secret_value() == KEY
    assert house.keys.key_of(caller.tenant).secret is caller.runware_key
    assert not caller.is_admin
    assert KEY not in repr(caller)


def test_a_tenant_is_the_same_for_a_key_everywhere_and_another_with_another_key_or_secret():
    first, second = House(), House()
    assert first.ask(api_key=KEY).tenant == second.ask(x_api_key=KEY).tenant
    assert (
        len({first.ask(api_key=KEY).tenant, first.ask(api_key=OTHER).tenant, House(b"2").ask(api_key=KEY).tenant}) == 3
    )
    assert first.ask(api_key=KEY).tenant.startswith("rw_")


def test_what_a_callers_key_is_charged_for_is_written_down_in_every_database(database):
    journal = open_journal(database.fresh(), Clock())
    wanted = intent(tenant=House().ask(api_key=KEY).tenant)

    async def course():
        claim = await ByHand(journal).claim(wanted)
        return (await journal.history.find_request(claim.record.id, wanted.tenant)).tenant

    try:
        assert asyncio.run(course()) == wanted.tenant
    finally:
        journal.close()


def test_of_several_keys_the_bearer_token_counts():
    assert House().ask(api_key=OTHER, authorization=f"Bearer {KEY}").runware_key.get_secret_value() == KEY


@pytest.mark.parametrize("headers", [{"api_key": ADMIN}, {"authorization": f"Bearer {KEY}", "x_api_key": ADMIN}])
def test_an_administrator_is_known_and_no_key_is_taken_for_one_of_runware(headers):
    house = House()
    caller = house.ask(**headers)
    assert (caller.is_admin, caller.runware_key, caller.name) == (True, None, "root")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "k" * 15,
        "k" * 129,
        "k" * 16 + " k",
        "k" * 16 + '"',
        "k" * 16 + "\n" + "k" * 4,
        "ä" * 20,
        "=" * 20,
        "sk-spw-" + "k" * 30,
    ],
    ids=repr,
)
def test_what_can_be_no_key_of_runware_is_refused_and_not_remembered(key):
    house = House()
    with pytest.raises(AuthenticationError) as caught:
        house.ask(authorization=f"Bearer {key}")
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert not key or key not in caught.value.message


@pytest.mark.parametrize("key", ["k" * 16, "k" * 128, "a.B_c~d+e/f-g0123==" + "="])
def test_whatever_a_bearer_token_may_be_is_taken(key):
    assert House().ask(authorization=f"Bearer {key}").runware_key.get_secret_value() == key


def test_a_key_is_hidden_from_lines_as_long_as_it_is_known():
    house = House()
    caller = house.ask(api_key=KEY)
    assert house.hidden.clean(f"a={KEY}, b") == "a=[redacted], b"
    del caller
    for number in range(1_001):
        house.ask(api_key=f"{number:032}")
    gc.collect()
    assert house.hidden.clean(KEY) == KEY
