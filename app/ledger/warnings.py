"""Warnings about budgets: once at 80 % and once at 100 % in each period, in the transaction that crosses the line.

Owns when there is one and what it says. `webhooks` sends it; what a budget allows is `access`'.
"""

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select, update

from app.database.key_tables import accounts, api_keys, notices
from app.database.transaction import Transaction
from app.domain.caller import Period
from app.domain.money import from_nanos
from app.ledger.budget_state import NEARLY_USED_UP, USED_UP, BudgetState
from app.ledger.periods import resets_at, shown_time

EVENT = "key.budget_warning"
INSERT_NOTICE = insert(notices)
_UNWARNED = (
    select(
        accounts.c.key_id,
        accounts.c.period_start,
        accounts.c.spent,
        accounts.c.reserved,
        accounts.c.warned,
        api_keys.c.name,
        api_keys.c.budget,
        api_keys.c.period,
        api_keys.c.webhook_url,
    )
    .join(api_keys, api_keys.c.id == accounts.c.key_id)
    .where(accounts.c.key_id.in_(bindparam("ids", expanding=True)), accounts.c.warned < USED_UP)
    .where((accounts.c.spent + accounts.c.reserved) * 100 >= api_keys.c.budget * NEARLY_USED_UP)
)
_WARNED = update(accounts).where(accounts.c.key_id == bindparam("of_key")).values(warned=bindparam("level"))


def notice_of(state: BudgetState, level: int, url: str | None, now: float) -> dict[str, object]:
    """The row of a warning that is due; without an address it goes to the operator's."""
    named = f"{state.key_id} {state.first_day} {state.budget} {level} {now}"
    ends = resets_at(state.period, state.first_day)
    body = {
        "type": EVENT,
        "timestamp": shown_time(now),
        "data": {
            "id": state.key_id,
            "object": "key",
            "name": state.name,
            "threshold": level,
            "budget": {
                "limit": _dollars(state.budget),
                "period": state.period.value,
                "spent": _dollars(state.spent),
                "reserved": _dollars(state.reserved),
                "remaining": _dollars(max(state.budget - state.spent - state.reserved, 0)),
                "resets_at": None if ends is None else int(ends),
            },
        },
    }
    return {
        "id": f"ntc_{hashlib.blake2b(named.encode(), digest_size=16).hexdigest()}",
        "event": EVENT,
        "tenant": state.key_id,
        "url": url or "",
        "body": json.dumps(body),
        "created_at": now,
        "next_at": now,
    }


def warn_owners(transaction: Transaction, key_ids: Sequence[str], now: float) -> None:
    """Warn of those budgets of which more is taken than their owners were told."""
    rows = transaction.connection.execute(_UNWARNED, {"ids": key_ids}).all()
    for row in rows:
        period = Period(row.period)
        state = BudgetState(row.key_id, row.name, row.budget, period, row.period_start, row.spent, row.reserved)
        if state.level > row.warned:
            transaction.execute(_WARNED, {"of_key": row.key_id, "level": state.level})
            transaction.execute(INSERT_NOTICE, notice_of(state, state.level, row.webhook_url, now))


def _dollars(nanos: int) -> float:
    return float(from_nanos(nanos))
