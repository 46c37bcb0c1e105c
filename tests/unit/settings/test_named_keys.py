"""Keys of the settings, with and without names."""

import pytest

from app.settings.load import load_settings
from app.settings.named_keys import split_key


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        ("secret", "", "secret"),
        ("ci=secret", "ci", "secret"),
        (" team-a.2 = secret", "", "team-a.2 = secret"),
        ("ci=sec=ret", "ci", "sec=ret"),
        ("dGVzdA==", "", "dGVzdA=="),
        ("dGVzdDE=", "", "dGVzdDE="),
        ("ci=dGVzdA==", "ci", "dGVzdA=="),
        ("=secret", "", "=secret"),
        ("sk+abc/def=ghi", "", "sk+abc/def=ghi"),
    ],
)
def test_a_name_stands_before_its_key(text, name, key):
    assert split_key(text) == (name, key)


def test_keys_of_a_setting_are_separated_by_commas():
    server = load_settings({"SPILLWAY_API_KEYS": "ci=one, two,,", "SPILLWAY_ADMIN_KEYS": "ops=three"}).server
    named = [(one.name, one.key.get_secret_value()) for one in (*server.api_keys, *server.admin_keys)]
    assert named == [("ci", "one"), ("", "two"), ("ops", "three")]
