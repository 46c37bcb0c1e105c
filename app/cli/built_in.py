"""The simulator that answers where there is no Runware key: a process beside the gateway, which ends with it."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.cli.exits import CANNOT_START
from app.cli.settings import fail


class BuiltInSimulator:
    """A simulator that is being started. It is waited for only when its address is needed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables that name it as the upstream of a gateway; where it did not start, the command ends."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            fail(["The built-in simulator did not start."], CANNOT_START)
        return {
            "RUNWARE_BASE_URL": str(json.loads(line)["simulator"]),
            "SPILLWAY_UPSTREAM_NAME": "simulator",
            "SPILLWAY_HOST_ALL_PICTURES": "true",
            # One secret for all workers, which check each other's links.
            "SPILLWAY_SECRET": environment.get("SPILLWAY_SECRET") or secrets.token_urlsafe(32),
        }


@contextmanager
def built_in_simulator() -> Iterator[BuiltInSimulator]:
    """A simulator on a free port, for as long as this lasts."""
    # Without the command line, whose modules would take longer to load than its own. Port 0: it says which it took.
    command = [sys.executable, "-m", "app.simulator"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield BuiltInSimulator(process)
        except BaseException:
            # It may still be starting, and a start that failed is not to wait for that.
            process.kill()
            raise
        finally:
            # It ends when its input does, however this process ends.
            if process.stdin:
                process.stdin.close()
