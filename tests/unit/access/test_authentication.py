"""Where a key may stand, who it names, and what is said of one that opens nothing."""

import asyncio
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from app.access.authentication import KeyAuthenticator
from app.access.key_cache import KeyCache
from app.access.key_format import SECRET_BYTES, make_key
from app.database.reader import Reader
from app.database.writer import Writer
from app.domain.caller import ANONYMOUS, Caller
from app.errors import AuthenticationError
from app.settings.named_keys import NamedKey
from tests.support.databases import SQLiteFolder, open_migrated
from tests.support.keys import numbered_key, put_key

NOW = 1_000_000.0


def named(*keys: str) -> list[NamedKey]:
    return [NamedKey(SecretStr(key)) for key in keys]


KEYS = KeyAuthenticator(named("first-key", "second-key", "kéy"))


def caller_of(headers: dict[str, str], keys: KeyAuthenticator = KEYS) -> Caller:
    return asyncio.run(keys.authenticate(headers))


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
    assert caller_of(headers) == caller_of({"authorization": "Bearer first-key"})
    assert caller_of(headers) != caller_of({"api-key": "second-key"})


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
        ({"authorization": f"Bearer {numbered_key(1)[1][:-1]}"}, "checksum"),
        ({"authorization": "Bearer a", "api-key": numbered_key(1)[1].lower()}, "checksum"),
    ],
    ids=str,
)
def test_nobody_else_gets_in(headers, said):
    with pytest.raises(AuthenticationError, match=said):
        caller_of(headers)


def test_without_keys_everybody_is_anonymous():
    assert caller_of({"authorization": "Bearer anything"}, KeyAuthenticator([])) == ANONYMOUS


def test_a_key_has_the_same_name_whichever_keys_stand_beside_it():
    sent = {"api-key": "second-key"}
    assert caller_of(sent, KeyAuthenticator(named("second-key"))) == caller_of(sent)


def test_the_name_of_a_caller_shows_nothing_of_its_key():
    assert "first" not in caller_of({"api-key": "first-key"}).tenant


def test_a_key_that_gets_a_name_keeps_what_it_had():
    called = KeyAuthenticator([NamedKey(SecretStr("first-key"), "ci")])
    before, after = caller_of({"api-key": "first-key"}), caller_of({"api-key": "first-key"}, called)
    assert (after.name, after) == ("ci", replace(before, name="ci"))


def test_keys_of_administrators_are_theirs_and_keep_strangers_out():
    keys = KeyAuthenticator(named("both"), named("both", "admin"))
    assert [caller_of({"api-key": key}, keys).is_admin for key in ("both", "admin")] == [True, True]
    only = KeyAuthenticator([], named("admin"))
    with pytest.raises(AuthenticationError):
        caller_of({}, only)
    assert not caller_of({"api-key": "first-key"}).is_admin


@dataclass
class Asked:
    """What one caller with a key of the database hears."""

    folder: object
    settings: tuple[str, ...] = ()

    def hears(self, sent: str | None, **known: object) -> Caller | str:
        engine = open_migrated(SQLiteFolder(self.folder).fresh())
        if known:
            put_key(engine, 1, **known)

        async def ask() -> Caller | str:
            writer = Writer(engine)
            reader = Reader(engine, writer)
            keys = KeyAuthenticator(named(*self.settings), cache=KeyCache(reader), clock=lambda: NOW)
            headers = {} if sent is None else {"authorization": f"Bearer {sent}"}
            try:
                return await keys.authenticate(headers)
            except AuthenticationError as error:
                return error.message
            finally:
                reader.close()
                writer.close()

        return asyncio.run(ask())


CURRENT = numbered_key(1)[1]
BEFORE = make_key(numbered_key(1)[0], b"b" * SECRET_BYTES)
GUESSED = make_key(numbered_key(1)[0], b"g" * SECRET_BYTES)
SOON, LONG_AGO = NOW + 1, NOW - 1


@pytest.mark.parametrize(
    ("sent", "known", "said"),
    [
        pytest.param(CURRENT, {}, None, id="valid"),
        pytest.param(CURRENT, {"expires_at": SOON}, None, id="not yet expired"),
        pytest.param(BEFORE, {"previous": (BEFORE, SOON)}, None, id="rotated, within grace"),
        pytest.param(CURRENT, {"previous": (BEFORE, SOON)}, None, id="the new one, within grace"),
        pytest.param(CURRENT, {"expires_at": NOW}, "expired on 1970-01-12 13:46:40 UTC", id="expired"),
        pytest.param(CURRENT, {"revoked_at": LONG_AGO}, "was revoked", id="revoked"),
        pytest.param(BEFORE, {"previous": (BEFORE, NOW)}, "was replaced", id="rotated, after grace"),
        pytest.param(BEFORE, {"previous": (BEFORE, SOON), "revoked_at": LONG_AGO}, "was revoked", id="all of it"),
        pytest.param(BEFORE, {"previous": (BEFORE, SOON), "expires_at": NOW}, "expired", id="expired within grace"),
        pytest.param(GUESSED, {"expires_at": NOW}, "not valid here", id="guessed, expired"),
        pytest.param(GUESSED, {"revoked_at": NOW}, "not valid here", id="guessed, revoked"),
        pytest.param(GUESSED, {"name": "a"}, "not valid here", id="guessed"),
        pytest.param(numbered_key(2)[1], {"name": "a"}, "not valid here", id="unknown"),
        pytest.param(CURRENT[:-1] + "!", {"name": "a"}, "checksum", id="mistyped"),
        pytest.param(None, {"name": "a"}, "No API key", id="none"),
        pytest.param(None, {"revoked_at": NOW}, "No API key", id="none, the only key revoked"),
    ],
)
def test_what_is_wrong_is_told_to_who_has_the_secret(tmp_path, sent, known, said):
    heard = Asked(tmp_path).hears(sent, **(known or {"name": "key 1"}))
    if said is None:
        assert isinstance(heard, Caller)
        assert (heard.tenant, heard.name, heard.key.id) == (numbered_key(1)[0], "key 1", numbered_key(1)[0])
    else:
        assert isinstance(heard, str)
        assert said in heard


@pytest.mark.parametrize("sent", [None, "anything", CURRENT], ids=["none", "any", "a key of nobody"])
def test_a_gateway_without_any_key_is_open(tmp_path, sent):
    assert Asked(tmp_path).hears(sent) == ANONYMOUS


def test_keys_of_the_settings_keep_a_gateway_closed(tmp_path):
    assert "No API key" in Asked(tmp_path, ("first-key",)).hears(None)
    assert isinstance(Asked(tmp_path, ("first-key",)).hears("first-key", revoked_at=1.0), Caller)
