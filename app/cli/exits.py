"""How a command ends: its exit codes, and the error that ends it with sentences for the person at the terminal."""

from collections.abc import Mapping
from enum import IntEnum


class ExitCode(IntEnum):
    """One for each kind of end, so that a script can tell what to do next (0190)."""

    DONE = 0
    OTHER = 1
    """Something else, such as some images of several that failed, or balances that differ."""
    WRONG_USE = 2
    """The command line or a setting is wrong."""
    KEY_REFUSED = 3
    """The gateway refuses the key, or Runware that of the gateway."""
    UNREACHABLE = 4
    """No gateway answers, or it cannot reach Runware."""
    REFUSED = 5
    """The gateway refuses the request."""
    UNWRITABLE = 6
    """A file could not be written."""


CANNOT_START = ExitCode.WRONG_USE
"""Of `serve`, also where the port, the database, the store or the data folder cannot be had."""


class CommandError(Exception):
    """Ends the command with `lines` on standard error and exit code `code`."""

    def __init__(self, *lines: str, code: int = ExitCode.OTHER) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = int(code)


def code_of(status: int, error_code: str, provider_code: str | None = None) -> ExitCode:
    """The end that an error of the gateway makes, by its HTTP status, its code and that of Runware."""
    if status == _UNAUTHORIZED or error_code in _KEY_REFUSED:
        return ExitCode.KEY_REFUSED
    if error_code in _UNREACHABLE or provider_code == _CONNECTION_LOST:
        return ExitCode.UNREACHABLE
    return ExitCode.REFUSED if status < _SERVER_ERRORS else ExitCode.OTHER


def code_of_event(error: Mapping[str, str | None]) -> ExitCode:
    """The end that the error of a stream makes, which has no status."""
    status = _SERVER_ERRORS if error.get("type") in _FAULTS else _SERVER_ERRORS - 1
    return code_of(status, str(error.get("code")), error.get("provider_code"))


_FAULTS = frozenset({"server_error", "service_unavailable_error"})
_UNAUTHORIZED, _SERVER_ERRORS = 401, 500
_KEY_REFUSED = frozenset({"invalid_api_key", "admin_required", "provider_authentication_error"})
_CONNECTION_LOST = "connectionLost"
"""What a failure of Runware has in the place of its code where the connection broke before it could say one."""
_UNREACHABLE = frozenset(
    {"provider_unavailable", "provider_timeout", "journal_unavailable", "too_many_connections", "restarting"}
    | {"not_started", "still_processing"}
)
