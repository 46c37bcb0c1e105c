"""Traces: the spans of a request, within the trace of its caller, at a collector over the wire and to nobody else."""

import secrets

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from app.observability.otel import OpenTelemetryTracer
from tests.support import loopback
from tests.support.images import png
from tests.support.processes import free_port, process, unique
from tests.support.receivers import receiving
from tests.support.waiting import seen

TASK = "generate_content runware:100@1"


class Traced:
    """A gateway whose spans are kept here."""

    def __init__(self, start_gateway, *, with_prompts: bool = False, **more: str) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        tracer = OpenTelemetryTracer(provider, with_prompts=with_prompts)
        self.gateway = start_gateway(parts={"tracer": lambda _: tracer}, **more)

    def spans_of(self, answer) -> list[ReadableSpan]:
        """All of the trace of an answered request, as soon as its own span has ended, which is the last to."""
        mark = answer.headers["x-request-id"]

        def root() -> ReadableSpan | None:
            finished = self._exporter.get_finished_spans()
            return next((one for one in finished if one.attributes.get("spillway.request.id") == mark), None)

        found = seen(root, bool)
        assert found is not None
        spans = self._exporter.get_finished_spans()
        return [one for one in spans if one.context.trace_id == found.context.trace_id]


def parents_of(spans: list[ReadableSpan]) -> dict[str, str | None]:
    """Each span's name with that of the span it belongs to."""
    names = {one.context.span_id: one.name for one in spans}
    return {one.name: None if one.parent is None else names.get(one.parent.span_id, "elsewhere") for one in spans}


def named(spans: list[ReadableSpan], name: str) -> ReadableSpan:
    (found,) = [one for one in spans if one.name == name]
    return found


@pytest.fixture(scope="module")
def traced(start_shared_gateway):
    return Traced(start_shared_gateway)


def test_a_request_is_one_span_with_a_child_for_each_stage(traced):
    answer = traced.gateway.generate(prompt=unique(), output_format="gif")
    assert answer.status_code == 200
    root = "POST /images/generations"
    assert parents_of(traced.spans_of(answer)) == {
        root: None, "prepare": root, "claim": root, TASK: root, "runware submit": TASK, "image": root, "store.put": root,
    }  # fmt: skip


def test_what_the_spans_say(traced):
    answer = traced.gateway.generate(prompt=unique(), size="256x256")
    spans = traced.spans_of(answer)
    own, task, attempt = (named(spans, name) for name in ("POST /images/generations", TASK, "runware submit"))
    assert (own.kind, task.kind, attempt.kind) == (SpanKind.SERVER, SpanKind.CLIENT, SpanKind.CLIENT)
    assert dict(own.attributes) == {
        "http.request.method": "POST", "http.route": "/images/generations", "http.response.status_code": 200, "http.request.body.size": len(answer.request.content),
        "http.response.body.size": len(answer.content), "gen_ai.response.model": "flux.1-schnell", "spillway.request.id": answer.json()["id"], "spillway.images": 1,
        "spillway.cost_usd": answer.json()["metadata"]["cost"],
    }  # fmt: skip
    assert dict(task.attributes) == {
        "gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "runware", "gen_ai.output.type": "image", "gen_ai.request.model": "runware:100@1",
        "gen_ai.request.choice.count": 1, "spillway.task": answer.json()["metadata"]["task_uuids"][0],
    }  # fmt: skip
    assert attempt.attributes["http.response.status_code"] == 200
    assert attempt.attributes["spillway.outcome"] == "ok"


def test_every_attempt_is_a_span(traced):
    answer = traced.gateway.generate(prompt=f"{unique()} [sim:busy-once]")
    attempts = [one for one in traced.spans_of(answer) if one.name.startswith("runware ")]
    told = answer.json()["metadata"]["attempts"]
    assert [one.attributes["spillway.outcome"] for one in attempts] == [one["outcome"] for one in told]


def test_input_images_are_worked_on_while_preparing(traced):
    answer = traced.gateway.edit([("image", ("a.png", png(2000, 900)))], model="flux.2-pro", size="512x512")
    assert answer.status_code == 200, answer.text
    assert parents_of(traced.spans_of(answer)).get("image", "prepare") == "prepare"


@pytest.mark.parametrize(
    ("body", "status", "error_type"),
    [({"model": "nobody"}, 404, None), ({"prompt": "a pier [sim:html]"}, 502, "provider_error")],
    ids=["a refusal is no error of the server", "a fault is"],
)
def test_how_a_request_ended_stands_in_its_span(traced, body, status, error_type):
    answer = traced.gateway.generate(**{"prompt": unique()} | body)
    own = named(traced.spans_of(answer), "POST /images/generations")
    assert own.attributes["http.response.status_code"] == answer.status_code == status
    assert own.attributes.get("error.type") == error_type
    assert own.status.is_ok is (error_type is None) or own.status.is_unset is (error_type is None)


@pytest.mark.parametrize("is_wanted", [False, True])
def test_prompts_are_in_traces_only_where_the_operator_wants_it(start_gateway, is_wanted):
    traced, prompt = Traced(start_gateway, with_prompts=is_wanted), unique()
    spans = traced.spans_of(traced.gateway.generate(prompt=prompt))
    assert (prompt in " ".join(str(dict(one.attributes)) + one.name for one in spans)) is is_wanted


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "is_joined"),
    [
        pytest.param(f"00-{TRACE}-{PARENT}-01", True, id="a trace of the caller's"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", False, id="no span"),
        pytest.param("00-nonsense", False, id="nonsense"),
        pytest.param("x" * 500, False, id="a long text"),
    ],
)
def test_a_callers_trace_is_gone_on_with(traced, traceparent, is_joined):
    answer = traced.gateway.client.post(
        "/images/generations", json={"prompt": unique(), "size": "256x256"}, headers={"traceparent": traceparent}
    )
    own = named(traced.spans_of(answer), "POST /images/generations")
    assert (f"{own.context.trace_id:032x}" == TRACE) is is_joined
    assert (own.parent is not None and f"{own.parent.span_id:016x}" == PARENT) is is_joined


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_checks_are_not_traced(start_gateway, path):
    traced = Traced(start_gateway)
    loopback.get(f"{traced.gateway.origin}{path}")
    spans = traced.spans_of(traced.gateway.client.get("/models"))
    assert [one.name for one in spans] == ["GET /models"]
    assert len(traced._exporter.get_finished_spans()) == 1


def test_the_trace_is_passed_on_to_runware_and_nothing_else_of_it(start_gateway):
    with receiving(400) as runware:
        traced = Traced(start_gateway, upstream=runware.url)
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=secret", "baggage": "user=secret"}
        answer = traced.gateway.client.post("/images/generations", json={"prompt": unique()}, headers=headers)
        sent = [headers for headers, _ in runware.calls]
        attempts = [one for one in traced.spans_of(answer) if one.name.startswith("runware ")]
    assert [one["traceparent"] for one in sent] == [f"00-{TRACE}-{one.context.span_id:016x}-01" for one in attempts]
    assert not [one for one in sent if "tracestate" in one or "baggage" in one]


def test_without_traces_nothing_is_passed_on(start_gateway):
    with receiving(400) as runware:
        gateway = start_gateway(upstream=runware.url)
        gateway.client.post(
            "/images/generations", json={"prompt": unique()}, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}
        )
        assert runware.calls
        assert not [headers for headers, _ in runware.calls if "traceparent" in headers]


def test_a_gateway_sends_its_traces_to_the_collector_that_is_named(simulator, tmp_path):
    trace = secrets.token_hex(16)
    with receiving(200) as collector:
        endpoint = collector.url.removesuffix("/hook?who=me")
        port, log = free_port(), (tmp_path / "log").open("wb")
        with (
            log,
            process(
                simulator, tmp_path, port, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SERVICE_NAME="images"
            ) as running,
        ):
            answer = loopback.post(
                f"http://127.0.0.1:{port}/v1/images/generations",
                json={"prompt": unique(), "size": "256x256"},
                headers={"Authorization": "Bearer test-key", "traceparent": f"00-{trace}-{PARENT}-01"},
                timeout=60,
            )
            assert answer.status_code == 200
            running.terminate()
            running.wait(60)
        assert set(collector.paths) == {"/v1/traces"}
        received = [ExportTraceServiceRequest.FromString(body) for _, body in collector.calls]
    groups = [group for one in received for group in one.resource_spans]
    services = {
        one.value.string_value for group in groups for one in group.resource.attributes if one.key == "service.name"
    }
    spans = [span for group in groups for scope in group.scope_spans for span in scope.spans]
    assert services == {"images"}
    assert {span.name for span in spans if span.trace_id.hex() == trace} >= {
        "POST /images/generations",
        "prepare",
        "claim",
        TASK,
        "runware submit",
    }


def test_a_collector_that_is_away_costs_no_request_and_does_not_hold_up_the_end(simulator, tmp_path):
    port = free_port()
    with process(
        simulator, tmp_path, port, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", SPILLWAY_GRACE="1"
    ) as running:
        answer = loopback.post(
            f"http://127.0.0.1:{port}/v1/images/generations",
            json={"prompt": unique(), "size": "256x256"},
            headers={"Authorization": "Bearer test-key"},
            timeout=60,
        )
        assert answer.status_code == 200
        running.terminate()
        running.wait(60)
