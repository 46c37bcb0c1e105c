"""Traces through OpenTelemetry, which is an optional extra: loaded only where traces are asked for.

Names follow the semantic conventions of HTTP and of generative AI where they have one. Leaves which work is a span to
those who do it.
"""

import json
from collections.abc import Iterable, Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace import Tracer as Maker
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.observability.tracing import Kind, Value

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_PASSED_ON = frozenset({"traceparent", "tracestate"})
_PATH = "/v1/traces"
_EXPORT_SECONDS = 3.0
"""A collector that is away delays the end of the process, and nothing else, by so long."""
_MAX_PROMPT = 4000


class OpenTelemetrySpan:
    """One span of OpenTelemetry."""

    def __init__(self, maker: Maker, span: Span, *, with_prompts: bool) -> None:
        self._maker = maker
        self._span = span
        self._with_prompts = with_prompts

    @property
    def trace_id(self) -> str:
        """See tracing.Span."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def begin(self, name: str, kind: Kind, facts: Mapping[str, Value]) -> "OpenTelemetrySpan":
        """See tracing.Span."""
        made = self._maker.start_span(name, set_span_in_context(self._span), _KINDS[kind], dict(facts))
        return OpenTelemetrySpan(self._maker, made, with_prompts=self._with_prompts)

    def note(self, facts: Mapping[str, Value]) -> None:
        """See tracing.Span."""
        self._span.set_attributes(dict(facts))

    def note_prompt(self, prompt: str) -> None:
        """See tracing.Span."""
        if self._with_prompts:
            parts = [{"type": "text", "content": prompt[:_MAX_PROMPT]}]
            self._span.set_attribute("gen_ai.input.messages", json.dumps([{"role": "user", "parts": parts}]))

    def rename(self, name: str) -> None:
        """See tracing.Span."""
        self._span.update_name(name)

    def end(self, error: str | None = None) -> None:
        """See tracing.Span."""
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def headers(self) -> Mapping[str, str]:
        """See tracing.Span."""
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, set_span_in_context(self._span))
        # Nothing but the ids: what a caller put into `tracestate` is not Runware's.
        return {"traceparent": carrier["traceparent"]} if "traceparent" in carrier else {}


class OpenTelemetryTracer:
    """Begins spans of requests with `provider`."""

    def __init__(self, provider: TracerProvider, *, with_prompts: bool = False) -> None:
        self._provider = provider
        self._maker = provider.get_tracer("spillway", __version__)
        self._with_prompts = with_prompts

    def begin(self, name: str, headers: Iterable[tuple[bytes, bytes]], facts: Mapping[str, Value]) -> OpenTelemetrySpan:
        """See tracing.Tracer."""
        named = ((field.decode("latin-1"), value.decode("latin-1")) for field, value in headers)
        carrier = {field: value for field, value in named if field in _PASSED_ON}
        # One that is malformed begins a trace of its own, as the standard says.
        parent = TraceContextTextMapPropagator().extract(carrier)
        made = self._maker.start_span(name, parent, SpanKind.SERVER, dict(facts))
        return OpenTelemetrySpan(self._maker, made, with_prompts=self._with_prompts)

    def close(self) -> None:
        """See tracing.Tracer."""
        self._provider.shutdown()


def open_exporting_tracer(endpoint: str, *, with_prompts: bool) -> OpenTelemetryTracer:
    """A tracer that sends what it traces to a collector over OTLP and HTTP, in batches and from a thread of its own."""
    own = Resource({SERVICE_NAME: "spillway", SERVICE_VERSION: __version__})
    # The operator's words (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) win.
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}{_PATH}", timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OpenTelemetryTracer(provider, with_prompts=with_prompts)
