"""What a reader of a stored image asks for: all of it, a part, or whether it has it already (RFC 9110). Pure."""

import re
from collections.abc import Mapping
from email.utils import formatdate

_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """A range without any byte of the image."""


def find_range(headers: Mapping[str, str], size: int, tag: str, modified_at: float) -> tuple[int, int] | None:
    """The bytes that are asked for, without the second one; None for all. Raises UnsatisfiableRangeError.

    Several ranges at once, and what is no range, are answered with all bytes, as the standard allows.
    """
    match = _RANGE.fullmatch(headers.get("range", ""))
    wanted_version = headers.get("if-range")
    if match is None or not (match[1] or match[2]):
        return None
    # A part of another version would be put together with what the reader has of this one.
    if wanted_version is not None and wanted_version.strip() not in {tag, http_date(modified_at)}:
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < int(match[1]):  # no range at all
            return None
    if start >= end:
        raise UnsatisfiableRangeError
    return start, end


def has_already(headers: Mapping[str, str], tag: str) -> bool:
    """Whether the reader has these bytes, and wants to know only that they are still good."""
    given = headers.get("if-none-match", "")
    return given.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in given.split(",")}


def http_date(seconds: float) -> str:
    """A time (unix seconds) as headers write it."""
    return formatdate(int(seconds), usegmt=True)
