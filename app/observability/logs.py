"""Structured logs through structlog, with secrets and base64 kept out, and one line each whatever callers send.

Owns the format, the redaction, the escaping, and which stage of which request a line is about: a fault is often logged
far above the stage in which it happened, so it carries what was known there. Nothing else in the gateway configures
logging.
"""

import codecs
import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Literal, cast

import structlog
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from app.observability.hidden import HiddenValues
from app.observability.standard_error import standard_error

_MAX_VALUE = 2000
_MAX_EXCEPTION = 6000
_NEAREST_FRAMES = 8
_LONGEST_RUN = 80
_IMAGE = re.compile(r"[A-Za-z0-9+/_=-]{80,}")
"""What is so long and has no spaces is no word, and most likely an image (base64)."""
_KINDS = bytes(b"x "[not _IMAGE.fullmatch(chr(code) * _LONGEST_RUN)] for code in range(256))
_RUN = b"x" * _LONGEST_RUN
_EXCEPTION = "exception"
_FACTS = "_spillway_facts"
_about: ContextVar["Stage | None"] = ContextVar("spillway_about", default=None)
"""The request and the stage that the running task works on."""


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines carry `component=name`."""
    return cast("FilteringBoundLogger", structlog.get_logger(component=name))


def configure_logs(format_: Literal["console", "json"], level: str, hidden: HiddenValues) -> None:
    """Send structlog's and the standard library's lines to stderr, redacting what is hidden wherever it appears."""
    stream = standard_error()
    codecs.lookup("unicode_escape")  # is read from a file when it is first used, and then none may be left

    number = logging.getLevelNamesMapping()[level.upper()]
    logfmt = structlog.processors.LogfmtRenderer(key_order=["time", "level", "event"], bool_as_flag=False)
    renderers: list[structlog.typing.Processor]
    renderers = [structlog.processors.JSONRenderer()] if format_ == "json" else [logfmt, _escape_line]
    structlog.configure(
        processors=[
            _say_what_about,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _describe_fault,
            _Redactor(hidden),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LineFormatter(hidden))
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


class _Redactor:
    """A processor of structlog's: every text of an event without secrets, cut to a sensible length."""

    def __init__(self, hidden: HiddenValues) -> None:
        self._hidden = hidden

    def __call__(self, _: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = _clean(value, self._hidden, keeps_end=key == _EXCEPTION)
        return event


class _LineFormatter(logging.Formatter):
    """Lines of libraries, with the same care as our own."""

    def __init__(self, hidden: HiddenValues) -> None:
        super().__init__(logging.BASIC_FORMAT)
        self._hidden = hidden

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return escape(_clean(super().format(record), self._hidden, keeps_end=record.exc_info is not None))


class Stage(Struct):
    """A stage that runs as long as its `with`, and what it works on; it goes on where an outer one stands.

    Put together only for what is told of it: it stands on the hot path, where mostly nothing is.
    """

    name: str
    facts: Mapping[str, str | int | None]
    outer: "Stage | None" = None
    _before: "Token[Stage | None] | None" = None

    def __enter__(self) -> None:
        self.outer = _about.get()
        self._before = _about.set(self)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None and isinstance(error, Exception) and not facts_of(error):  # the innermost knows most
            # On the error itself: by the time it is logged, the stage's own context has ended.
            setattr(error, _FACTS, _known_of(self))
        if self._before is not None:
            _about.reset(self._before)
            # What began within may outlive it, and would keep the whole context of this task.
            self._before = None


def begin_request(request_id: str) -> None:
    """Every line of this task, and of those it starts, is about this request."""
    outer = _about.get()
    if outer is not None and not outer.name:  # that of an earlier one, where one task works on several
        outer = outer.outer
    _about.set(Stage("", {"request": request_id}, outer))


def _known_of(about: Stage | None) -> dict[str, object]:
    """What is known where a stage runs: the innermost name comes last, and its facts win."""
    if about is None:
        return {}
    known = _known_of(about.outer)
    if about.name:
        known["stage"] = f"{known['stage']} > {about.name}" if "stage" in known else about.name
    known.update({fact: value for fact, value in about.facts.items() if value is not None})
    return known


def _say_what_about(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    return {**_known_of(_about.get()), **event}


def facts_of(error: BaseException | None) -> Mapping[str, object]:
    """What was known where an error was raised."""
    facts: Mapping[str, object] = getattr(error, _FACTS, {})
    return facts


def without_images(text: str) -> str:
    """The text without base64."""
    # Looked for in the shape of the text first: the expression begins anew at each character, and most lines have none.
    if len(text) < _LONGEST_RUN or _RUN not in text.encode("ascii", "replace").translate(_KINDS):
        return text
    return _IMAGE.sub(_replace_image, text)


def _replace_image(run: re.Match[str]) -> str:
    text = run[0]
    # Of so many characters of base64 some are of each kind; of a long word or a line of dashes they are not.
    is_word = text.islower() or text.isupper() or not any(one.isdigit() for one in text)
    return text if is_word else "[base64]"


def escape(value: str) -> str:
    r"""Text whose line breaks, control characters and reversed writing show as `\n`, `\x1b`, `\u202e`.

    Words of callers stand in logs, and a terminal or a parser of lines would believe them.
    """
    if value.isprintable():
        return value
    # A caller's line break could forge a log line, its escape codes a terminal.
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in value)


def _escape_line(_: object, __: str, line: object) -> str:
    return escape(str(line))


def _describe_fault(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Say what was raised, where, and on what: the frames nearest to it, of each error in the chain."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        for fact, value in facts_of(error).items():
            event[fact] = value
        event[_EXCEPTION] = "".join(traceback.format_exception(error, limit=-_NEAREST_FRAMES)).rstrip()
    return event


def _clean(value: str, hidden: HiddenValues, *, keeps_end: bool = False) -> str:
    """The value without secrets, cut to a sensible length; of a traceback the end has the cause."""
    # By value and in every line: also libraries and tracebacks may print a key.
    value = without_images(hidden.clean(value))
    if keeps_end and len(value) > _MAX_EXCEPTION:
        return f"({len(value)} characters) …{value[-_MAX_EXCEPTION:]}"
    if keeps_end or len(value) <= _MAX_VALUE:
        return value
    return f"{value[:_MAX_VALUE]}… ({len(value)} characters)"
