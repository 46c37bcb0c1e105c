"""All settings in one frozen value, read from the environment and an optional env file.

Nothing is read at import, and there is no global instance: `load_settings()` is called once by the command line.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError

from app.settings.groups import (
    ImageSettings,
    JournalSettings,
    LoadSettings,
    LogSettings,
    ModelSettings,
    UpstreamSettings,
    WebhookSettings,
)
from app.settings.server import ServerSettings

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET_FIELDS = frozenset({"runware_api_key", "api_keys", "secret", "database_url"})
CLIENT_VARIABLES = frozenset({"SPILLWAY_BASE_URL", "SPILLWAY_API_KEY"})
"""Read by the command line as a client of a gateway, not by the gateway."""


class InvalidSettingsError(Exception):
    """One or more settings are wrong; `problems` holds one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(
    LogSettings,
    WebhookSettings,
    LoadSettings,
    JournalSettings,
    ImageSettings,
    ModelSettings,
    ServerSettings,
    UpstreamSettings,
):
    """Every setting of the gateway, in the order of the groups. The description of each field is its documentation."""

    def cross_field_problems(self) -> list[str]:
        """Problems that only several settings together have, one line each."""
        problems = []
        # Refused at start: a gateway that anybody on the network can use spends money unnoticed.
        if not (self.api_keys or self.allow_anonymous or self.host in LOOPBACK_HOSTS):
            problems.append(
                f"SPILLWAY_HOST is {self.host!r}, which others can reach, and SPILLWAY_API_KEYS is empty: set "
                "SPILLWAY_API_KEYS, or SPILLWAY_ALLOW_ANONYMOUS=true if anyone may spend your credit."
            )
        # Without keys the browser is the only guard; a page of anybody could then spend the operator's credit.
        if "*" in self.cors_origins and not self.api_keys:
            problems.append(
                "SPILLWAY_CORS_ORIGINS is * and SPILLWAY_API_KEYS is empty, so any web page that somebody opens could "
                "spend your credit: set SPILLWAY_API_KEYS, or name the origins."
            )
        return problems


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables, raising InvalidSettingsError with every problem at once."""
    names = [str(field.alias) for field in Settings.model_fields.values()]
    values = {name: environment[name] for name in names if environment.get(name, "").strip()}
    # A misspelled variable would otherwise leave a limit at its default in silence.
    unknown = (name for name in environment if name.startswith("SPILLWAY_") and name not in names)
    problems = [problem for problem in (_explain_unknown(name, names) for name in unknown) if problem]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong = [_explain(str(problem["loc"][0]), str(problem["msg"]), values) for problem in error.errors()]
        raise InvalidSettingsError([*wrong, *problems]) from None
    problems += settings.cross_field_problems()
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
    # The process wins, so that a container can override what its image has in a file.
    return {**{name: value for name, value in values.items() if value is not None}, **own}


def _explain(name: str, reason: str, values: Mapping[str, str]) -> str:
    expected = reason.removeprefix("Value error, ").removeprefix("Input should be ")
    secret = any(field.alias == name and key in _SECRET_FIELDS for key, field in Settings.model_fields.items())
    # A mistake in a secret must not print it.
    shown = "the value given (not shown: it is a secret)" if secret else repr(values.get(name))
    return f"{name}: expected {expected.removeprefix('expected ')}; got {shown}."


def _explain_unknown(name: str, known: list[str]) -> str | None:
    if name in CLIENT_VARIABLES:
        return None
    near = get_close_matches(name, known, n=1, cutoff=0.85)
    return f"{name} is not a setting; did you mean {near[0]}?" if near else None
