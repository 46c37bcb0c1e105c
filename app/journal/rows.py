"""From rows of the journal to records and back. Money is exact dollars, which the columns hold as nano-dollars.

What cannot be read as money is unknown, never an error. Any other value that nobody wrote makes its row a failed
request that says so.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row

from app.domain.answer import TaskCost
from app.domain.money import from_nanos, read_nanos, to_nanos
from app.journal import statements as sql
from app.journal.records import UNREADABLE, Intent, Record, Sighting, Status

FIRST_FENCE = 1
_NOTHING = Decimal(0)
_QUEUED, _PROCESSING = Status.QUEUED.value, Status.PROCESSING.value
_OPEN = frozenset(status.value for status in Status if not status.final)
_END_OF_TIME = 253_402_300_800.0
_IDENTITY = ("id", "tenant", "model", "executed_model", "owner", "fence", "beat", "tries")
_DAMAGED: dict[str, Any] = {
    "fingerprint": "",
    "endpoint": "",
    "n": 0,
    "status": Status.FAILED.value,
    "created_at": 0.0,
    "completed_at": 0.0,
    "delivered_at": 0.0,
    "plan": "{}",
    "error": UNREADABLE,
}
"""What stands for a row that cannot be read, beside its identity."""


def to_record(connection: Connection, row: Row[tuple[object, ...]]) -> Record:
    """The record of a row of `requests`, with its tasks.

    A row that cannot be read is a failed request that says so: reading many rows never fails over one.
    """
    # Costs are read from the tasks, not from the sum: they may have been completed since the end (0101).
    costs = connection.execute(sql.TASKS_OF, {"request_id": row.id}).all()
    tasks = tuple(_to_cost(cost.uuid, cost.cost, cost.known_cost) for cost in costs)
    values = row._asdict()
    try:
        return _to_record(values, tasks)
    # One damaged row must not stop recovery, lists and sums for all others (0103).
    except (ValueError, TypeError, OverflowError):
        return _to_record({name: values[name] for name in _IDENTITY} | _DAMAGED, tasks)


def _to_record(values: Mapping[str, Any], costs: tuple[TaskCost, ...]) -> Record:
    """The record of a row's values by column; what is not there is null."""
    return Record(
        id=values["id"],
        tenant=values["tenant"],
        fingerprint=values["fingerprint"],
        endpoint=values["endpoint"],
        model=values["model"],
        executed_model=values["executed_model"],
        n=int(values["n"]),
        status=Status(values["status"]),
        created_at=_to_time(values["created_at"]) or 0.0,
        completed_at=_to_time(values.get("completed_at")),
        delivered_at=_to_time(values.get("delivered_at")),
        owner=values["owner"],
        fence=values["fence"],
        beat=values["beat"],
        tries=values["tries"],
        estimate=read_money(values.get("estimate")),
        plan=values["plan"],
        answer=values.get("answer"),
        error=values.get("error"),
        user=values.get("user"),
        client_request_id=values.get("client_request_id"),
        webhook_url=values.get("webhook_url"),
        webhook_attempts=values.get("webhook_attempts") or 0,
        webhook_next=values.get("webhook_next"),
        webhook_status=values.get("webhook_status"),
        images_kept=values.get("images_kept"),
        prompt=values.get("prompt"),
        images_until=_to_time(values.get("images_until")),
        has_key=values.get("key_hash") is not None,
        costs=costs,
    )


def _to_time(seconds: object) -> float | None:
    """Unix seconds of a year that calendars know, raising ValueError for others."""
    if seconds is None:
        return None
    time = float(seconds) if isinstance(seconds, int | float) else float(str(seconds))
    if not 0 <= time < _END_OF_TIME:
        raise ValueError
    return time


def to_sighting(row: Row[*tuple[Any, ...]]) -> Sighting:
    """How the request of a row was seen."""
    return Sighting(row.id, row.owner, row.fence, row.beat, row.tries, str(row.status) in _OPEN, row.tenant)


def to_row(intent: Intent, owner: str, now: float, key_until: float, reserve: int = 0) -> tuple[object, ...]:
    """The row of a request that is new, in the order of `INSERT_REQUEST`; `reserve` is nano-dollars."""
    return (
        intent.request_id,
        intent.tenant,
        intent.key_hash,
        intent.fingerprint,
        intent.endpoint,
        intent.model,
        intent.executed_model,
        intent.n,
        _QUEUED if intent.queued else _PROCESSING,
        now,
        key_until,
        1,  # the caller that makes the claim (0062)
        owner,
        FIRST_FENCE,
        write_money(intent.estimate),
        reserve,
        intent.dropped,
        intent.plan,
        intent.user,
        intent.client_request_id,
        intent.prompt,
        intent.webhook_url,
        None if intent.webhook_url is None else now,
    )


def new_record(intent: Intent, owner: str, now: float) -> Record:
    """The record of a request whose row is new."""
    return Record(
        id=intent.request_id,
        tenant=intent.tenant,
        fingerprint=intent.fingerprint,
        endpoint=intent.endpoint,
        model=intent.model,
        executed_model=intent.executed_model,
        n=intent.n,
        status=Status.QUEUED if intent.queued else Status.PROCESSING,
        created_at=now,
        completed_at=None,
        delivered_at=None,
        owner=owner,
        fence=FIRST_FENCE,
        beat=0,
        tries=0,
        estimate=read_money(write_money(intent.estimate)),
        plan=intent.plan,
        answer=None,
        error=None,
        user=intent.user,
        client_request_id=intent.client_request_id,
        webhook_url=intent.webhook_url,
        webhook_next=None if intent.webhook_url is None else now,
        prompt=intent.prompt,
        has_key=intent.key_hash is not None,
        costs=tuple([TaskCost(task_id, _NOTHING, is_complete=False) for task_id in intent.task_ids]),
    )


def write_money(amount: Decimal | None) -> int | None:
    """What a column holds of an amount, None for an unknown one."""
    return None if amount is None else to_nanos(amount)


def read_money(value: object) -> Decimal | None:
    """The amount in a column, None where it is empty or holds nothing that can be money."""
    nanos = read_nanos(value)
    return None if nanos is None else from_nanos(nanos)


def _to_cost(task_id: str, cost: object, known: object) -> TaskCost:
    """What is known of a task's cost: all of it, a part, or nothing."""
    whole = read_money(cost)
    part = read_money(known) or Decimal(0)
    return TaskCost(task_id, part if whole is None else whole, is_complete=whole is not None)
