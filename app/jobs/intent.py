"""What the journal must know of a request before anything is sent for it. Pure."""

import hashlib

from app.catalog.model import Mode
from app.database.money import write_money
from app.jobs.codec import StoredPlan, encode_plan
from app.journal.records import Intent
from app.planning.prepared import Prepared

_LONGEST_TEXT = 200
"""What the journal keeps of names that callers choose."""


def to_intent(prepared: Prepared) -> Intent:
    """The request as it is claimed."""
    spec, plan, request, context = prepared.spec, prepared.plan, prepared.request, prepared.context
    key = context.idempotency_key
    return Intent(
        request_id=context.request_id,
        tenant=context.tenant,
        # Hashed: keys may contain private data, and the journal needs only to compare them.
        key_hash=hashlib.sha256(key.encode()).hexdigest() if key is not None else None,
        fingerprint=prepared.fingerprint,
        endpoint="generations" if request.mode is Mode.GENERATE else "edits",
        model=_storable(prepared.requested_model) or "",
        executed_model=spec.model.air,
        n=spec.count,
        task_ids=tuple(planned.task.task_uuid for planned in plan.tasks),
        estimate=write_money(prepared.price.total),
        plan=encode_plan(StoredPlan(context.origin, plan.places, spec.output, spec.adjustments)),
        retries=context.retries,
        user=_storable(request.user),
        client_request_id=_storable(context.client_request_id),
        prompt=prepared.kept_prompt.replace("\x00", "") if prepared.kept_prompt else None,
        webhook_url=request.webhook_url,
    )


def _storable(text: str | None) -> str | None:
    """A caller's word as every database takes it: short, and without the character PostgreSQL refuses."""
    return None if text is None else text.replace("\x00", "")[:_LONGEST_TEXT]
