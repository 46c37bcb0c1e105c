"""Requests as the journal is asked for them and as it knows them, with nothing special about them."""

from decimal import Decimal

from app.journal.records import Intent, Record, Status


def intent_of(request_id: str, *, key: str | None, tenant: str = "t") -> Intent:
    """A request that is about to be claimed."""
    return Intent(
        request_id, tenant, key, "f", "generations", "m", "runware:100@1", 1, (f"{request_id}-task",), Decimal(0), "{}"
    )


def record_of(request_id: str, status: Status = Status.PROCESSING) -> Record:
    """A request that was claimed."""
    return Record(
        id=request_id,
        tenant="t",
        fingerprint="f",
        endpoint="generations",
        model="m",
        executed_model="runware:100@1",
        n=1,
        status=status,
        created_at=1.0,
        completed_at=None,
        delivered_at=None,
        owner="o",
        fence=1,
        beat=0,
        tries=0,
        estimate=None,
        plan="{}",
        answer=None,
        error=None,
        user=None,
        client_request_id=None,
    )
