"""What the OpenAPI document says of the routes of keys, the audit log, usage, balance and ledger."""

from app.api import parameters as given
from app.api.documented import Documented, Operation, errors, json_answer, json_body, reference
from app.api.examples import CHANGES, KEYS, ROTATIONS
from app.openai_api.key_schemas import (
    AuditList,
    CallerItem,
    KeyChanges,
    KeyItem,
    KeyList,
    KeyRequest,
    KeyWithSecret,
    RotateRequest,
)
from app.openai_api.usage_schemas import BalanceModel, LedgerVerification, UsageResponse


def retrieve_usage() -> Operation:
    """Of `/usage`: JSON, or CSV with the same columns as its rows."""
    headers = (*given.KEY_HEADERS, "Cache-Control", "Vary", "Link", "Content-Disposition")
    sums = json_answer(UsageResponse, description="The sums.", headers=headers)
    sums["content"]["text/csv"] = {"schema": {"type": "string"}}
    return Operation("Usage", "Get usage", {200: sums, **errors(400, 401, 403, 404, 503)}, given.USAGE_QUERY)


def retrieve_balance() -> Operation:
    """Of `/balance`."""
    answers = {200: json_answer(BalanceModel, description="The balance."), **errors(400, 401, 403, 502, 503)}
    return Operation("Usage", "Get the balance at Runware", answers)


def verify_ledger() -> Operation:
    """Of `/ledger/verify`."""
    found = json_answer(
        LedgerVerification, description="What was found.", headers=(*given.KEY_HEADERS, "Cache-Control")
    )
    return Operation("Usage", "Verify the ledger", {200: found, **errors(401, 403, 503)})


def create_key() -> Operation:
    """Of `POST /keys`."""
    return _key("Make a key", _shows_secret(), json_body(reference(KeyRequest.__name__), KEYS))


def list_keys() -> Operation:
    """Of `GET /keys`."""
    answers = {200: json_answer(KeyList, description="A page, the newest first."), **errors(400, 401, 403, 503)}
    return Operation("Keys", "List keys", answers, given.KEYS_QUERY)


def retrieve_own() -> Operation:
    """Of `GET /key`."""
    shown = json_answer(CallerItem, description="The caller.", headers=(*given.KEY_HEADERS, "Cache-Control"))
    return Operation("Keys", "Get your own key", {200: shown, **errors(401, 503)})


def retrieve_key() -> Operation:
    """Of `GET /keys/{id}`."""
    return _key("Get a key", json_answer(KeyItem, description="The key, without its secret."))


def update_key() -> Operation:
    """Of `PATCH /keys/{id}`."""
    changed = json_answer(KeyItem, description="The key as it is now.")
    return _key("Change a key", changed, json_body(reference(KeyChanges.__name__), CHANGES))


def rotate_key() -> Operation:
    """Of `POST /keys/{id}/rotate`."""
    body = json_body(reference(RotateRequest.__name__), ROTATIONS, required=False)
    return _key("Rotate a key", _shows_secret(), body)


def revoke_key() -> Operation:
    """Of `DELETE /keys/{id}`."""
    return _key("Revoke a key", json_answer(KeyItem, description="The key, revoked."))


def list_audit() -> Operation:
    """Of `/audit`."""
    answers = {200: json_answer(AuditList, description="A page, the newest first."), **errors(400, 401, 403, 503)}
    return Operation("Keys", "List what administrators did", answers, given.AUDIT_QUERY)


def _key(summary: str, answer: Documented, body: Documented | None = None) -> Operation:
    return Operation("Keys", summary, {200: answer, **errors(400, 401, 403, 404, 503)}, body=body)


def _shows_secret() -> Documented:
    headers = (*given.KEY_HEADERS, "Cache-Control")
    return json_answer(KeyWithSecret, description="The key, with its secret, this once.", headers=headers)
