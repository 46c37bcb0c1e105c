"""The account of the simulated service: what is left of its balance, and what was spent when. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.simulator.faults import Fault, missing
from app.simulator.rules import JSONObject
from app.simulator.validation import UUID

OPENING = Decimal(1000)
"""What an account has at first, in dollars."""
_DAY = 86_400
_OPERATIONS = ("getDetails", "getUsageActivity", "getUsagePerformance", "getUsageErrors")
_OPENED = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Spent:
    """What one task cost, and when it began, in unix seconds."""

    at: float
    dollars: Decimal


def check_account(wire: JSONObject) -> Fault | None:
    """What is wrong with a question about the account."""
    uuid = wire.get("taskUUID")
    if not isinstance(uuid, str) or not UUID.fullmatch(uuid):
        return missing("taskUUID")
    operation = wire.get("operation")
    if operation is None:
        return missing("operation")
    if operation not in _OPERATIONS:
        message = f"Invalid value for 'operation' parameter. It must be one of {', '.join(_OPERATIONS)}."
        return Fault("invalidOperation", message, parameter="operation", extra={"allowedValues": [*_OPERATIONS]})
    if operation != "getDetails":
        # How these answer is not documented, so that nobody can rely on what would be made up here.
        message = f"The operation '{operation}' is not simulated."
        return Fault("errorRetrievingAccountManagement", message, 500)
    return None


def describe_account(wire: JSONObject, opening: Decimal, spent: Collection[Spent], now: float) -> JSONObject:
    """The answer to `getDetails`."""
    today = now - now % _DAY
    since = {"total": 0.0, "today": today, "last7Days": now - 7 * _DAY, "last30Days": now - 30 * _DAY}
    key = {
        "name": "Default",
        "apiKey": "simu************lator",
        "description": "",
        "createdAt": _OPENED,
        "enabled": True,
        "requests": len(spent),
        "lastUsedAt": None,
    }
    return {
        "taskType": "accountManagement",
        "taskUUID": wire["taskUUID"],
        "operation": "getDetails",
        "organizationUUID": "5d0c1f4e-6c1b-4c86-9d0e-1f1f6f3b2a10",
        "organizationName": "Simulated",
        "AIRSource": "simulated",
        "balance": float(opening - sum((one.dollars for one in spent), Decimal(0))),
        "team": [],
        "apiKeys": [key],
        "usage": {name: _usage(one for one in spent if one.at >= start) for name, start in since.items()},
    }


def _usage(spent: Iterable[Spent]) -> JSONObject:
    costs = [one.dollars for one in spent]
    return {"credits": float(sum(costs, Decimal(0))), "requests": len(costs)}
