"""The settings by group: names, defaults, ranges, descriptions and the wording of a wrong value.

Each group is one concern of the gateway; those of what may run and be spent are in `limits`. `load` puts them together
and reads the environment.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from app.settings.durations import Seconds, WholeSeconds

MIB = 1024 * 1024
_LEAST_SECRET = 16


def _check_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        message = "expected an http:// or https:// address"
        raise ValueError(message)
    # Paths are put behind it, and two slashes are another address to some servers.
    return value.rstrip("/")


def _own_catalog() -> Path:
    """The catalog that comes with Spillway: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    # In a wheel the catalog lies inside the package, in a checkout beside it.
    installed = package / "config" / "models"
    return installed if installed.is_dir() else package.parent / "config" / "models"


HttpUrl = Annotated[str, AfterValidator(_check_url)]
"""An http(s) address without a slash at its end."""


class SettingsGroup(BaseModel):
    """A frozen group of settings; each field's alias is its environment variable."""

    # Frozen: what a running process does cannot drift from what it was started with.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


class UpstreamSettings(SettingsGroup):
    """Runware, and how long it is waited for."""

    runware_api_key: SecretStr | None = Field(
        None, alias="RUNWARE_API_KEY", description="Your Runware key. Without one the built-in simulator answers."
    )
    runware_base_url: HttpUrl = Field(
        "https://api.runware.ai/v1", alias="RUNWARE_BASE_URL", description="Where Runware's API is."
    )
    upstream_name: Literal["runware", "simulator"] = Field(
        "runware",
        alias="SPILLWAY_UPSTREAM_NAME",
        description="What answers at `RUNWARE_BASE_URL`. Set to `simulator` by `spillway serve` when it starts one.",
    )
    sync_wait: Seconds = Field(
        100.0,
        alias="SPILLWAY_SYNC_WAIT",
        gt=0,
        description="How long to wait for a synchronous Runware answer before collecting it by polling, in seconds.",
    )
    request_timeout: Seconds = Field(
        300.0,
        alias="SPILLWAY_REQUEST_TIMEOUT",
        gt=0,
        description="How long a caller waits that sends no timeout, in seconds; then 504 still_processing.",
    )
    low_balance: Decimal | None = Field(
        None,
        alias="SPILLWAY_LOW_BALANCE",
        ge=0,
        max_digits=18,
        decimal_places=9,
        description="The balance at Runware in US dollars below which `/readyz` and the log warn. It is asked for "
        "every minute then. Unset: it is not watched.",
    )


class ModelSettings(SettingsGroup):
    """The catalog and the defaults of a request."""

    catalog_dir: Path = Field(
        default_factory=_own_catalog,
        alias="SPILLWAY_CATALOG_DIR",
        description="The folder with the model catalog. Default: the catalog that comes with Spillway.",
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


class ImageSettings(SettingsGroup):
    """Images in, and images hosted here."""

    max_image_bytes: int = Field(
        32 * MIB, alias="SPILLWAY_MAX_IMAGE_BYTES", ge=1024, description="The largest single input image, in bytes."
    )
    max_image_pixels: int = Field(
        64_000_000, alias="SPILLWAY_MAX_IMAGE_PIXELS", ge=1, description="The most pixels an input image may have."
    )
    max_output_pixels: int = Field(
        64_000_000,
        alias="SPILLWAY_MAX_OUTPUT_PIXELS",
        ge=1,
        description="The most pixels an image that is asked for may have.",
    )
    image_workers: int = Field(
        0,
        alias="SPILLWAY_IMAGE_WORKERS",
        ge=0,
        le=64,
        description="Processes that convert images. 0: one for each processor, at least 2 and at most 8.",
    )
    media_ttl: WholeSeconds = Field(
        3600, alias="SPILLWAY_MEDIA_TTL", ge=60, description="How long the link to a hosted image lives, in seconds."
    )
    host_all_images: bool = Field(
        default=False,
        # The name stays as it is: it stands in the files of operators.
        alias="SPILLWAY_HOST_ALL_PICTURES",
        description="Host every image here, even those Runware could serve itself. On with the built-in simulator.",
    )
    # Off: fetching addresses inside its network is what a gateway is misused for first.
    allow_private_input_urls: bool = Field(
        default=False,
        alias="SPILLWAY_ALLOW_PRIVATE_INPUT_URLS",
        description="Let callers name input images on private addresses (intranets only).",
    )


class JournalSettings(SettingsGroup):
    """What is kept, where, and how long."""

    data_dir: Path = Field(
        Path("data"),
        alias="SPILLWAY_DATA_DIR",
        description="The folder for what is stored here: the journal, hosted images and kept results.",
    )
    database_url: SecretStr | None = Field(
        None,
        alias="SPILLWAY_DATABASE_URL",
        description="Where the journal is: postgresql://user:password@host/name, which gateways on several machines "
        "may share, or sqlite:///path. Unset: an SQLite file in the data folder.",
    )
    # Apart from the Runware key, so that a new key does not end every link that was given out.
    secret: SecretStr | None = Field(
        None,
        alias="SPILLWAY_SECRET",
        description="Signs links to hosted images; webhook secrets and task ids under a key are derived from it, so "
        "put it into `SPILLWAY_OLD_SECRETS` when you replace it. At least 16 characters. Unset: derived from the "
        "Runware key.",
    )
    old_secrets: tuple[SecretStr, ...] = Field(
        (),
        alias="SPILLWAY_OLD_SECRETS",
        description="What `SPILLWAY_SECRET` was before, from the newest to the oldest, separated by commas: links live "
        "out their time, and task ids, tenants and webhooks stay good while it is listed.",
    )
    idempotency_ttl: WholeSeconds = Field(
        86_400,
        alias="SPILLWAY_IDEMPOTENCY_TTL",
        ge=60,
        description="How long an answer is remembered under its Idempotency-Key, in seconds.",
    )
    journal_ttl: WholeSeconds = Field(
        400 * 86_400,
        alias="SPILLWAY_JOURNAL_TTL",
        ge=3600,
        description="How long requests are kept, in seconds; then only their daily sums are. What is open, remembered "
        "under its key or not billed yet stays longer.",
    )
    # Long enough for the retries of SDKs, short enough that a new request is not taken for an old one (0062).
    adopt_window: Seconds = Field(
        60.0,
        alias="SPILLWAY_ADOPT_WINDOW",
        ge=0,
        description="How long after a broken connection an equal request without a key joins the first, in seconds.",
    )
    # Off: nothing here needs a prompt once its images are made, and prompts are private (0060).
    store_prompts: bool = Field(
        default=False, alias="SPILLWAY_STORE_PROMPTS", description="Store prompts in the journal."
    )

    @property
    def journal_url(self) -> str:
        """Where the journal is, with its password: not to be shown."""
        own = f"sqlite:///{(self.data_dir / 'spillway.db').resolve()}"
        return own if self.database_url is None else self.database_url.get_secret_value()

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
        if value is not None and len(value.get_secret_value()) < _LEAST_SECRET:
            message = f"expected at least {_LEAST_SECRET} characters"
            raise ValueError(message)
        return value

    @field_validator("old_secrets", mode="before")
    @classmethod
    def _split_secrets(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
        if any(len(part) < _LEAST_SECRET for part in parts):
            message = f"expected secrets of at least {_LEAST_SECRET} characters, separated by commas"
            raise ValueError(message)
        return parts


class WebhookSettings(SettingsGroup):
    """Calls to callers, and to the operator."""

    operator_webhook_url: SecretStr | None = Field(
        None,
        alias="SPILLWAY_OPERATOR_WEBHOOK_URL",
        description="Where warnings about budgets go whose keys have no webhook of their own.",
    )
    allow_private_webhooks: bool = Field(
        default=False,
        alias="SPILLWAY_ALLOW_PRIVATE_WEBHOOKS",
        description="Let callers name webhooks over http and on private addresses (intranets only).",
    )

    @property
    def operator_url(self) -> str | None:
        """The address as it is called."""
        return None if self.operator_webhook_url is None else self.operator_webhook_url.get_secret_value()

    # A secret: such addresses often are the whole of a permission to post somewhere.
    @field_validator("operator_webhook_url")
    @classmethod
    def _check_operator(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_url(value.get_secret_value())
        return value


class LogSettings(SettingsGroup):
    """What is written about requests."""

    log_format: Literal["console", "json"] = Field(
        "console", alias="SPILLWAY_LOG_FORMAT", description="`console` for people, `json` for machines."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="SPILLWAY_LOG_LEVEL", description="`debug`, `info`, `warning` or `error`."
    )
    share: float = Field(
        1.0,
        alias="SPILLWAY_LOG_SAMPLE",
        ge=0,
        le=1,
        description="The share of requests that went well which leave a line, 0 to 1. Those that failed always do.",
    )
