"""The form of a key, and what its checksum catches."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.key_format import ID_BYTES, SECRET_BYTES, digest_of, id_in, make_id, make_key

ID = make_id(bytes(range(ID_BYTES)))
KEY = make_key(ID, bytes(range(SECRET_BYTES)))


def test_a_key_is_known_by_its_beginning_and_names_its_id():
    assert re.fullmatch(r"sk-spw-[a-z2-7]{16}-[0-9A-Za-z]{39}", KEY)
    assert re.fullmatch(r"key_[a-z2-7]{16}", ID)
    assert id_in(KEY) == ID


@given(st.binary(min_size=ID_BYTES, max_size=ID_BYTES), st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES))
def test_every_key_is_read_back(id_bytes, secret_bytes):
    key_id = make_id(id_bytes)
    key = make_key(key_id, secret_bytes)
    assert (id_in(key), len(key)) == (key_id, len(KEY))


def test_two_secrets_are_two_keys():
    keys = {make_key(ID, bytes([*range(SECRET_BYTES - 1), last])) for last in range(256)}
    assert len(keys) == 256


@pytest.mark.parametrize("place", range(len(KEY)))
def test_a_wrong_letter_anywhere_is_caught(place):
    for letter in "aZ07-":
        if letter != KEY[place]:
            assert id_in(KEY[:place] + letter + KEY[place + 1 :]) is None


def test_swapped_missing_and_added_letters_are_caught():
    for place, (one, other) in enumerate(pairwise(KEY)):
        if one != other:
            assert id_in(KEY[:place] + other + one + KEY[place + 2 :]) is None
        assert id_in(KEY[:place] + KEY[place + 1 :]) is None
        assert id_in(KEY[:place] + "a" + KEY[place:]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-spw-",
        KEY.upper(),
        f" {KEY}",
        f"{KEY}\n",
        KEY + KEY,
        "sk-proj-1234567890",
        "\udcff",
        "sk-spw-" + "é" * 56,
    ],
    ids=ascii,
)
def test_what_is_no_key_names_no_id(text):
    assert id_in(text) is None


def test_a_digest_is_told_of_any_text():
    assert digest_of("a") != digest_of("b")
    assert len(digest_of("\udcff é")) == 64
