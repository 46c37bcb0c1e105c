"""What `--dry-run` prints: the price with its parts, what would be adjusted, and the tasks that would be sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

from app.cli.gateway import JSONObject
from app.cli.tables import print_facts
from app.cli.texts import show_money, whole

_MICROS = 1_000_000
_NOT_SHOWN = frozenset({"taskUUID", "taskType", "includeCost", "outputType", "deliveryMethod"})


def show_estimate(found: JSONObject) -> None:
    """Print an estimate of the gateway; nothing was bought."""
    print_facts(_facts(found))


def _facts(found: JSONObject) -> Iterator[tuple[str, str]]:
    yield "model", whole(found["model"])
    yield "price", _price(found)
    for part in found["components"]:
        unit = Decimal(str(part["unit_price"]))
        yield "", f"{part['quantity']} {whole(part['metric'])} at ${show_money(unit)}: {_dollars(part['total_cost'])}"
    yield "because", whole(found.get("reason") or "")
    for one in found["adjustments"]:
        yield "adjusted", whole(f"{one['param']} {one['mode']}: {one['reason']}")
    for number, task in enumerate(found["plan"], 1):
        name = f"task {number}" if len(found["plan"]) > 1 else "task"
        for field, value in task.items():
            if field not in _NOT_SHOWN:
                yield name, f"{field} {whole(value if isinstance(value, str) else json.dumps(value))}"
                name = ""
    yield "sent", "nothing: this was a dry run"


def _price(found: JSONObject) -> str:
    total, lowest = found["total_cost_micros"], found.get("lowest_cost_micros")
    if total is None:
        return "unknown"
    least = f"{_dollars(lowest)} to " if lowest is not None and lowest != total else ""
    return f"{least}{_dollars(total)} ({found['confidence']})"


def _dollars(micros: int) -> str:
    return f"${show_money(Decimal(micros) / _MICROS)}"
