"""The settings of traces. Everything else of OpenTelemetry is set by its own variables."""

from pydantic import Field

from app.settings.groups import HttpUrl, SettingsGroup


class TraceSettings(SettingsGroup):
    """Whether traces are sent, and what they may say."""

    endpoint: HttpUrl | None = Field(
        None,
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="The OpenTelemetry collector that traces are sent to (OTLP over HTTP), like "
        "http://collector:4318. Needs `pip install 'spillway[otel]'`. Unset: there are no traces.",
    )
    prompts: bool = Field(
        default=False, alias="SPILLWAY_TRACE_PROMPTS", description="Let traces say what was asked for."
    )
