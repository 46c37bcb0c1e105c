"""Keys and entries of the audit log as the API shows them. Pure."""

import json
from collections.abc import Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from app.access.key_facts import facts_of
from app.domain.caller import ANONYMOUS, Caller
from app.domain.key_records import AuditEntry, AuditPage, KeyPage, KeyView
from app.domain.words import JSONValue

_encoder = msgspec.json.Encoder()
_Item = TypeVar("_Item", bound="dict[str, JSONValue]")


class _Page(Protocol):
    """A page of a list."""

    @property
    def limit(self) -> int: ...
    @property
    def after(self) -> str | int | None: ...
    @property
    def before(self) -> str | int | None: ...


def key_members(view: KeyView, text: str | None = None) -> dict[str, JSONValue]:
    """A key; with `text` also the key itself, which is shown once."""
    budget = view.budget
    state: dict[str, JSONValue] = {
        "limit": None if budget.limit is None else float(budget.limit),
        "period": budget.period.value,
        "spent": float(budget.spent),
        "reserved": float(budget.reserved),
        "remaining": None if budget.remaining is None else float(budget.remaining),
        "resets_at": budget.resets_at,
    }
    secret: dict[str, JSONValue] = {} if text is None else {"key": text}
    return {**facts_of(view.key, view.status), "budget": state, **secret}


def render_key(view: KeyView, text: str | None = None) -> bytes:
    """One key."""
    return _encoder.encode(key_members(view, text))


def render_caller(caller: Caller, view: KeyView | None) -> bytes:
    """Who calls; with its key, where that is one of the database."""
    return _encoder.encode({
        "object": "caller",
        "id": caller.tenant,
        "name": caller.name or None,
        "admin": caller.is_admin,
        "anonymous": caller == ANONYMOUS,
        "key": None if view is None else key_members(view),
    })  # fmt: skip


def keys_members(views: Sequence[KeyView], page: KeyPage, *, more: bool) -> dict[str, JSONValue]:
    """A page of keys, with the addresses of its neighbors."""
    filters = {"status": None if page.status is None else page.status.value}
    return _list("/v1/keys", [key_members(view) for view in views], page, filters, more=more)


def audit_members(entries: Sequence[AuditEntry], page: AuditPage, *, more: bool) -> dict[str, JSONValue]:
    """A page of the audit log, with the addresses of its neighbors."""
    filters = {"actor": page.actor, "action": page.action, "target": page.target}
    return _list("/v1/audit", [_entry(entry) for entry in entries], page, filters, more=more)


def render_members(members: dict[str, JSONValue]) -> bytes:
    """JSON of these members."""
    return _encoder.encode(members)


def _entry(entry: AuditEntry) -> dict[str, JSONValue]:
    return {
        "id": entry.id,
        "object": "audit_entry",
        "created_at": int(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "before": None if entry.before is None else json.loads(entry.before),
        "after": None if entry.after is None else json.loads(entry.after),
    }


def _list(
    path: str, items: Sequence[_Item], page: _Page, filters: dict[str, str | None], *, more: bool
) -> dict[str, JSONValue]:
    backwards = page.before is not None
    first, last = (str(items[0]["id"]), str(items[-1]["id"])) if items else (None, None)
    following = last if last and (more or backwards) else None
    earlier = first if first and (more if backwards else page.after is not None) else None
    return {
        "object": "list",
        "data": [*items],
        "has_more": more,
        "next_page_url": _url(path, page, filters | {"starting_after": following}) if following else None,
        "previous_page_url": _url(path, page, filters | {"ending_before": earlier}) if earlier else None,
    }


def _url(path: str, page: _Page, filters: dict[str, str | None]) -> str:
    asked = {"limit": str(page.limit), **filters}
    return f"{path}?{urlencode({name: value for name, value in asked.items() if value is not None})}"
