"""`spillway usage`: what was used, as a table with a bar for each row.

On the database of the settings, or with --base-url on that of a running gateway. Leaves what may be asked and how it
is summed to the rooms that the route of the gateway takes both from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.table import Table

from app.cli.exits import code_of
from app.cli.gateway import JSONObject, open_session
from app.cli.journal import journal_or_exit
from app.cli.local import read_variables
from app.cli.options import AsJson, EnvFile
from app.cli.settings import fail, settings_or_exit
from app.cli.texts import plain, show_money, show_seconds

_WHERE = "A running gateway. Default: SPILLWAY_BASE_URL, else the database of the settings."
_KEY = "With --base-url: a key of the gateway. Default: SPILLWAY_API_KEY."
_WIDEST_BAR = 24
_NUMBERS = ("requests", "images", "cost", "estimated", "failed", "p50", "p95", "dropped")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def usage(
    group_by: Annotated[str, typer.Option("--group-by", "--by", help="day, model, key, user or status.")] = "day",
    start: Annotated[
        str | None, typer.Option("--from", help="The first date or ISO time. Default: 29 days ago.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="The last date, or the ISO time before which. Default: today.")
    ] = None,
    tz: Annotated[str | None, typer.Option(help="The time zone of dates and days, like Europe/Berlin.")] = None,
    key: Annotated[str | None, typer.Option(help="Only this key, by id or name.")] = None,
    limit: Annotated[int | None, typer.Option(help="How many rows at most.", min=1, max=1000)] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help=_WHERE)] = None,
    api_key: Annotated[str | None, typer.Option("--api-key", help=_KEY)] = None,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Show images, cost, failures and durations by day, model or key."""
    limit_text = None if limit is None else str(limit)
    asked = {"group_by": group_by, "from": start, "to": end, "tz": tz, "key": key, "limit": limit_text}
    query = {name: value for name, value in asked.items() if value}
    if base_url or read_variables().get("SPILLWAY_BASE_URL"):
        with open_session(base_url, api_key) as session:
            report = session.get(f"/usage?{urlencode(query)}")
    else:
        report = _look_up(query, env_file)
    if as_json:
        print(json.dumps(report, indent=2))  # noqa: T201 - output
        return
    _print(Console(markup=False, highlight=False), report)


def _look_up(query: Mapping[str, str], env_file: Path | None) -> JSONObject:
    """What the route of a gateway would answer to an administrator, from the database of the settings."""
    from dataclasses import replace

    from app.access.authentication import KeyAuthenticator
    from app.api.tenants import no_key
    from app.api.usage import name_rows
    from app.catalog.loader import load_catalog
    from app.database.transaction import READS
    from app.errors import GatewayError
    from app.ledger.usage import find_tenant, report_usage
    from app.openai_api.usage import read_usage, render_usage

    settings, _ = settings_or_exit(env_file, {})
    names = KeyAuthenticator(settings.server.api_keys, settings.server.admin_keys).names
    engine = journal_or_exit(settings)
    try:
        asked = read_usage(query, datetime.now(UTC))
        with engine.execution_options(**{READS: True}).begin() as connection:
            tenant = None if asked.key is None else find_tenant(connection, asked.key, names)
            if asked.key is not None and tenant is None:
                raise no_key()
            question = replace(asked.question, tenant=tenant)
            report = report_usage(connection, question)
    except GatewayError as error:
        fail([error.message], code_of(error.status, error.code))
    finally:
        engine.dispose()
    registry = load_catalog(settings.models.catalog_dir, settings.models.model_aliases)
    found: JSONObject = json.loads(render_usage(name_rows(report, question, registry, names), asked))
    return found


def _print(console: Console, report: JSONObject) -> None:
    group, rows, total = report["group_by"], report["data"], report["total"]
    labels = [plain(row.get("name") or row[group]) for row in rows]
    lines = [*([label, *_cells(row)] for label, row in zip(labels, rows, strict=True)), ["total", *_cells(total)]]
    # A column that says nothing takes the room of one that does.
    shown = [place for place in range(len(lines[0])) if any(line[place] for line in lines)]
    lines = [[line[place] for place in shown] for line in lines]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    names = (group, *_NUMBERS)
    for place in shown:
        # Figures are never cut short: half a sum is a wrong one. What rows are called is there to be copied.
        table.add_column(names[place], justify="right" if place else "left", no_wrap=True, overflow="fold")
    used = sum(2 + max(len(names[place]), *(len(line[at]) for line in lines)) for at, place in enumerate(shown))
    bars = _bars(rows, min(_WIDEST_BAR, console.width - used), blocks=console.encoding.lower().startswith("utf"))
    table.add_column("", no_wrap=True)
    for line, bar in zip(lines, [*bars, ""], strict=True):
        table.add_row(*line, bar, style="bold" if line is lines[-1] else "")
    console.print(table, soft_wrap=True)
    console.print(f"{report['from']} to {report['to']}, {report['tz']}, in US dollars", style="dim")
    if report["has_more"]:
        console.print(f"There are more rows: --limit shows up to 1000; these are {len(rows)}.")


def _bars(rows: Sequence[JSONObject], widest: int, *, blocks: bool) -> list[str]:
    """A bar for each row by what was paid; where nothing was, by requests."""
    measures = [_paid(row) for row in rows]
    if not any(measures):
        measures = [Decimal(row["requests"]) for row in rows]
    highest = max(measures, default=Decimal(0)) or Decimal(1)
    return [_bar(measure / highest, max(widest, 0), blocks=blocks) for measure in measures]


def _cells(row: JSONObject) -> list[str]:
    counts = [str(row[name]) for name in ("requests", "images")]
    money = [show_money(row["cost"]), show_money(row["estimated_cost"]) if row["estimated_cost"] else ""]
    times = [show_seconds(row[name]) for name in ("p50_seconds", "p95_seconds")]
    return [*counts, *money, str(row["failures"] or ""), *times, str(row["dropped"] or "")]


def _paid(row: JSONObject) -> Decimal:
    return Decimal(str(row["cost"])) + Decimal(str(row["estimated_cost"]))


def _bar(share: Decimal, widest: int, *, blocks: bool) -> str:
    """A bar of so much of the widest one; what is not nothing shows, where there is room."""
    if not widest:
        return ""
    if not blocks:
        return "#" * max(round(share * widest), 1 if share else 0)
    eighths = max(round(share * widest * 8), 1 if share else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
