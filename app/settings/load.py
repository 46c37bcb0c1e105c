"""All settings in one frozen value, read from the environment and an optional env file.

Nothing is read at import, and there is no global instance: `load_settings()` is called once by the command line.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from app.settings.groups import (
    ImageSettings,
    JournalSettings,
    LogSettings,
    ModelSettings,
    SettingsGroup,
    UpstreamSettings,
    WebhookSettings,
)
from app.settings.limits import LoadSettings, SpendingSettings
from app.settings.metrics import MetricsSettings
from app.settings.named_keys import NamedKey
from app.settings.retention import RetentionSettings
from app.settings.server import ServerSettings
from app.settings.sources import CONFIG, Given, SourceError, config_of, name_in_file, read_sources
from app.settings.storage import StorageSettings
from app.settings.traces import TraceSettings

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
CLIENT_VARIABLES = frozenset({"SPILLWAY_BASE_URL", "SPILLWAY_API_KEY", CONFIG})
"""Read by the command line, as a client of a gateway and to find settings; not by the gateway."""


class InvalidSettingsError(Exception):
    """One or more settings are wrong; `problems` holds one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseModel):
    """Every setting of the gateway by group, in the order of the documentation. Each part is given its own group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstream: UpstreamSettings = Field(default_factory=UpstreamSettings)
    server: ServerSettings = Field(default_factory=ServerSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    images: ImageSettings = Field(default_factory=ImageSettings)
    journal: JournalSettings = Field(default_factory=JournalSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    load: LoadSettings = Field(default_factory=LoadSettings)
    spending: SpendingSettings = Field(default_factory=SpendingSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    logs: LogSettings = Field(default_factory=LogSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    traces: TraceSettings = Field(default_factory=TraceSettings)

    @property
    def result_ttl(self) -> int:
        """How long the images of a request can be asked for again, in seconds."""
        return self.retention.result_ttl or self.journal.idempotency_ttl

    def secret_values(self) -> list[str]:
        """Whatever must not be shown anywhere: the values of all settings that are secrets."""
        values = [value for _, group in self for _, value in group]
        listed = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
        secrets = [one.key if isinstance(one, NamedKey) else one for one in listed]
        return [one.get_secret_value() for one in secrets if isinstance(one, SecretStr)]

    def cross_field_problems(self) -> list[str]:
        """Problems that only several settings together have, one line each."""
        problems, server = [], self.server
        # Refused at start: a gateway that anybody on the network can use spends money unnoticed.
        if not (server.has_keys or server.allow_anonymous or server.host in LOOPBACK_HOSTS):
            problems.append(
                f"SPILLWAY_HOST is {server.host!r}, which others can reach, and SPILLWAY_API_KEYS is empty: set "
                "SPILLWAY_API_KEYS or SPILLWAY_ADMIN_KEYS, or SPILLWAY_ALLOW_ANONYMOUS=true if anyone may spend your "
                "credit."
            )
        # Without keys the browser is the only guard; a page of anybody could then spend the operator's credit.
        if "*" in server.cors_origins and not server.has_keys:
            problems.append(
                "SPILLWAY_CORS_ORIGINS is * and SPILLWAY_API_KEYS is empty, so any web page that somebody opens could "
                "spend your credit: set SPILLWAY_API_KEYS, or name the origins."
            )
        # Two programs cannot listen on one port, and the words of the second one would not say why.
        if self.metrics.port == server.port:
            problems.append("SPILLWAY_METRICS_PORT is SPILLWAY_PORT: choose another one, or leave it out.")
        problems += self.storage.link_problems(self.images.media_ttl)
        return problems + self._passthrough_problems()

    def _passthrough_problems(self) -> list[str]:
        """What does not go together with keys that callers bring."""
        if not self.server.passes_keys_on:
            return []
        problems = []
        # There is no key of the gateway's to derive it from, and with a known one links and tenants could be forged.
        if self.journal.secret is None:
            problems.append("SPILLWAY_AUTH is passthrough and SPILLWAY_SECRET is empty: set it to a long random text.")
        # Refused, not ignored: whoever sets them expects them to matter.
        if self.upstream.runware_api_key is not None:
            problems.append("SPILLWAY_AUTH is passthrough, so RUNWARE_API_KEY pays for nothing: remove one of the two.")
        if self.server.api_keys:
            problems.append(
                "SPILLWAY_AUTH is passthrough, so callers send Runware keys: remove SPILLWAY_API_KEYS, or set "
                "SPILLWAY_AUTH=keys."
            )
        return problems


def _groups() -> dict[str, type[SettingsGroup]]:
    return {name: cast("type[SettingsGroup]", field.annotation) for name, field in Settings.model_fields.items()}


def setting_fields() -> dict[str, FieldInfo]:
    """Every setting by its environment variable, in the order in which they are documented."""
    fields = [field for group in _groups().values() for field in group.model_fields.values()]
    return {str(field.alias): field for field in fields}


def is_secret(setting: FieldInfo) -> bool:
    """Whether the value of a setting must not be shown."""
    annotation = str(setting.annotation)
    return SecretStr.__name__ in annotation or NamedKey.__name__ in annotation


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables, raising InvalidSettingsError with every problem at once."""
    known = setting_fields()
    values = {name: environment[name] for name in known if environment.get(name, "").strip()}
    # A misspelled variable would otherwise leave a limit at its default in silence.
    unknown = (name for name in environment if name.startswith("SPILLWAY_") and name not in known)
    problems = [problem for problem in (_explain_unknown(name, list(known)) for name in unknown) if problem]
    try:
        settings = _parse(values)
    except InvalidSettingsError as error:
        raise InvalidSettingsError([*error.problems, *problems]) from None
    problems += settings.cross_field_problems()
    if problems:
        raise InvalidSettingsError(problems)
    return settings


def _parse(values: Mapping[str, str]) -> Settings:
    """The settings of these values, each judged by itself."""
    try:
        return Settings.model_validate({name: _pick(group, values) for name, group in _groups().items()})
    except ValidationError as error:
        wrong = [_explain(str(problem["loc"][1]), str(problem["msg"]), values) for problem in error.errors()]
        raise InvalidSettingsError(wrong) from None


def _pick(group: type[SettingsGroup], values: Mapping[str, str]) -> dict[str, str]:
    """The variables of one group."""
    names = (str(field.alias) for field in group.model_fields.values())
    return {name: values[name] for name in names if name in values}


def read_environment(env_file: Path | None, process: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the process (default: this one's) over those of the env file, over those of SPILLWAY_CONFIG.

    Raises InvalidSettingsError when a file cannot be read.
    """
    return {name: given.value for name, given in find_given(env_file, process).items()}


def find_given(env_file: Path | None, process: Mapping[str, str] | None = None) -> dict[str, Given]:
    """Every variable with where it was given. Raises InvalidSettingsError when a file cannot be read."""
    own = os.environ if process is None else process
    try:
        found = read_sources(env_file, own)
    except SourceError as error:
        raise InvalidSettingsError([str(error)]) from None
    _refuse_strangers(found)
    return found


def check_config(found: Mapping[str, Given]) -> None:
    """Judge what stands in the file of SPILLWAY_CONFIG, and nothing besides. Raises InvalidSettingsError."""
    _refuse_strangers(found)
    config = config_of(found)
    own = {name: one.value for name, one in found.items() if one.origin == config and one.value.strip()}
    _parse({name: value for name, value in own.items() if name in setting_fields()})


def _refuse_strangers(found: Mapping[str, Given]) -> None:
    known, config = {*setting_fields(), *CLIENT_VARIABLES} - {CONFIG}, config_of(found)
    # Such a file holds settings and nothing else, so what is none of them is a mistake.
    problems = [
        _explain_stranger(one, config, known) for one in found if found[one].origin == config and one not in known
    ]
    if problems:
        raise InvalidSettingsError(problems)


def _explain_stranger(variable: str, config: str | None, known: set[str]) -> str:
    name = name_in_file(variable)
    near = get_close_matches(name, [name_in_file(one) for one in known], n=1, cutoff=0.6)
    hint = f"; did you mean `{near[0]}`?" if near else ". Settings stand at the top level, in lower case."
    return f"{CONFIG}: {config}: `{name}` is not a setting{hint}"


def _explain(name: str, reason: str, values: Mapping[str, str]) -> str:
    expected = reason.removeprefix("Value error, ").removeprefix("Input should be ")
    secret = is_secret(setting_fields()[name])
    # A mistake in a secret must not print it.
    shown = "the value given (not shown: it is a secret)" if secret else repr(values.get(name))
    if not secret and _may_hold_secret(name, values.get(name, "")):
        shown = "the value given (not shown: it may hold a secret)"
    return f"{name}: expected {expected.removeprefix('expected ')}; got {shown}."


def _may_hold_secret(name: str, value: str) -> bool:
    """Whether it is an address with more than a place in it: a name and password before @, or a signature after ?."""
    return ("@" in value or "?" in value) and ("://" in value or name.endswith(("_URL", "_ENDPOINT")))


def _explain_unknown(name: str, known: list[str]) -> str | None:
    if name in CLIENT_VARIABLES:
        return None
    near = get_close_matches(name, known, n=1, cutoff=0.85)
    return f"{name} is not a setting; did you mean {near[0]}?" if near else None
