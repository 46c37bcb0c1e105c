"""One line for each request: what a person reads, or exactly the members that a machine is promised.

Owns the line and what may stand in it: words of callers only where they are names, escaped, without secrets and images.
It is written on the hot path, so it is put together by hand. Leaves who knows what of a request to the stages.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import msgspec

from app.observability.hidden import HiddenValues
from app.observability.logs import escape, without_images
from app.observability.standard_error import standard_error

_MAX_PATH = 300
_MAX_WORDS = 200
_FAILED, _SERVER_ERROR = 400, 500
_IMAGES = frozenset({"generations", "edits", "variations"})
_MAX_NAME = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
"""A name of a model. Anything else that stands in its place may be a prompt, and is not shown."""
# What would make a bare value read as something else.
_QUOTED = frozenset(' "=\\')
_SAMPLED = slice(-8, None)
"""Eight hexadecimal digits of a request's id, of those that are chance: it begins with the time."""
_NANO = Decimal("0.000000001")
_TOGETHER = 2000
"""Characters that are written at once: no more than a pipe takes whole."""
_REMEMBERED = 64
"""The same few paths, names and amounts come again and again; bounded, because anybody can send others."""


@dataclass(slots=True)
class RequestFacts:
    """What is known of one request. Each stage sets what it knows; None is not known, or does not apply."""

    model: str | None = None
    """As the caller named it."""
    executed_model: str | None = None
    size: str | None = None
    images: int | None = None
    cost: Decimal | None = None
    """In dollars; None also where a part of it is unknown."""
    key: str | None = None
    """What the operator calls the key."""
    adjustments: tuple[str, ...] = ()
    """As `param=mode`."""
    attempts: int | None = None
    """Exchanges with Runware."""
    bytes_in: int = 0
    bytes_out: int = 0
    trace_id: str | None = None
    error: str | None = None
    """Its code."""


class AccessLog:
    """Writes the lines. `share` of those that went well is logged, and all others. `clock` is unix seconds."""

    def __init__(
        self,
        format_: Literal["console", "json"],
        level: str,
        hidden: HiddenValues,
        share: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hidden = hidden
        self._render = _as_json if format_ == "json" else _for_people
        self._stream = standard_error()
        self._from = logging.getLevelNamesMapping()[level.upper()]
        self._sampled = round(share * 0x1_0000_0000)
        self._lines: list[str] = []
        self._size = 0
        self._clock = clock

    def log_request(
        self, request_id: str, method: str, path: str, status: int, elapsed_ms: int, facts: RequestFacts
    ) -> None:
        """Log that a request was answered; `status` is 0 when nothing was sent."""
        level = logging.WARNING if status >= _SERVER_ERROR else logging.INFO
        if level < self._from:
            return
        # By the id, so that all processes and all tools agree on what is in the sample.
        if 0 < status < _FAILED and facts.error is None and int(request_id[_SAMPLED], 16) >= self._sampled:
            return
        # Before it is cut: half a secret would not be known as one.
        shown = path if len(path) <= _MAX_PATH else without_images(self._hidden.clean(path))[:_MAX_PATH]
        text = self._render(
            _Line(_show_second(int(self._clock())), level, request_id, method, shown, status, elapsed_ms, facts)
        )
        # As a whole: names of keys and models are words of somebody's, too.
        self._put(f"{without_images(self._hidden.clean(text))}\n")

    def _put(self, line: str) -> None:
        """Write a line together with those of the same turn of the loop: each call of the system costs as much."""
        if self._size + len(line) > _TOGETHER:
            self._flush()
        self._lines.append(line)
        self._size += len(line)
        if len(self._lines) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self._flush)
        except RuntimeError:  # nothing turns here
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            text = "".join(self._lines)
            self._lines.clear()
            self._size = 0
            self._stream.write(text)


class _Members(msgspec.Struct, frozen=True):
    """What a machine is promised, in this order."""

    time: str
    level: str
    event: str
    id: str
    method: str
    path: str
    endpoint: str | None
    status: int
    duration_ms: int
    model: str | None
    executed_model: str | None
    size: str | None
    images: int | None
    cost: float | None
    key: str | None
    adjustments: tuple[str, ...]
    attempts: int | None
    bytes_in: int
    bytes_out: int
    trace_id: str | None
    error: str | None


class _Line(msgspec.Struct):
    at: str
    level: int
    request_id: str
    method: str
    path: str
    status: int
    elapsed_ms: int
    facts: RequestFacts


@lru_cache(1)
def _show_second(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}Z"


@lru_cache(_REMEMBERED)
def _endpoint_of(path: str) -> str | None:
    """The first word of a path below its prefix, of the image endpoints the last."""
    words = [word for word in path.split("/") if word]
    last = words[-1] if words else ""
    if last in _IMAGES:
        return last
    known = words[1] if len(words) > 1 and words[0] == "v1" else last if len(words) == 1 else None
    return known if known and known.isascii() and known.isalpha() else None


@lru_cache(_REMEMBERED)
def _where(path: str) -> str:
    """What a person is shown of a path."""
    endpoint = _endpoint_of(path)
    return endpoint if endpoint in _IMAGES else _quote(path)


def _for_people(line: _Line) -> str:
    facts = line.facts
    model = _name(facts.executed_model) or _name(facts.model)
    words = [line.at, line.method, _where(line.path), str(line.status), f"{line.elapsed_ms} ms", model, facts.size]
    if facts.images is not None:
        words.append(f"×{facts.images}")  # noqa: RUF001 - what people write
    if facts.cost is not None:
        words.append(f"${_plain(facts.cost)}")
    if facts.adjustments:
        words.append(f"adjusted={_quote(','.join(facts.adjustments)[:_MAX_WORDS])}")
    if facts.attempts is not None and facts.attempts > 1:
        words.append(f"attempts={facts.attempts}")
    if facts.error is not None:
        words.append(f"error={_quote(facts.error)}")
    if facts.key:
        words.append(f"key={_quote(facts.key)}")
    if facts.trace_id is not None:
        words.append(f"trace={facts.trace_id}")
    words.append(line.request_id)
    return " ".join(filter(None, words))


def _as_json(line: _Line) -> str:
    facts = line.facts
    members = _Members(
        line.at,
        "warning" if line.level == logging.WARNING else "info",
        "request",
        line.request_id,
        line.method,
        line.path,
        _endpoint_of(line.path),
        line.status,
        line.elapsed_ms,
        _name(facts.model),
        _name(facts.executed_model),
        facts.size,
        facts.images,
        None if facts.cost is None else float(facts.cost),
        facts.key,
        facts.adjustments,
        facts.attempts,
        facts.bytes_in,
        facts.bytes_out,
        facts.trace_id,
        facts.error,
    )
    try:
        text = msgspec.json.encode(members).decode()
    except UnicodeEncodeError:  # half a character, which no UTF-8 has
        text = ""
    # Everything beyond ASCII may be a command to whatever shows it; then by the slower way, which escapes it.
    return text if text.isascii() and text.isprintable() and text else json.dumps(msgspec.structs.asdict(members))


def _name(value: str | None) -> str | None:
    """A name of a model, or a mark in the place of something else."""
    if value is None:
        return None
    # First how long it is: what is remembered would keep a caller's megabytes.
    return _readable(value) if len(value) <= _MAX_NAME else "?"


@lru_cache(_REMEMBERED)
def _readable(name: str) -> str:
    return name if _NAME.fullmatch(name) else "?"


def _quote(value: str) -> str:
    return value if value.isprintable() and not _QUOTED.intersection(value) else escape(json.dumps(value))


@lru_cache(_REMEMBERED)
def _plain(cost: Decimal) -> str:
    """An amount as people write it: at least two digits behind the point, no more than there are."""
    text = format(cost.quantize(_NANO), "f").rstrip("0")
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"
