"""What every request passes before a route: connections, ids, web pages, faults; the parts are those of `server`."""

from fastapi import FastAPI

from app.api.error_handlers import answer_exhaustion, answer_fault, answer_shutdown, refuse_origin, render_refusal
from app.api.routes import PREFIX_NAMES, is_open, is_page
from app.observability.access_log import AccessLog
from app.observability.hidden import HiddenValues
from app.observability.metrics import Metrics
from app.observability.tracing import Tracer
from app.openai_api.render import render_error
from app.server.browsers import BrowserRules
from app.server.connections import ConnectionLimits, Connections
from app.server.cors import CrossOriginMiddleware
from app.server.hosts import known_hosts
from app.server.middleware import BrowserMiddleware, FaultAnswers, FaultMiddleware, RequestMiddleware
from app.server.paths import path_reader
from app.server.process import descriptor_limit
from app.settings.load import Settings

_OTHER_DESCRIPTORS = 64
"""Files and connections beside those to callers and the tasks at Runware: databases, images, webhooks."""


def connections_of(settings: Settings) -> Connections:
    """The connections of a process with these settings."""
    limits = ConnectionLimits(
        per_address=settings.server.max_connections_per_address,
        reserved_descriptors=settings.load.max_in_flight + _OTHER_DESCRIPTORS,
    )
    return Connections(limits, render_error, settings.server.trusted_proxies, descriptor_limit())


def add_middleware(app: FastAPI, settings: Settings, hidden: HiddenValues, metrics: Metrics, tracer: Tracer) -> None:
    """What every request passes, the innermost first; `hidden` is what no line of the log may show."""
    faults = FaultAnswers(answer_fault(), answer_exhaustion(), answer_shutdown())
    app.add_middleware(FaultMiddleware, answers=faults)
    # With keys a page of another site can do nothing: it does not have one (0011).
    if not settings.server.has_keys:
        rules = BrowserRules(known_hosts(settings.server), settings.server.cors_origins, is_open, is_page)
        app.add_middleware(BrowserMiddleware, rules=rules, answer=render_refusal)
    # Around the rules, so that a page that may call can also read why it was refused.
    if settings.server.cors_origins:
        app.add_middleware(CrossOriginMiddleware, origins=settings.server.cors_origins, refuse=refuse_origin)
    app.add_middleware(
        RequestMiddleware,
        extra_headers={"X-Spillway-Upstream": "simulator"} if settings.upstream.upstream_name == "simulator" else {},
        access_log=AccessLog(settings.logs.log_format, settings.logs.log_level, hidden, settings.logs.share),
        read_path=path_reader(PREFIX_NAMES),
        metrics=metrics,
        tracer=tracer,
    )
