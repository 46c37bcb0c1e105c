"""Lines of the log as values, whatever gateways of this process were told to write."""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.testing import capture_logs


@contextmanager
def log_lines() -> Iterator[list[MutableMapping[str, Any]]]:
    """All lines of the block, of loggers that wrote none before it: those keep the level they began with."""
    before = structlog.get_config()
    structlog.reset_defaults()
    try:
        with capture_logs() as lines:
            yield lines
    finally:
        structlog.configure(**before)
