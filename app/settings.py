"""All settings, in one frozen value built from the environment and an optional env file.

Owns names, defaults, ranges and the wording of a wrong value. Nothing is read at import, and there is no
global instance: `load_settings()` is called once by the command line.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET_FIELDS = frozenset({"runware_api_key", "api_keys", "secret", "database_url"})
CLIENT_VARIABLES = frozenset({"SPILLWAY_BASE_URL", "SPILLWAY_API_KEY"})
"""Read by the command line as a client of a gateway, not by the gateway."""
MIB = 1024 * 1024


class InvalidSettingsError(Exception):
    """One or more settings are wrong; `problems` holds one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseModel):
    """Every setting of the gateway. The description of each field is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    runware_api_key: SecretStr | None = Field(
        None, alias="RUNWARE_API_KEY", description="Your Runware key. Without one the built-in simulator answers."
    )
    runware_base_url: str = Field(
        "https://api.runware.ai/v1", alias="RUNWARE_BASE_URL", description="Where Runware's API is."
    )
    host: str = Field("127.0.0.1", alias="SPILLWAY_HOST", description="The address to listen on.")
    port: int = Field(8000, alias="SPILLWAY_PORT", ge=1, le=65535, description="The port to listen on.")
    api_keys: tuple[SecretStr, ...] = Field(
        (),
        alias="SPILLWAY_API_KEYS",
        description="Comma-separated keys that callers may use. None: no key is asked for.",
    )
    allow_anonymous: bool = Field(
        default=False,
        alias="SPILLWAY_ALLOW_ANONYMOUS",
        description="Serve without keys on an address that others can reach.",
    )
    public_url: str | None = Field(
        None,
        alias="SPILLWAY_PUBLIC_URL",
        description="The base of links to hosted pictures, for example https://images.example.com. "
        "Unset: the origin of each request.",
    )
    data_dir: Path = Field(Path("data"), alias="SPILLWAY_DATA_DIR", description="The folder for pictures made here.")
    catalog_dir: Path = Field(
        Path(__file__).resolve().parent.parent / "config" / "models",
        alias="SPILLWAY_CATALOG_DIR",
        description="The folder with the model catalog. Default: the one that comes with Spillway.",
        json_schema_extra={"shown_default": "config/models"},
    )
    default_model: str = Field(
        "flux.1-schnell", alias="SPILLWAY_DEFAULT_MODEL", description="The model of a generation that names none."
    )
    default_edit_model: str = Field(
        "riverflow-1-mini", alias="SPILLWAY_DEFAULT_EDIT_MODEL", description="The model of an edit that names none."
    )
    model_aliases: dict[str, str] = Field(
        default_factory=dict,
        alias="SPILLWAY_MODEL_ALIASES",
        description="Your own names, as `name=model,name=model`. They win over the catalog.",
    )
    default_response_format: Literal["url", "b64_json"] = Field(
        "url",
        alias="SPILLWAY_DEFAULT_RESPONSE_FORMAT",
        description="`url` or `b64_json`, when the caller does not say.",
    )
    secret: SecretStr | None = Field(
        None,
        alias="SPILLWAY_SECRET",
        description="Signs links to hosted pictures; at least 16 characters. Unset: derived from the Runware key.",
    )
    max_body_bytes: int = Field(
        64 * MIB, alias="SPILLWAY_MAX_BODY_BYTES", ge=1024, description="The largest request body, in bytes."
    )
    max_image_bytes: int = Field(
        32 * MIB, alias="SPILLWAY_MAX_IMAGE_BYTES", ge=1024, description="The largest single input picture, in bytes."
    )
    max_image_pixels: int = Field(
        64_000_000, alias="SPILLWAY_MAX_IMAGE_PIXELS", ge=1, description="The most pixels an input picture may have."
    )
    media_ttl: int = Field(
        3600, alias="SPILLWAY_MEDIA_TTL", ge=60, description="How long the link to a hosted picture lives, in seconds."
    )
    host_all_pictures: bool = Field(
        default=False,
        alias="SPILLWAY_HOST_ALL_PICTURES",
        description="Host every picture here, also those Runware could serve itself. On with the built-in simulator.",
    )
    database_url: SecretStr | None = Field(
        None,
        alias="SPILLWAY_DATABASE_URL",
        description="Where the journal is: postgresql://user:password@host/name, which gateways on several machines "
        "may share, or sqlite:///path. Unset: an SQLite file in the data folder.",
    )
    idempotency_ttl: int = Field(
        86_400,
        alias="SPILLWAY_IDEMPOTENCY_TTL",
        ge=60,
        description="How long answers are remembered for their Idempotency-Key, in seconds.",
    )
    adopt_window: float = Field(
        60.0,
        alias="SPILLWAY_ADOPT_WINDOW",
        ge=0,
        description="How long after a broken connection an equal request without a key joins the first, in seconds.",
    )
    store_prompts: bool = Field(
        default=False, alias="SPILLWAY_STORE_PROMPTS", description="Keep prompts in the journal."
    )
    max_in_flight: int = Field(
        512, alias="SPILLWAY_MAX_IN_FLIGHT", ge=1, description="How many Runware tasks run at once."
    )
    max_queued: int = Field(
        1024,
        alias="SPILLWAY_MAX_QUEUED",
        ge=0,
        description="How many requests wait for their turn, shared fairly by API keys; then 429 overloaded.",
    )
    grace: float = Field(
        25.0, alias="SPILLWAY_GRACE", ge=0, description="How long running work may end at shutdown, in seconds."
    )
    request_timeout: float = Field(
        300.0,
        alias="SPILLWAY_REQUEST_TIMEOUT",
        gt=0,
        description="How long a caller waits who does not say, in seconds; then 504 still_processing.",
    )
    sync_wait: float = Field(
        100.0,
        alias="SPILLWAY_SYNC_WAIT",
        gt=0,
        description="How long to wait for a synchronous Runware answer before collecting it by polling, in seconds.",
    )
    allow_private_input_urls: bool = Field(
        default=False,
        alias="SPILLWAY_ALLOW_PRIVATE_INPUT_URLS",
        description="Let callers name input pictures on private addresses (intranets only).",
    )
    allow_private_webhooks: bool = Field(
        default=False,
        alias="SPILLWAY_ALLOW_PRIVATE_WEBHOOKS",
        description="Let callers name webhooks over http and on private addresses (intranets only).",
    )
    log_format: Literal["console", "json"] = Field(
        "console", alias="SPILLWAY_LOG_FORMAT", description="`console` for people, `json` for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="SPILLWAY_LOG_LEVEL", description="`debug`, `info`, `warning` or `error`."
    )
    upstream_name: Literal["runware", "simulator"] = Field(
        "runware",
        alias="SPILLWAY_UPSTREAM_NAME",
        description="What answers at `RUNWARE_BASE_URL`. Set to `simulator` by `spillway serve` when it starts one.",
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("model_aliases", mode="before")
    @classmethod
    def _split_aliases(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs: dict[str, str] = {}
        for part in filter(None, (piece.strip() for piece in value.split(","))):
            name, equals, target = part.partition("=")
            if not (equals and name.strip() and target.strip()):
                message = "expected name=model pairs separated by commas, like gpt-image-1=riverflow-1"
                raise ValueError(message)
            pairs[name.strip()] = target.strip()
        return pairs

    @field_validator("runware_base_url", "public_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            message = "expected an http:// or https:// address"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = "" if value is None else value.get_secret_value().partition("://")[0].partition("+")[0]
        if value is not None and scheme not in {"postgresql", "postgres", "sqlite"}:
            message = "expected a postgresql:// or sqlite:/// address"
            raise ValueError(message)
        return value

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        minimum = 16
        if value is not None and len(value.get_secret_value()) < minimum:
            message = f"expected at least {minimum} characters"
            raise ValueError(message)
        return value

    def problems_together(self) -> list[str]:
        """Problems that only several settings together have, one line each."""
        if self.api_keys or self.allow_anonymous or self.host in LOOPBACK_HOSTS:
            return []
        reachable = f"SPILLWAY_HOST is {self.host!r}, which others can reach, and SPILLWAY_API_KEYS is empty"
        return [
            f"{reachable}: set SPILLWAY_API_KEYS, or SPILLWAY_ALLOW_ANONYMOUS=true if anyone may spend your credit."
        ]


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables, raising InvalidSettingsError with every problem at once."""
    names = [str(field.alias) for field in Settings.model_fields.values()]
    values = {name: environment[name] for name in names if environment.get(name, "").strip()}
    unknown = (name for name in environment if name.startswith("SPILLWAY_") and name not in names)
    problems = [problem for problem in (_explain_unknown(name, names) for name in unknown) if problem]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong = [_explain(str(problem["loc"][0]), str(problem["msg"]), values) for problem in error.errors()]
        raise InvalidSettingsError([*wrong, *problems]) from None
    problems += settings.problems_together()
    if problems:
        raise InvalidSettingsError(problems)
    return settings


def read_environment(env_file: Path | None, process: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the process (default: this one's) over those of the env file.

    Raises InvalidSettingsError when the file does not exist.
    """
    own = os.environ if process is None else process
    if env_file is None:
        return dict(own)
    if not env_file.is_file():
        raise InvalidSettingsError([f"The env file {env_file} does not exist."])
    values = dotenv_values(env_file, interpolate=False)
    return {**{name: value for name, value in values.items() if value is not None}, **own}


def _explain(name: str, reason: str, values: Mapping[str, str]) -> str:
    expected = reason.removeprefix("Value error, ").removeprefix("Input should be ")
    secret = any(field.alias == name and key in _SECRET_FIELDS for key, field in Settings.model_fields.items())
    shown = "the value given (not shown: it is a secret)" if secret else repr(values.get(name))
    return f"{name}: expected {expected.removeprefix('expected ')}; got {shown}."


def _explain_unknown(name: str, known: list[str]) -> str | None:
    if name in CLIENT_VARIABLES:
        return None
    near = get_close_matches(name, known, n=1, cutoff=0.85)
    return f"{name} is not a setting; did you mean {near[0]}?" if near else None
