"""Traces: which part of the gateway worked on a request, for how long, and within which trace of its caller.

Owns what the parts say, and that it says nothing where traces are off: no request has a span then, so nothing within it
has one. What is running belongs to the task that runs it, as the stages of the log do. Leaves OpenTelemetry to `otel`,
which is loaded only where traces are asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from importlib.util import find_spec
from types import MappingProxyType, TracebackType
from typing import Literal, Protocol

from app.observability.logs import get_logger
from app.settings.traces import TraceSettings

_logger = get_logger("traces")
Value = str | int | float | bool
Kind = Literal["server", "client", "internal"]


class Span(Protocol):
    """One piece of work; `trace_id` is in hexadecimal digits."""

    @property
    def trace_id(self) -> str:
        """That of its trace."""
        ...

    def begin(self, name: str, kind: Kind, facts: Mapping[str, Value]) -> "Span":
        """A piece of this one's work."""
        ...

    def note(self, facts: Mapping[str, Value]) -> None:
        """What became known of it."""
        ...

    def note_prompt(self, prompt: str) -> None:
        """What was asked for, where the operator wants that to be seen."""
        ...

    def rename(self, name: str) -> None:
        """Call it by what became known of it."""
        ...

    def end(self, error: str | None = None) -> None:
        """It is over, with an error of this type or without."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What leads whoever is asked next back to it (W3C trace context)."""
        ...


class Tracer(Protocol):
    """Begins traces, or goes on with those of callers."""

    def begin(self, name: str, headers: Iterable[tuple[bytes, bytes]], facts: Mapping[str, Value]) -> Span | None:
        """The span of a request with these headers; None where nothing is traced."""
        ...

    def close(self) -> None:
        """Send what was not sent yet."""
        ...


class NoTraces:
    """Traces are off."""

    def begin(self, name: str, headers: Iterable[tuple[bytes, bytes]], facts: Mapping[str, Value]) -> None:
        """Nothing."""

    def close(self) -> None:
        """There is nothing to send."""


_running: ContextVar[Span | None] = ContextVar("spillway_span", default=None)
# The variable's own method: the hot path asks it several times a request, and mostly for nothing.
running_span: Callable[[], Span | None] = _running.get
"""What runs; None where nothing is traced, and then there is nothing to say of it."""
_NO_FACTS: Mapping[str, Value] = MappingProxyType({})


class _Nothing:
    """A piece of work that nobody traces."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_NOTHING = _Nothing()


class _Running:
    """A span is what runs, for as long as its `with` lasts; with `ends` it is over then."""

    def __init__(self, span: Span, *, ends: bool) -> None:
        self._span = span
        self._ends = ends
        self._before: Token[Span | None] | None = None

    def __enter__(self) -> Span:
        self._before = _running.set(self._span)
        return self._span

    def __exit__(self, kind: type[BaseException] | None, _: object, trace: TracebackType | None) -> None:
        if self._before is not None:
            _running.reset(self._before)
        if self._ends:
            # The type alone: messages may have words of callers in them.
            self._span.end(None if kind is None else kind.__name__)


def running(span: Span | None) -> _Running | _Nothing:
    """Let `span` be what runs; who began it ends it."""
    return _NOTHING if span is None else _Running(span, ends=False)


def piece_of(outer: Span, name: str, kind: Kind = "internal", facts: Mapping[str, Value] = _NO_FACTS) -> _Running:
    """A piece of the work of `outer`: for the hot path, which asks `running_span` and does without where it is off."""
    return _Running(outer.begin(name, kind, facts), ends=True)


def span(name: str, kind: Kind = "internal", **facts: Value) -> _Running | _Nothing:
    """A piece of the work that runs; two underscores in the name of a fact are a dot."""
    outer = _running.get()
    if outer is None:
        return _NOTHING
    return piece_of(outer, name, kind, {fact.replace("__", "."): value for fact, value in facts.items()})


def open_tracer(settings: TraceSettings) -> Tracer:
    """The tracer of a process. Without an endpoint, or without what the extra `otel` installs, there are no traces."""
    if settings.endpoint is None:
        return NoTraces()
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        advice = "install it with pip install 'spillway[otel]'"
        _logger.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed", advice=advice)
        return NoTraces()
    from app.observability.otel import open_exporting_tracer  # noqa: PLC0415 - an optional extra

    return open_exporting_tracer(settings.endpoint, with_prompts=settings.prompts)
