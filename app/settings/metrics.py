"""The settings of metrics: whether there are any, where, and who may read them."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from app.settings.groups import SettingsGroup

_SHORTEST_KEY = 16


class MetricsSettings(SettingsGroup):
    """What is counted, for Prometheus."""

    enabled: bool = Field(default=True, alias="SPILLWAY_METRICS", description="Count, and serve `/metrics`.")
    port: int | None = Field(
        None,
        alias="SPILLWAY_METRICS_PORT",
        ge=1,
        le=65535,
        description="A port of its own for `/metrics`, on the address of `SPILLWAY_HOST`; the main port then has none. "
        "Unset: the main port.",
    )
    # What it says of money is nobody's but the operator's (0150).
    key: SecretStr | None = Field(
        None,
        alias="SPILLWAY_METRICS_KEY",
        description="The key with which `/metrics` is read, as `Authorization: Bearer KEY`; at least 16 characters. "
        "Unset: the main port asks for an administrator's key where there are keys, a port of its own for none.",
    )
    folder: Path | None = Field(
        None,
        alias="SPILLWAY_METRICS_DIR",
        description="The folder in which the processes of one gateway count together. Set by `spillway serve`.",
    )

    @field_validator("key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _SHORTEST_KEY:
            message = f"expected at least {_SHORTEST_KEY} characters"
            raise ValueError(message)
        return value
