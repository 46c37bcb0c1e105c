"""Settings: defaults, the env file, and what is said of wrong ones."""

import pytest
from pydantic import SecretStr

from app.settings.load import InvalidSettingsError, load_settings, read_environment


def test_defaults_need_no_environment():
    settings = load_settings({})
    assert (
        settings.server.host,
        settings.server.port,
        settings.images.media_ttl,
        settings.images.max_image_pixels,
    ) == (
        "127.0.0.1",
        8000,
        3600,
        64_000_000,
    )


def test_an_env_file_fills_in_what_the_environment_lacks(tmp_path):
    (tmp_path / "e").write_text('SPILLWAY_PORT=1234\nSPILLWAY_API_KEYS="a, b"\n# comment\nSPILLWAY_HOST=10.0.0.1\n')
    settings = load_settings(read_environment(tmp_path / "e", {"SPILLWAY_HOST": "127.0.0.1"}))
    assert (settings.server.port, settings.server.host) == (1234, "127.0.0.1")
    assert settings.server.api_keys == (SecretStr("a"), SecretStr("b"))


@pytest.mark.parametrize("name", ["RUNWARE_API_KEY", "SPILLWAY_SECRET", "SPILLWAY_API_KEYS"])
def test_secrets_are_never_shown(name):
    assert "very-secret-value-1" not in repr(load_settings({name: "very-secret-value-1"}))


def test_a_misspelt_setting_is_told():
    with pytest.raises(InvalidSettingsError, match="did you mean SPILLWAY_API_KEYS"):
        load_settings({"SPILLWAY_API_KEYZ": "a"})
