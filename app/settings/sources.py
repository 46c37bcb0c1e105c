"""Where settings come from: the process's variables, over those of an env file, over a TOML file that they name.

Owns reading the files and what each value becomes as text. Leaves what a setting may be to `load`. Imports little: the
client and the health check of a container read where their gateway is, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONFIG = "SPILLWAY_CONFIG"
ENVIRONMENT = "environment"
_PREFIX = "SPILLWAY_"
_OTHER_PREFIXES = ("runware_", "otel_")


class SourceError(Exception):
    """A file of settings cannot be read; the message is a sentence for its writer."""


class EnvFileError(SourceError):
    """It is the env file."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value as text, and what it was given in: the environment, or the name of a file."""

    value: str
    origin: str


def read_sources(env_file: Path | None, process: Mapping[str, str]) -> dict[str, Given]:
    """Every variable that is given anywhere, the nearest source of each. Raises SourceError."""
    found = {} if env_file is None else _read_env_file(env_file)
    # The process wins, so that a container can override what its image has in a file.
    found |= {name: Given(value, ENVIRONMENT) for name, value in process.items()}
    config = config_of(found)
    return found if config is None else {**_read_toml(Path(config)), **found}


def config_of(found: Mapping[str, Given]) -> str | None:
    """The origin that the values of the TOML file have, where one is named."""
    named = found[CONFIG].value.strip() if CONFIG in found else ""
    return str(Path(named)) if named else None


def name_in_file(variable: str) -> str:
    """What a setting is called in a TOML file."""
    return variable.removeprefix(_PREFIX).lower()


def _read_env_file(path: Path) -> dict[str, Given]:
    from dotenv import dotenv_values  # noqa: PLC0415 - most commands of the client have no such file

    if not path.is_file():
        raise EnvFileError(f"The env file {path} does not exist.")
    try:
        values = dotenv_values(path, interpolate=False)
    except OSError as error:
        raise EnvFileError(f"The env file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise EnvFileError(f"The env file {path} is no text in UTF-8.") from None
    return {name: Given(value, str(path)) for name, value in values.items() if value is not None}


def _read_toml(path: Path) -> dict[str, Given]:
    import tomllib  # noqa: PLC0415 - most have no such file

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{CONFIG}: the file {path} does not exist.") from None
    except OSError as error:
        raise SourceError(f"{CONFIG}: {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SourceError(f"{CONFIG}: {path} is no text in UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SourceError(f"{CONFIG}: {path} is no TOML: {error}.") from None
    if name_in_file(CONFIG) in values:
        raise SourceError(f"{CONFIG}: {path}: `config` is not a setting of such a file: it can name no other one.")
    return {_variable(path, name): Given(_to_text(path, name, value), str(path)) for name, value in values.items()}


def _variable(path: Path, name: str) -> str:
    """The variable that a name in a TOML file stands for."""
    if name != name.lower():
        raise SourceError(f"{CONFIG}: {path}: `{name}` must be written in lower case.")
    return name.upper() if name.startswith(_OTHER_PREFIXES) else f"{_PREFIX}{name.upper()}"


def _to_text(path: Path, name: str, value: object) -> str:
    """What the variable would hold: lists are separated by commas, tables are pairs with equals signs."""
    if isinstance(value, list):
        return ",".join(_scalar(path, name, one) for one in value)
    if isinstance(value, dict):
        return ",".join(f"{key}={_scalar(path, name, one)}" for key, one in value.items())
    return _scalar(path, name, value)


def _scalar(path: Path, name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise SourceError(f"{CONFIG}: {path}: `{name}` must be text, a number, true or false, or a list of these.")
