"""Where the gateway of this machine is, as its own settings say.

Imports little: the health check of a container starts it every few seconds.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from app.cli.exits import CommandError, ExitCode
from app.settings.sources import EnvFileError, Given, SourceError, read_sources

_DEFAULT_PORT = "8000"
_LAST_PORT = 65_535
_PORT = re.compile("[0-9]{1,5}")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts that are this machine and nobody else's."""
# What a server listens on with these is reached by its loopback address.
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


def read_variables(env_file: Path = Path(".env"), process: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that are set, from the same sources in the same order as the server's own settings."""
    return {name: given.value.strip() for name, given in read_given(env_file, process).items()}


def read_given(env_file: Path = Path(".env"), process: Mapping[str, str] | None = None) -> dict[str, Given]:
    """The same with where each was given."""
    own = os.environ if process is None else process
    try:
        found = _read(env_file, own)
    except SourceError as error:
        raise CommandError(str(error), code=ExitCode.WRONG_USE) from None
    return {name: given for name, given in found.items() if given.value.strip()}


def _read(env_file: Path, own: Mapping[str, str]) -> dict[str, Given]:
    try:
        return read_sources(env_file if env_file.is_file() else None, own)
    # A folder may hold a `.env` of something else; a file that SPILLWAY_CONFIG names is meant.
    except (EnvFileError, OSError):
        return read_sources(None, own)


def reachable(host: str) -> str:
    """The host at which a program of this machine reaches what listens on `host`."""
    return _EVERYWHERE.get(host, host)


def local_address(variables: Mapping[str, str]) -> tuple[str, int]:
    """Host and port at which a program of this machine reaches the gateway, raising CommandError for no port."""
    port = variables.get("SPILLWAY_PORT", _DEFAULT_PORT)
    if _PORT.fullmatch(port) is None or not 0 < int(port) <= _LAST_PORT:
        raise CommandError("SPILLWAY_PORT is no port: set a number from 1 to 65535.", code=ExitCode.WRONG_USE)
    return reachable(variables.get("SPILLWAY_HOST", "")), int(port)


def origin_of(host: str, port: int) -> str:
    """`http://host:port`, with the brackets of an IPv6 address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
