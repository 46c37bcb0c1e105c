"""What was used: sums over the requests of a key, over all of them for an administrator."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from app.api.accept import CSV, JSON, prefers
from app.api.tenants import Tenants
from app.catalog.registry import Registry
from app.database.reader import Reader
from app.domain.caller import Caller
from app.domain.usage import GroupBy, UsageQuestion, UsageReport, UsageRow
from app.ledger.usage import Usage
from app.openai_api.usage import next_page_url, read_usage, render_usage, render_usage_csv


class UsageRoutes:
    """`/usage`."""

    def __init__(self, reader: Reader, registry: Registry, tenants: Tenants) -> None:
        self._usage = Usage(reader)
        self._registry = registry
        self._tenants = tenants

    async def retrieve_usage(self, request: Request, caller: Caller) -> Response:
        """Sums by day, model, key, user or status, as JSON or (with `Accept: text/csv`) as CSV."""
        query = read_usage(request.query_params, datetime.now(UTC))
        tenant = await self._tenants.tenant_of(query.key, caller)
        question = replace(query.question, tenant=tenant)
        report = name_rows(await self._usage.report(question), question, self._registry, self._tenants.names)
        # A cache must not give the one form for the other, and no proxy one caller's sums to another.
        headers = {"Vary": "Accept", "Cache-Control": "private, no-store"}
        if not prefers(request.headers, CSV):
            return Response(render_usage(report, query), media_type=JSON, headers=headers)
        more = next_page_url(report, query)
        if more is not None:
            headers["Link"] = f'<{more}>; rel="next"'
        headers["Content-Disposition"] = f'attachment; filename="usage-by-{question.group_by.value}.csv"'
        return Response(render_usage_csv(report, question.group_by), media_type=CSV, headers=headers)


def name_rows(
    report: UsageReport, question: UsageQuestion, registry: Registry, names: Mapping[str, str]
) -> UsageReport:
    """The report with the ids of models that the catalog knows, and the names of keys of the settings."""
    if question.group_by is GroupBy.MODEL:
        rows = tuple(replace(row, value=_model_id(row, registry)) for row in report.rows)
    elif question.group_by is GroupBy.KEY:
        rows = tuple(replace(row, name=row.name or names.get(row.value or "") or None) for row in report.rows)
    else:
        return report
    return replace(report, rows=rows)


def _model_id(row: UsageRow, registry: Registry) -> str | None:
    # Looked up by its AIR, exactly: a name that only resembles one would add up what differs.
    return next((model.id for model in registry.models if model.air == row.value), row.value)
