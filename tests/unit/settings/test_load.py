"""Settings: defaults, the env file, and what is said of wrong ones."""

import pytest
from pydantic import SecretStr

from app.settings.load import InvalidSettingsError, is_secret, load_settings, read_environment, setting_fields
from app.settings.named_keys import NamedKey


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
    assert settings.server.api_keys == (NamedKey(SecretStr("a")), NamedKey(SecretStr("b")))


@pytest.mark.parametrize("name", ["RUNWARE_API_KEY", "SPILLWAY_SECRET", "SPILLWAY_API_KEYS", "SPILLWAY_ADMIN_KEYS"])
def test_secrets_are_never_shown(name):
    assert "very-secret-value-1" not in repr(load_settings({name: "very-secret-value-1"}))


def test_a_misspelt_setting_is_told():
    with pytest.raises(InvalidSettingsError, match="did you mean SPILLWAY_API_KEYS"):
        load_settings({"SPILLWAY_API_KEYZ": "a"})


def test_every_setting_stands_in_one_group():
    settings = load_settings({})
    listed = [field.alias for _, group in settings for field in type(group).model_fields.values()]
    assert sorted(listed) == sorted(setting_fields())


def test_all_problems_are_said_at_once_group_after_group():
    wrong = {
        "SPILLWAY_LOG_LEVEL": "loud",
        "SPILLWAY_PORT": "http",
        "SPILLWAY_TRUSTED_PROXIES": "10.0.0.1,somewhere",
        "SPILLWAY_SYNC_WAIT": "0",
        "SPILLWAY_API_KEYZ": "a",
    }
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(wrong)
    names = [problem.partition(":")[0].partition(" ")[0] for problem in caught.value.problems]
    assert names == [
        "SPILLWAY_SYNC_WAIT",
        "SPILLWAY_PORT",
        "SPILLWAY_TRUSTED_PROXIES",
        "SPILLWAY_LOG_LEVEL",
        "SPILLWAY_API_KEYZ",
    ]


def test_a_wrong_value_is_shown_with_what_was_expected():
    with pytest.raises(InvalidSettingsError, match=r"^SPILLWAY_PORT: expected a valid integer.*; got 'http'\.$"):
        load_settings({"SPILLWAY_PORT": "http"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPILLWAY_STORAGE_URL", "s3://AKIA:secretstore@bucket/x"),
        ("SPILLWAY_STORAGE_URL", "s3:/AKIA:secretstore@bucket"),
        ("SPILLWAY_STORAGE_URL", "az://container?sig=secretstore"),
        ("RUNWARE_BASE_URL", "ftp://me:secretstore@host/v1"),
    ],
    ids=["a key of the store", "with a slash too few", "a signature", "a password of another address"],
)
def test_a_mistake_in_an_address_does_not_print_what_may_be_secret_in_it(name, value):
    with pytest.raises(InvalidSettingsError, match=rf"{name}: expected .*; got the value given") as caught:
        load_settings({name: value})
    assert "secretstore" not in str(caught.value)
    with pytest.raises(InvalidSettingsError, match=r"got 'ftp://host/path'\.$"):
        load_settings({"SPILLWAY_STORAGE_URL": "ftp://host/path"})


@pytest.mark.parametrize("name", ["SPILLWAY_SECRET", "SPILLWAY_OLD_SECRETS", "SPILLWAY_DATABASE_URL"])
def test_a_wrong_secret_is_not_shown(name):
    with pytest.raises(InvalidSettingsError, match="not shown: it is a secret") as caught:
        load_settings({name: "very-secret"})
    assert "very-secret" not in str(caught.value)


def test_the_log_knows_the_value_of_every_secret():
    given = {
        "RUNWARE_API_KEY": "runware-key",
        "SPILLWAY_SECRET": "s" * 16,
        "SPILLWAY_OLD_SECRETS": f"{'t' * 16}, {'u' * 16}",
        "SPILLWAY_DATABASE_URL": "postgresql://user:password@host/name",
        "SPILLWAY_API_KEYS": "one,name=two",
        "SPILLWAY_ADMIN_KEYS": "ops=three",
        "SPILLWAY_OPERATOR_WEBHOOK_URL": "https://example.com/hook",
        "SPILLWAY_METRICS_KEY": "m" * 16,
    }
    values = load_settings(given).secret_values()
    expected = [
        "runware-key",
        "s" * 16,
        "t" * 16,
        "u" * 16,
        "postgresql://user:password@host/name",
        "one",
        "two",
        "three",
    ]
    expected += [given["SPILLWAY_OPERATOR_WEBHOOK_URL"], "m" * 16]
    assert sorted(values) == sorted(expected)
    assert {name for name, field in setting_fields().items() if is_secret(field)} == set(given)


PASSING = {"SPILLWAY_AUTH": "passthrough", "SPILLWAY_SECRET": "s" * 16}


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"SPILLWAY_HOST": "0.0.0.0"}, "SPILLWAY_HOST"),
        ({"SPILLWAY_HOST": "0.0.0.0", "SPILLWAY_API_KEYS": "a"}, None),
        ({"SPILLWAY_HOST": "0.0.0.0", "SPILLWAY_ADMIN_KEYS": "a"}, None),
        ({"SPILLWAY_HOST": "0.0.0.0", "SPILLWAY_ALLOW_ANONYMOUS": "true"}, None),
        ({"SPILLWAY_HOST": "localhost"}, None),
        ({"SPILLWAY_CORS_ORIGINS": "*"}, "SPILLWAY_CORS_ORIGINS"),
        ({"SPILLWAY_CORS_ORIGINS": "*", "SPILLWAY_API_KEYS": "a"}, None),
        (PASSING, None),
        (PASSING | {"SPILLWAY_HOST": "0.0.0.0", "SPILLWAY_CORS_ORIGINS": "*"}, None),
        (PASSING | {"SPILLWAY_ADMIN_KEYS": "a"}, None),
        ({"SPILLWAY_AUTH": "passthrough"}, "SPILLWAY_AUTH is passthrough and SPILLWAY_SECRET is empty"),
        (PASSING | {"RUNWARE_API_KEY": "a-runware-key"}, "SPILLWAY_AUTH is passthrough, so RUNWARE_API_KEY"),
        (PASSING | {"SPILLWAY_API_KEYS": "a"}, "SPILLWAY_AUTH is passthrough, so callers send"),
    ],
    ids=str,
)
def test_settings_that_let_strangers_spend_are_refused_together(given, refused):
    if refused is None:
        assert load_settings(given)
        return
    with pytest.raises(InvalidSettingsError, match=f"^{refused}"):
        load_settings(given)
