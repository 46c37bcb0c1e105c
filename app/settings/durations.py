"""Lengths of time as people write them: `30s`, `5m`, `24h`, `90d`, or plain seconds.

One reader for the settings, the command line and HTTP.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator

FORMS = "seconds, or a duration like 30s, 5m, 24h or 90d"
_PATTERN = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([smhd]?)", re.ASCII | re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def read_duration(text: str) -> float:
    """The seconds of a duration, raising ValueError for what is none."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        message = f"expected {FORMS}"
        raise ValueError(message)
    return float(match[1]) * _SECONDS[match[2].lower()]


def _to_seconds(value: object) -> object:
    # Numbers are left to the type of the setting, which also says what is wrong with them.
    return read_duration(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_to_seconds)]
"""A setting in seconds, which takes units."""
WholeSeconds = Annotated[int, BeforeValidator(_to_seconds)]
"""A setting in whole seconds, which takes units."""
