"""Where settings come from, and a file of them in TOML."""

import pytest

from app.settings.load import InvalidSettingsError, find_given, load_settings, read_environment
from app.settings.sources import Given, SourceError, read_sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_environment_is_above_the_env_file_which_is_above_the_config(folder):
    (folder / "own.toml").write_text('host = "toml"\nport = 1\ngrace = "5s"\n')
    (folder / ".env").write_text("SPILLWAY_CONFIG=own.toml\nSPILLWAY_HOST=env-file\nSPILLWAY_PORT=2\n")
    found = read_sources(folder / ".env", {"SPILLWAY_HOST": "process"})
    assert found["SPILLWAY_HOST"] == Given("process", "environment")
    assert found["SPILLWAY_PORT"] == Given("2", str(folder / ".env"))
    assert found["SPILLWAY_GRACE"] == Given("5s", "own.toml")


def test_values_of_a_config_are_those_that_the_variables_would_hold(folder):
    (folder / "spillway.toml").write_text(
        'port = 9000\nrunware_api_key = "rw"\napi_keys = ["ci=one", "two"]\nstore_prompts = true\nsync_wait = 1.5\n'
        '[model_aliases]\nmine = \'riverflow-1\'\n"yours" = "flux.1-schnell"\n'
    )
    settings = load_settings(read_environment(None, {"SPILLWAY_CONFIG": "spillway.toml"}))
    assert (settings.server.port, settings.upstream.sync_wait, settings.journal.store_prompts) == (9000, 1.5, True)
    assert settings.upstream.runware_api_key.get_secret_value() == "rw"
    assert [one.name for one in settings.server.api_keys] == ["ci", ""]
    assert settings.models.model_aliases == {"mine": "riverflow-1", "yours": "flux.1-schnell"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(b"prot = 1", "`prot` is not a setting; did you mean `port`?", id="a name that is almost one"),
        pytest.param(b"[server]\nport = 1", "`server` is not a setting", id="a group"),
        pytest.param(b"spillway_port = 1", "`spillway_port` is not a setting", id="with the prefix"),
        pytest.param(b"config = 'other.toml'", "`config` is not a setting", id="a config that names another"),
        pytest.param(b"PORT = 1", "`PORT` must be written in lower case", id="upper case"),
        pytest.param(b"port = ", "is no TOML", id="no TOML"),
        pytest.param(b"\xff\xfe", "is no text in UTF-8", id="no text"),
        pytest.param(b"media_ttl = 2030-01-01", "`media_ttl` must be text, a number", id="a date"),
        pytest.param(b"api_keys = [['a']]", "`api_keys` must be text, a number", id="a list in a list"),
        pytest.param(b"a = " + b"[" * 5000, "is no TOML", id="nested without end"),
    ],
)
def test_what_is_wrong_with_a_config_is_one_sentence_with_its_name(folder, text, said):
    (folder / "own.toml").write_bytes(text)
    with pytest.raises(InvalidSettingsError) as caught:
        find_given(None, {"SPILLWAY_CONFIG": "own.toml"})
    (problem,) = caught.value.problems
    assert problem.startswith("SPILLWAY_CONFIG: own.toml")
    assert said in problem


@pytest.mark.parametrize(("name", "said"), [("none.toml", "does not exist"), (".", "cannot be read")])
def test_a_config_that_is_not_there_is_told(folder, name, said):
    with pytest.raises(SourceError, match=said):
        read_sources(None, {"SPILLWAY_CONFIG": name})


def test_no_config_is_named_by_nothing(folder):
    assert read_sources(None, {"SPILLWAY_CONFIG": " "}) == {"SPILLWAY_CONFIG": Given(" ", "environment")}
