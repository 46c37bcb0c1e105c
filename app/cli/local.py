"""Where the gateway of this machine is, as its own settings say: the process's variables over those of `.env`.

Imports little: the health check of a container starts it every few seconds.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

_DEFAULT_PORT = "8000"
# What a server listens on with these is reached by its loopback address.
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on


def read_variables(env_file: Path = Path(".env"), process: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that are set, those of the process (default: this one's) before those of the file."""
    try:
        listed = dotenv_values(env_file, interpolate=False) if env_file.is_file() else {}
    except (OSError, UnicodeDecodeError):
        listed = {}
    # The same order as the server's own settings, or the client would look for it elsewhere.
    merged = {**listed, **(os.environ if process is None else process)}
    return {name: value.strip() for name, value in merged.items() if value is not None and value.strip()}


def reachable(host: str) -> str:
    """The host at which a program of this machine reaches what listens on `host`."""
    return _EVERYWHERE.get(host, host)


def local_address(variables: Mapping[str, str]) -> tuple[str, int]:
    """Host and port at which a program of this machine reaches the gateway."""
    port = variables.get("SPILLWAY_PORT", _DEFAULT_PORT)
    return reachable(variables.get("SPILLWAY_HOST", "")), int(port if port.isdecimal() else _DEFAULT_PORT)


def origin_of(host: str, port: int) -> str:
    """`http://host:port`, with the brackets of an IPv6 address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
