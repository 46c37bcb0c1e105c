"""Traces where there are none: off, or asked for without what they need."""

import subprocess
import sys
import textwrap

import pytest

from app.observability.tracing import NoTraces, open_tracer, running, running_span, span
from app.settings.traces import TraceSettings


def test_without_an_endpoint_nothing_is_traced():
    tracer = open_tracer(TraceSettings())
    assert isinstance(tracer, NoTraces)
    assert (
        tracer.begin("POST", [(b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")], {}) is None
    )
    tracer.close()


def test_a_piece_of_work_that_nobody_traces_is_nothing_and_costs_no_new_object():
    with span("prepare") as first, span("claim", spillway__task="x") as second, running(None) as third:
        assert (first, second, third, running_span()) == (None, None, None, None)
    assert span("prepare") is span("claim")


def test_an_error_in_work_that_nobody_traces_is_raised():
    with pytest.raises(LookupError), span("prepare"):
        raise LookupError


WITHOUT_THE_EXTRA = """
import sys

sys.modules["opentelemetry"] = None  # as where it is not installed
from app.observability.hidden import HiddenValues
from app.observability.logs import configure_logs
from app.observability.tracing import open_tracer
from app.settings.traces import TraceSettings

configure_logs("json", "info", HiddenValues())
print(type(open_tracer(TraceSettings(endpoint="http://collector:4318"))).__name__)
"""


def test_without_the_extra_the_log_says_so_once_and_nothing_is_traced():
    command = [sys.executable, "-c", textwrap.dedent(WITHOUT_THE_EXTRA)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "NoTraces"
    (line,) = done.stderr.splitlines()
    assert "spillway[otel]" in line


def test_a_gateway_without_traces_does_not_load_opentelemetry():
    loading = "import app.main, sys; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    done = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
