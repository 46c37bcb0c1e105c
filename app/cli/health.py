"""`python -m app.cli.health`: exit code 0 when the gateway of this machine answers. For the checks of containers."""

import http.client
import sys

from app.cli.exits import CommandError
from app.cli.local import local_address, read_variables

_OK = 200
_TIMEOUT_SECONDS = 2.5


def is_healthy(host: str, port: int) -> bool:
    """Whether the gateway says that it is alive."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        address = local_address(read_variables())
    except CommandError as error:
        sys.exit(str(error))
    sys.exit(0 if is_healthy(*address) else 1)
