"""From rows of the journal to records and back."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row

from app.database.money import read_money
from app.domain.answer import TaskCost
from app.journal import statements as sql
from app.journal.records import UNREADABLE, Intent, Record, Sighting, Status

FIRST_FENCE = 1
_OPEN = frozenset(status.value for status in Status if not status.final)
_END_OF_TIME = 253_402_300_800.0


def to_record(connection: Connection, row: Row[tuple[object, ...]]) -> Record:
    """The record of a row of `requests`, with its tasks.

    A row that cannot be read is a failed request that says so: whoever reads many rows never stumbles over one.
    """
    # Costs are read from the tasks, not from the sum: they may have been completed since the end (0101).
    costs = connection.execute(sql.TASKS_OF, {"request_id": row.id}).all()
    tasks = tuple(_to_cost(cost.uuid, cost.cost, cost.known_cost) for cost in costs)
    try:
        return _to_record(row, tasks)
    # One damaged row must not stop recovery, lists and sums for all others (0103).
    except (ValueError, TypeError, OverflowError):
        return _unreadable(row, tasks)


def _to_record(row: Row[tuple[object, ...]], costs: tuple[TaskCost, ...]) -> Record:
    return Record(
        id=row.id,
        tenant=row.tenant,
        fingerprint=row.fingerprint,
        endpoint=row.endpoint,
        model=row.model,
        executed_model=row.executed_model,
        n=int(row.n),
        status=Status(row.status),
        created_at=_to_time(row.created_at) or 0.0,
        completed_at=_to_time(row.completed_at),
        delivered_at=_to_time(row.delivered_at),
        owner=row.owner,
        fence=row.fence,
        beat=row.beat,
        tries=row.tries,
        estimate=row.estimate,
        cost=row.cost,
        plan=row.plan,
        answer=row.answer,
        error=row.error,
        user=row.user,
        client_request_id=row.client_request_id,
        webhook_url=row.webhook_url,
        webhook_attempts=row.webhook_attempts,
        webhook_next=row.webhook_next,
        webhook_status=row.webhook_status,
        known_cost=row.known_cost,
        images_kept=row.images_kept,
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


def _unreadable(row: Row[tuple[object, ...]], costs: tuple[TaskCost, ...]) -> Record:
    """What stands for a row that holds what nobody wrote: its id, and that it cannot be read."""
    return Record(
        id=str(row.id),
        tenant=str(row.tenant),
        fingerprint="",
        endpoint="",
        model=str(row.model),
        executed_model=str(row.executed_model),
        n=0,
        status=Status.FAILED,
        created_at=0.0,
        completed_at=0.0,
        delivered_at=0.0,
        owner=str(row.owner),
        fence=row.fence,
        beat=row.beat,
        tries=row.tries,
        estimate=None,
        cost=None,
        plan="{}",
        answer=None,
        error=UNREADABLE,
        user=None,
        client_request_id=None,
        costs=costs,
    )


def to_sighting(row: Row[*tuple[Any, ...]]) -> Sighting:
    """How the request of a row was seen."""
    return Sighting(row.id, row.owner, row.fence, row.beat, row.tries, str(row.status) in _OPEN)


def to_row(intent: Intent, owner: str, now: float, key_until: float) -> dict[str, object]:
    """The row of a request that is new."""
    return {
        "id": intent.request_id,
        "tenant": intent.tenant,
        "key_hash": intent.key_hash,
        "fingerprint": intent.fingerprint,
        "endpoint": intent.endpoint,
        "model": intent.model,
        "executed_model": intent.executed_model,
        "n": intent.n,
        "status": _first_status(intent).value,
        "created_at": now,
        "key_until": key_until,
        # The caller that makes the claim (0062).
        "connected": 1,
        "owner": owner,
        "fence": FIRST_FENCE,
        "estimate": intent.estimate,
        "plan": intent.plan,
        "user": intent.user,
        "client_request_id": intent.client_request_id,
        "prompt": intent.prompt,
        "webhook_url": intent.webhook_url,
        "webhook_next": None if intent.webhook_url is None else now,
    }


def new_record(intent: Intent, owner: str, now: float) -> Record:
    """The record of a request that is new."""
    return Record(
        id=intent.request_id,
        tenant=intent.tenant,
        fingerprint=intent.fingerprint,
        endpoint=intent.endpoint,
        model=intent.model,
        executed_model=intent.executed_model,
        n=intent.n,
        status=_first_status(intent),
        created_at=now,
        completed_at=None,
        delivered_at=None,
        owner=owner,
        fence=FIRST_FENCE,
        beat=0,
        tries=0,
        estimate=intent.estimate,
        cost=None,
        plan=intent.plan,
        answer=None,
        error=None,
        user=intent.user,
        client_request_id=intent.client_request_id,
        webhook_url=intent.webhook_url,
        webhook_next=None if intent.webhook_url is None else now,
        costs=tuple(_to_cost(task_id, None, None) for task_id in intent.task_ids),
    )


def _to_cost(task_id: str, cost: object, known: object) -> TaskCost:
    """What is known of a task's cost: all of it, a part, or nothing."""
    whole = read_money(cost)
    part = read_money(known) or Decimal(0)
    return TaskCost(task_id, part if whole is None else whole, is_complete=whole is not None)


def _first_status(intent: Intent) -> Status:
    return Status.QUEUED if intent.queued else Status.PROCESSING
