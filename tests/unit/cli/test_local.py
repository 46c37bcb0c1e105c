"""Which gateway the client commands speak to."""

import pytest

from app.cli.exits import CommandError
from app.cli.gateway import Address, find_gateway, refuse_stray_key
from app.cli.local import read_given, read_variables

LOCAL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("named", "variables", "found"),
    [
        ((None, None), {}, Address(LOCAL, "")),
        ((None, None), {"SPILLWAY_PORT": "9000"}, Address("http://127.0.0.1:9000/v1", "")),
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


@pytest.mark.parametrize("port", ["what", "0", "70000", "-1", "٣", "9" * 5000], ids=lambda port: port[:9])
def test_what_is_no_port_is_said_and_not_replaced(port):
    with pytest.raises(CommandError, match="SPILLWAY_PORT is no port: set a number from 1 to 65535"):
        find_gateway(None, None, {"SPILLWAY_PORT": port})


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


KEY = {"SPILLWAY_API_KEY": "mine"}


@pytest.mark.parametrize(
    ("file", "process", "named", "refused"),
    [
        pytest.param("SPILLWAY_BASE_URL=https://x.example/v1", KEY, (None, None), True, id="an address of the folder"),
        pytest.param("SPILLWAY_HOST=x.example", KEY, (None, None), True, id="a host of the folder"),
        pytest.param(
            "SPILLWAY_BASE_URL=https://x.example/v1\nSPILLWAY_API_KEY=its", KEY, (None, None), True, id="another key"
        ),
        pytest.param("SPILLWAY_CONFIG={toml}", KEY, (None, None), True, id="a file that the folder names"),
        pytest.param("", KEY | {"SPILLWAY_CONFIG": "{toml}"}, (None, None), False, id="a file of the environment"),
        pytest.param("SPILLWAY_HOST=0.0.0.0\nSPILLWAY_PORT=1", KEY, (None, None), False, id="this machine"),
        pytest.param(
            "SPILLWAY_BASE_URL=https://x.example/v1", KEY, ("https://x.example/v1", None), False, id="on purpose"
        ),
        pytest.param("SPILLWAY_BASE_URL=https://x.example/v1", KEY, (None, "typed"), False, id="a key that is typed"),
        pytest.param(
            "SPILLWAY_BASE_URL=https://x.example/v1\nSPILLWAY_API_KEY=its", {}, (None, None), False, id="one place"
        ),
        pytest.param(
            "SPILLWAY_BASE_URL=https://x.example/v1",
            KEY | {"SPILLWAY_BASE_URL": "https://own.example/v1"},
            (None, None),
            False,
            id="both in the environment",
        ),
        pytest.param("SPILLWAY_BASE_URL=https://x.example/v1", {}, (None, None), False, id="no key"),
    ],
)
def test_a_key_of_the_environment_goes_to_no_address_of_the_folder(tmp_path, file, process, named, refused):
    toml = tmp_path / "own.toml"
    toml.write_text('base_url = "https://x.example/v1"\n')
    (tmp_path / ".env").write_text(file.format(toml=toml))
    given = read_given(tmp_path / ".env", {name: value.format(toml=toml) for name, value in process.items()})
    if refused:
        with pytest.raises(CommandError, match=r"the key is not sent there: .*--base-url, or set both") as caught:
            refuse_stray_key(*named, given)
        assert caught.value.code == 2
    else:
        refuse_stray_key(*named, given)


def test_a_file_that_the_environment_names_by_a_path_of_the_folder_is_the_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text('base_url = "https://x.example/v1"\n')
    given = read_given(tmp_path / ".env", KEY | {"SPILLWAY_CONFIG": "./own.toml"})
    with pytest.raises(CommandError, match=r"stands in own\.toml"):
        refuse_stray_key(None, None, given)
