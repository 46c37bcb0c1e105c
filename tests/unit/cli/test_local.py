"""Which gateway the client commands speak to."""

import pytest

from app.cli.exits import CommandError
from app.cli.gateway import Address, find_gateway
from app.cli.local import read_variables

LOCAL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("named", "variables", "found"),
    [
        ((None, None), {}, Address(LOCAL, "")),
        ((None, None), {"SPILLWAY_PORT": "9000"}, Address("http://127.0.0.1:9000/v1", "")),
        ((None, None), {"SPILLWAY_PORT": "what"}, Address(LOCAL, "")),
        ((None, None), {"SPILLWAY_HOST": "0.0.0.0"}, Address(LOCAL, "")),
        ((None, None), {"SPILLWAY_HOST": "::", "SPILLWAY_PORT": "9000"}, Address("http://[::1]:9000/v1", "")),
        ((None, None), {"SPILLWAY_HOST": "10.1.2.3"}, Address("http://10.1.2.3:8000/v1", "")),
        ((None, None), {"SPILLWAY_API_KEYS": " a , b"}, Address(LOCAL, "a")),
        ((None, None), {"SPILLWAY_API_KEYS": "a", "SPILLWAY_API_KEY": "mine"}, Address(LOCAL, "mine")),
        ((None, "given"), {"SPILLWAY_API_KEYS": "a", "SPILLWAY_API_KEY": "mine"}, Address(LOCAL, "given")),
        (
            (None, None),
            {"SPILLWAY_BASE_URL": "https://x.example/v1/", "SPILLWAY_PORT": "9"},
            Address("https://x.example/v1", ""),
        ),
        (("https://x.example", None), {"SPILLWAY_API_KEYS": "a"}, Address("https://x.example", "")),
    ],
    ids=[
        "nothing",
        "port",
        "odd-port",
        "everywhere",
        "everywhere-v6",
        "host",
        "own-keys",
        "own-key-first",
        "option-first",
        "base-url",
        "no-own-key-for-others",
    ],
)
def test_the_gateway_that_is_named_or_the_one_of_this_machine(named, variables, found):
    assert find_gateway(*named, variables) == found


def test_the_process_wins_over_the_file_and_nothing_is_nothing(tmp_path):
    (tmp_path / ".env").write_text("SPILLWAY_PORT=1\nSPILLWAY_HOST=h\nRUNWARE_API_KEY=\n")
    found = read_variables(tmp_path / ".env", {"SPILLWAY_PORT": "2", "SPILLWAY_HOST": " "})
    assert found == {"SPILLWAY_PORT": "2"}


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["absent", "no-text"])
def test_a_file_that_cannot_be_read_says_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / ".env").write_bytes(content)
    assert read_variables(tmp_path / ".env", {}) == {}


def test_the_config_of_the_settings_is_read_too(tmp_path):
    (tmp_path / "own.toml").write_text('base_url = "https://x.example/v1"\napi_key = "mine"\nport = 1\n')
    (tmp_path / ".env").write_text(f"SPILLWAY_CONFIG={tmp_path / 'own.toml'}\nSPILLWAY_PORT=2\n")
    found = read_variables(tmp_path / ".env", {})
    assert find_gateway(None, None, found) == Address("https://x.example/v1", "mine")
    assert found["SPILLWAY_PORT"] == "2"


def test_a_config_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(CommandError, match="does not exist"):
        read_variables(tmp_path / ".env", {"SPILLWAY_CONFIG": str(tmp_path / "none.toml")})
