"""What every request passes before a route: connections, ids, web pages; the parts are those of `server`."""

from dataclasses import dataclass

from starlette.types import ASGIApp

from app.api.error_handlers import refuse_origin, render_refusal
from app.api.routes import PREFIX_NAMES, is_open, is_page
from app.observability.access_log import AccessLog
from app.observability.hidden import HiddenValues
from app.observability.metrics import Metrics
from app.observability.tracing import Tracer
from app.openai_api.render import render_error
from app.server.browsers import BrowserRules
from app.server.connections import ConnectionLimits, Connections
from app.server.cors import CrossOriginMiddleware
from app.server.front import PageRules
from app.server.hosts import known_hosts
from app.server.middleware import RequestMiddleware
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


@dataclass(frozen=True, slots=True)
class Watching:
    """What looks at every request that passes; `hidden` is what no line of the log may show."""

    hidden: HiddenValues
    metrics: Metrics
    tracer: Tracer


def page_rules(settings: Settings) -> PageRules | None:
    """What web pages may do, where there is anything that they may not."""
    # With keys a page of another site can do nothing: it does not have one (0011).
    if settings.server.has_keys:
        return None
    rules = BrowserRules(known_hosts(settings.server), settings.server.cors_origins, is_open, is_page)
    return PageRules(rules, render_refusal)


def way_in(app: ASGIApp, settings: Settings, watching: Watching) -> RequestMiddleware:
    """What every request passes on its way to `app`."""
    # Around the rules for pages, so that a page that may call can also read why it was refused.
    if settings.server.cors_origins:
        app = CrossOriginMiddleware(app, settings.server.cors_origins, refuse_origin)
    return RequestMiddleware(
        app,
        extra_headers={"X-Spillway-Upstream": "simulator"} if settings.upstream.upstream_name == "simulator" else {},
        access_log=AccessLog(settings.logs.log_format, settings.logs.log_level, watching.hidden, settings.logs.share),
        read_path=path_reader(PREFIX_NAMES),
        metrics=watching.metrics,
        tracer=watching.tracer,
    )
