"""The ledger as administrators see it, over HTTP and from the command."""

from app.domain.verification import Verification
from app.domain.words import JSONValue


def render_verification(found: Verification) -> dict[str, JSONValue]:
    """What was compared, and what differs. Amounts are numbers in dollars."""
    return {
        "object": "ledger.verification",
        "exact": found.is_exact,
        "requests": found.requests,
        "entries": found.entries,
        "accounts": found.accounts,
        "reserved": float(found.reserved),
        "spent": float(found.spent),
        "estimated": float(found.estimated),
        "removed": float(found.removed),
        "currency": "USD",
        "differences": [
            {"subject": one.subject, "id": one.id, "ledger": one.ledger, "journal": one.journal}
            for one in found.differences
        ],
        "more_differences": found.more_differences,
    }
